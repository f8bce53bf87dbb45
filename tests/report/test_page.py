import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from PIL import Image
from report_runs import GRID, NASTY, TARGET, make_evaluated_run, make_run

from voxplain.errors import DataError
from voxplain.report import page
from voxplain.report.draw import choose_examples, highlight, moving, scale_of
from voxplain.report.page import short_name, write_report
from voxplain.report.words import contrast_words

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}
LOADING = {"src", "srcset", "href", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """A strict reader: every element must be closed in order; collects elements and the text outside style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


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
    assert {tag for tag, _ in found.elements} & {"script", "link", "iframe", "object", "base"} == set()
    policy = next(a for a in found.all("meta") if a.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'")


def test_names_are_escaped_and_still_readable(written):
    found = read(written)
    assert not any(name.startswith("on") for _, attrs in found.elements for name in attrs)
    text = "".join(found.text)
    for name in NASTY[:3]:
        assert name in text
    assert "动作\\udcff.avi" in text
    assert TARGET in text
    assert "</pre><script>alert(3)</script>" in text
    assert "few <videos>" in text
    assert "no frame <decoded>" in text


def test_every_concept_has_a_row_and_a_card(written):
    run, found = make_evaluated_run(), read(written)
    cards = [a["id"] for a in found.all("article")]
    assert cards == ["r0-c1", "r0-c2", "r0-c0"]
    assert [a["href"] for a in found.all("a")] == [f"#{card}" for card in cards]
    text = "".join(found.text)
    assert run.sentence() in text
    assert all(contrast_words(contrast) in text for contrast in run.evaluation.contrasts)


def pixels(uri):
    kind, data = uri.split(",", 1)
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))).convert("RGB"))


def test_pictures_show_the_members(written):
    run, found = make_run(), read(written)
    shown = [a["src"] for a in found.all("img") if "highlighted" in a["alt"]]
    raw = [a["src"] for a in found.all("img") if a["alt"] == "The same frame as it is"]
    examples = [(k, e) for k in run.order for e in choose_examples(run, int(k))]
    assert len(shown) == len(raw) == len(examples) == 11
    for upper, lower, (k, example) in zip(shown, raw, examples, strict=True):
        clip, mask = run.member(int(k), example.place)
        at = slice(example.frame, example.frame + 1)
        assert np.array_equal(pixels(upper), highlight(clip.frames[at], mask[at], factor=scale_of(*GRID[1:]))[0])
        assert np.array_equal(pixels(lower), clip.frames[example.frame])


def test_clips_play(written):
    run, videos = make_run(), read(written).all("video")
    assert len(videos) == 3 + 1 + 3
    for attrs in videos:
        assert {"autoplay", "muted", "loop", "playsinline"} <= attrs.keys()
    data = base64.b64decode(videos[0]["src"].removeprefix("data:video/mp4;base64,"), validate=True)
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].average_rate == 12  # 25 a second at half speed
        frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    wanted = moving(run, 1, 0)
    assert frames.shape == wanted.shape
    assert np.abs(frames.astype(int) - wanted).mean() < 20


def test_same_run_gives_same_bytes_and_leaves_nothing_else(tmp_path, written):
    again = write_report(make_evaluated_run(), tmp_path / "again.html")
    # Clips apart: their bytes are the encoder's, and test_clips_play looks at what they show.
    first, second = (re.sub(rb"data:video/mp4;base64,[^\"]+", b"", p.read_bytes()) for p in (written, again))
    assert first == second
    assert [p.name for p in tmp_path.iterdir()] == ["again.html"]


def test_a_failed_report_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(page.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(make_run(), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_several_classes_on_one_page(tmp_path):
    other = replace(make_run(), target="second", ranking="tcav")
    found = read(write_report([make_evaluated_run(), other], tmp_path / "page.html"))
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids)) == 8
    assert [a["href"] for a in found.all("a")][:2] == ["#r0", "#r1"]
    text = "".join(found.text)
    assert "Not tested: no held-out videos were given" in text
    assert "TCAV [95 %]" in text


def test_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least one run"):
        write_report([], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "short"),
    [("/a/b/c.mp4", "b/c.mp4"), ("C:\\v\\run\\1.avi", "run/1.avi"), ("array", "array"), ("", ""), ("/", "/")],
)
def test_short_name(source, short):
    assert short_name(source) == short


def test_big_frames_travel_small():
    assert page._shrink(np.zeros((600, 300, 3), np.uint8)).shape == (200, 100, 3)
    assert page._shrink(np.zeros((224, 224, 3), np.uint8)).shape == (224, 224, 3)


def test_evaluated_classes_are_also_told_together(tmp_path):
    run = make_evaluated_run()
    one = write_report(run, tmp_path / "one.html")
    two = write_report([run, replace(run, target="other")], tmp_path / "two.html")
    assert "together" not in one.read_text("utf-8")
    found = read(two)
    assert "2 classes together, layer blocks.<5>" in "".join(found.text)
    assert [attrs["id"] for attrs in found.all("section")] == ["r0", "r1", "all-0"]
    videos = 2 * len(run.evaluation.adding.truth)
    assert f"On {videos} held-out test videos" in "".join(found.text)
