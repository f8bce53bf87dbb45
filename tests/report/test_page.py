"""The page as text: well-formed, self-contained, escaped, and with every concept, clip and number where it belongs."""

import base64
import errno
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from PIL import Image

from report_runs import NASTY, TARGET, make_evaluated_run, make_probed, make_run, quantity_run
from voxplain import files
from voxplain.concepts.wholes import Whole
from voxplain.errors import DataError, VoxplainError
from voxplain.report.cards import short_name
from voxplain.report.draw import choose_examples, stacked
from voxplain.report.embed import run_lengths, shrink
from voxplain.report.page import Origin, write_report
from voxplain.report.sentences import order_test_sentence

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}
LOADING = {"src", "srcset", "href", "poster", "data", "data-src", "action", "background"}


class Page(HTMLParser):
    """A strict reader: every element must be closed in order; collects elements, text and what scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def said(self):
        return "".join(self.text)


def read(path):
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_report(make_evaluated_run(), tmp_path_factory.mktemp("report") / "deep" / "page.html")


def test_page_is_well_formed_and_asks_nobody(written):
    found = read(written)
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in found.elements:
        for name in LOADING & attrs.keys():
            value = attrs[name]
            assert value.startswith("data:") or (tag == "a" and value[1:] in ids), (tag, name, value[:60])
    text = written.read_text("utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    assert {tag for tag, _ in found.elements} & {"link", "iframe", "object", "base"} == set()
    policy = next(a for a in found.all("meta") if a.get("http-equiv"))["content"]
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy


def test_names_are_escaped_and_still_readable(written):
    found = read(written)
    assert not any(name.startswith("on") for _, attrs in found.elements for name in attrs)
    text = found.said()
    for name in NASTY[:3]:
        assert name in text
    assert "动作\\udcff.avi" in text
    assert TARGET in text
    assert "</pre><script>alert(3)</script>" in text
    assert "few <videos>" in text
    assert "no frame <decoded>" in text
    assert not any("alert(" in script for script in found.scripts if "querySelector" in script)


def test_every_concept_has_a_card_a_row_and_a_place_at_first_glance(written):
    run, found = make_evaluated_run(), read(written)
    cards = [a["id"] for a in found.all("article")]
    assert cards == ["r0-c1", "r0-c2", "r0-c0"]
    assert sorted(a["href"] for a in found.all("a")) == sorted(2 * [f"#{card}" for card in cards])
    text = found.said()
    assert f"For “{TARGET}” the network relies mostly on concept 1, a " in text
    assert "Hiding it lowers the log-odds by 2.50" in text
    assert all(order_test_sentence(order_test) in text for order_test in run.evaluation.order_tests)


def decoded(uri):
    data = base64.b64decode(uri.removeprefix("data:video/mp4;base64,"), validate=True)
    with av.open(io.BytesIO(data)) as container:
        rate = container.streams.video[0].average_rate
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]), rate


def test_clips_show_the_members_above_the_raw_frames(written):
    run, found = make_run(), read(written)
    clips = [a for a in found.all("video") if int(a["height"]) == 2 * int(a["width"]) * 12 // 10]
    again, videos = ([a for a in clips if ("data-same" in a) is same] for same in (True, False))
    examples = [(int(k), e) for k in run.order for e in choose_examples(run, int(k), 3)]
    held_out = len(run.order)  # the one explored clip has each concept
    assert len([a for a in found.all("button") if a.get("class", "") == "clip"]) == len(clips)
    assert len(videos) == len(examples) + held_out == 10
    # The answer plays the first concept's clips, which are on the page once.
    assert [a["data-same"] for a in again] == [a["id"] for a in videos[:3]] == [f"r0-c1-v{i}" for i in range(3)]
    for attrs in clips:
        assert {"muted", "loop", "playsinline"} <= attrs.keys()
        assert "src" not in attrs, "clips are decoded only when they come near the screen"
    for attrs, (k, example) in zip(videos[:3], examples[:3], strict=True):
        frames, rate = decoded(attrs["data-src"])
        wanted, _ = stacked(run, k, example)
        assert rate == 12  # 25 a second at half speed
        assert frames.shape == wanted.shape
        assert np.abs(frames.astype(int) - wanted).mean() < 24
        # A clip starts where its concept is largest.
        assert int(float(attrs["data-start"]) * rate) == example.frame


def test_the_explorer_gets_what_was_measured(written):
    run = make_evaluated_run()
    explored = run.evaluation.explored[0]
    data = json.loads(next(s for s in read(written).scripts if s.startswith('{"changed"')))
    clip = data["clips"][0]
    assert clip["size"] == list(explored.clip.frames.shape[:3])
    assert clip["switches"] == explored.switches.tolist()
    own = np.exp(explored.switched.astype(float))
    own /= own.sum(1, keepdims=True)
    assert [row[0] for row in clip["likely"]] == pytest.approx(own[:, run.target_index], abs=1e-4)
    assert [float(row[0].removesuffix(" %")) for row in clip["amounts"]] == pytest.approx(
        100 * own[:, run.target_index], abs=0.51
    )
    for level, labels in zip(clip["levels"], explored.supervoxels.labels, strict=True):
        pairs = np.frombuffer(base64.b64decode(level["runs"]), "<u2").reshape(-1, 2)
        ids = np.repeat(pairs[:, 0], pairs[:, 1]).reshape(labels.shape)
        assert [level["concept"][i] for i in ids.ravel()] == explored.assigned[labels.ravel()].tolist()


def test_the_explorer_of_a_quantity_shows_its_output(tmp_path):
    run = quantity_run(make_evaluated_run())
    page = read(write_report(run, tmp_path / "report.html"))
    data = json.loads(next(s for s in page.scripts if s.startswith('{"changed"')))
    assert (data["changed"], data["shown"]) == ("output", "Output, px")
    values = run.evaluation.explored[0].switched[:, 0].astype(float)
    clip = data["clips"][0]
    assert clip["classes"] == ["rise of speed"]
    assert [float(text.replace("−", "-")) for (text,) in clip["amounts"]] == pytest.approx(values, abs=0.051)
    shares = (values - values.min()) / (values.max() - values.min())
    assert [share for (share,) in clip["likely"]] == pytest.approx(shares, abs=1e-4)
    assert clip["drop"][1] == pytest.approx(values[0] - run.evaluation.explored[0].hidden[1, 0], abs=1e-3)
    assert "highest output to the lowest" in "".join(page.text)


def test_run_lengths_are_lossless_also_beyond_one_pair():
    values = np.concatenate([np.zeros(70_000, int), [-1, 3, 3, 400], np.full(65_535, 7)])
    pairs = np.frombuffer(base64.b64decode(run_lengths(values)), "<u2").reshape(-1, 2)
    assert np.array_equal(np.repeat(pairs[:, 0], pairs[:, 1]), values.astype(np.uint16))


def test_same_run_gives_same_bytes_and_leaves_nothing_else(tmp_path, written):
    again = write_report(make_evaluated_run(), tmp_path / "again.html")
    # Clips apart: their bytes are the encoder's, and the test of the clips looks at what they show.
    first, second = (re.sub(rb"data:video/mp4;base64,[^\"]+", b"", p.read_bytes()) for p in (written, again))
    assert first == second
    assert [p.name for p in tmp_path.iterdir()] == ["again.html"]


def test_a_failed_report_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(VoxplainError, match="disk full"):
        write_report(make_run(), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_several_classes_on_one_page(tmp_path):
    other = replace(make_run(), target="second", ranking="tcav")
    found = read(write_report([make_evaluated_run(), other], tmp_path / "page.html"))
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    # In the navigation and on the cards above the classes.
    assert [a["href"] for a in found.all("a")][:4] == 2 * ["#r0", "#r1"]
    text = found.said()
    assert "Not tested: no held-out videos were given" in text
    assert "TCAV, above chance [adjusted]" in text


def test_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least one run"):
        write_report([], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_words_of_the_reader_s_own_stand_for_concepts(tmp_path):
    names = {TARGET: {1: "bending <trunk>"}}
    found = read(write_report(make_run(), tmp_path / "page.html", names=names))
    assert "relies mostly on the bending <trunk> (concept 1)" in found.said()


def test_wholes_come_before_their_parts(tmp_path):
    whole = Whole((1, 0), 2.5, 2.0, 3.0, 0.5, 0.25, 0.75, 12)
    page = write_report(
        replace(make_run(), wholes=(whole,)), tmp_path / "page.html", names={TARGET: {1: "<arms>"}}
    ).read_text()
    start = page.index('<article class="whole">')
    assert start < page.index('<article class="card"')
    card = page[start : page.index("</article>", start)]
    assert "Whole: &lt;arms&gt; and concept 0" in card
    assert "lowers the log-odds by 2.5 (2.0 to 3.0), 0.5 (0.2 to 0.8) more than hiding &lt;arms&gt; alone" in card
    assert "<video" in card
    assert card.count("<a href") == 2


def test_a_limit_leaves_out_examples_on_demand_first(tmp_path):
    run = make_run()
    whole, small = (
        read(write_report(run, tmp_path / f"{limit}.html", limit=limit)).all("article") for limit in (10**7, 0)
    )
    assert len(whole) == len(small) == 3
    sizes = [(tmp_path / f"{limit}.html").read_text("utf-8").count('class="still"') for limit in (10**7, 0)]
    assert sizes == [4, 0]  # 6, 1 and 4 members: 3 of each always play, the others are stills


def test_origin_is_told(tmp_path):
    origin = Origin("voxplain concepts 'a b' --class x", {"features of the class": 12.34})
    found = read(write_report(make_run(), tmp_path / "page.html", origin=origin))
    assert "voxplain concepts 'a b' --class x" in found.said()
    assert "12.3 s" in found.said()


@pytest.mark.parametrize(
    ("source", "short"),
    [("/a/b/c.mp4", "b/c.mp4"), ("C:\\v\\run\\1.avi", "run/1.avi"), ("array", "array"), ("", ""), ("/", "/")],
)
def test_short_name(source, short):
    assert short_name(source) == short


def test_big_frames_travel_small():
    assert shrink(np.zeros((2, 600, 300, 3), np.uint8)).shape == (2, 200, 100, 3)
    assert shrink(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, 224, 224, 3)


def test_evaluated_classes_are_also_told_together(tmp_path):
    run = make_evaluated_run()
    one = write_report(run, tmp_path / "one.html")
    two = write_report([run, replace(run, target="other")], tmp_path / "two.html")
    assert "classes together" not in one.read_text("utf-8")
    found = read(two)
    assert "2 classes together, layer blocks.<5>" in found.said()
    assert [attrs["id"] for attrs in found.all("section")] == ["r0", "r1", "all-0"]
    videos = 2 * len(run.evaluation.adding.truth)
    assert f"On {videos} held-out test videos" in found.said()


def test_strips_follow_the_best_recognised_clip(written):
    run, found = make_evaluated_run(), read(written)
    explored = make_probed(run)
    strip = [a for a in found.all("button") if a.get("class", "") == "clip single"]
    steps = run.evaluation.adding.logits.shape[2]
    assert len(strip) == 2 * steps
    frames, _ = decoded(found.all("video")[-steps]["data-src"])  # removing, step 0: the whole clip
    wanted = np.asarray(Image.fromarray(explored.clip.frames[0]).resize(frames.shape[2:0:-1], Image.Resampling.NEAREST))
    assert np.abs(frames[0].astype(int) - wanted).mean() < 24


def test_few_videos_are_named_without_their_folders(tmp_path):
    videos = {"/some/one/data/bend/0.mp4": "ab", "/some/one/data/bend/1.mp4": "cd"}
    run = replace(make_run(), provenance={"videos": videos, "device": "cpu"})
    text = write_report(run, tmp_path / "page.html").read_text()
    assert "bend/0.mp4" in text
    assert "/some/one" not in text
