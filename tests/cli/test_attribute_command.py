"""`voxplain attribute`: what it writes for which videos and classes, and what it says when it cannot."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, contents, voxplain
from PIL import Image

import voxplain as vx
from checked_pages import check_page
from voxplain.attribution import ATTRIBUTIONS
from voxplain.explain import to_original
from voxplain.store import load_attribution
from voxplain.video.encode import write_video

QUICK = ("--method", "gradient,grad_cam", "--metric", "none")


def attribute(output: Path, *words: object) -> Outcome:
    return voxplain("attribute", *words, "--net", "planted", "--device", "cpu", "-o", output)


@pytest.fixture(scope="module")
def videos(small_set: Path) -> list[Path]:
    return [small_set / "test" / label / f"{i}.mp4" for label in ("cross", "orbit") for i in range(2)]


@pytest.fixture(scope="module")
def done(videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """All formats of one video for its own class, with a metric."""
    output = tmp_path_factory.mktemp("attribute") / "out"
    words = ("--method", "gradient,grad_cam,excitation_backprop_rnn", "--metric", "sufficiency", "--target", "truth")
    return output, attribute(output, videos[0], *words, "--format", "mp4", "gif", "png")


def test_files_of_one_video(done, videos):
    output, outcome = done
    assert outcome.code == 0, outcome.err
    assert sorted(contents(output)) == sorted(
        ["origin.json", "report.html"]
        + [f"0/cross/{name}" for name in ("maps.npz", "run.json", "run.npz", "strip.png")]
        + [f"0/cross/{m}.{kind}" for m in ("gradient", "grad_cam") for kind in ("mp4", "gif")]
    )
    whole = vx.read_video(videos[0])
    with np.load(output / "0/cross/maps.npz") as maps:
        assert sorted(maps) == ["grad_cam", "gradient", "seconds"]
        np.testing.assert_array_equal(maps["seconds"], whole.seconds)
        assert {maps[m].shape for m in ("gradient", "grad_cam")} == {whole.frames.shape[:3]}
    assert vx.read_video(output / "0/cross/gradient.mp4").frames.shape == whole.frames.shape
    with Image.open(output / "0/cross/grad_cam.gif") as gif:
        assert (gif.n_frames, gif.size) == (len(whole), whole.frames.shape[2:0:-1])
    with Image.open(output / "0/cross/strip.png") as strip:
        assert strip.height == 3 * 64 + 2 * 3, "the clip and two methods"


def test_maps_are_those_of_the_library(done, videos):
    output, _ = done
    model = vx.load_model("planted")
    clip = model.reader()(videos[0])
    own = ATTRIBUTIONS["gradient"]()(model, clip, "cross")
    with np.load(output / "0/cross/maps.npz") as maps:
        np.testing.assert_array_equal(maps["gradient"], to_original(own.values, model.reader().geometry, 64, 64))
    run = load_attribution(output / "0/cross")
    np.testing.assert_array_equal(run.maps["gradient"], own.values)
    assert run.target == "cross"


def test_the_page_loads_nothing_and_names_no_folder(done, small_set):
    check_page(done[0] / "report.html", small_set)


def test_what_is_said(done, videos):
    output, outcome = done
    assert f"{videos[0]}: cross, probability" in outcome.out
    assert "note: excitation_backprop_rnn was skipped: expected a network with an RNN" in outcome.out
    assert outcome.out.endswith(f"report: {output / 'report.html'}\n")
    run = load_attribution(output / "0/cross")
    assert f"{run.measured['grad_cam']['sufficiency'][0]:.3f}" in outcome.out
    assert json.loads((output / "origin.json").read_text())["command"].startswith("voxplain attribute ")


def test_the_same_command_gives_the_same_files(videos, tmp_path):
    kept = []
    for name in "one", "two":
        assert attribute(tmp_path / name, videos[2], *QUICK).code == 0
        files = contents(tmp_path / name)  # the page and origin.json hold the command, which names the folder
        kept.append({n: h for n, h in files.items() if not n.endswith((".html", "origin.json"))})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 6


@pytest.mark.parametrize("target", ["orbit", "0", "truth", "top2"])
def test_targets(videos, tmp_path, target):
    model = vx.load_model("planted")
    outcome = attribute(tmp_path, videos[0], videos[2], "--target", target, *QUICK, "--format", "png")
    assert outcome.code == 0, outcome.err
    found = sorted(p.parent.relative_to(tmp_path).as_posix() for p in tmp_path.glob("*/*/maps.npz"))
    if target == "top2":
        wanted = []
        for video in (videos[0], videos[2]):
            logits = model.logits(model.reader()(video).frames[None])[0]
            wanted.append({model.classes[i] for i in logits.topk(2).indices.tolist()})
        assert len(found) == 4
        assert {f.split("/")[1] for f in found} == wanted[0] | wanted[1]
        assert {f.split("/")[1] for f in found if f.startswith("0/")} >= wanted[0]
    else:
        names = {"orbit": ["orbit"] * 2, "0": [model.classes[0]] * 2, "truth": ["cross", "orbit"]}[target]
        again = "0" if target == "truth" else "0-2"  # both videos are called 0.mp4
        assert found == sorted([f"0/{names[0]}", f"{again}/{names[1]}"])
        assert [load_attribution(tmp_path / f).target for f in found] == sorted(names)


def test_videos_of_one_name_never_share_a_folder(videos, tmp_path):
    for i, place in enumerate(("a/x.mp4", "b/x.mp4", "b/x-2.mp4")):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(videos[i], tmp_path / place)
    given = [tmp_path / p for p in ("a/x.mp4", "b/x.mp4", "b/x-2.mp4")]
    outcome = attribute(tmp_path / "out", *given, "--target", "cross", *QUICK, "--format", "png")
    assert outcome.code == 0, outcome.err
    runs = [load_attribution(p.parent) for p in (tmp_path / "out").glob("*/cross/run.json")]
    assert sorted(r.clip.source for r in runs) == sorted(f"{tmp_path.name}/{p.relative_to(tmp_path)}" for p in given)


def test_a_corrupt_video_is_skipped_and_told(videos, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(videos[0].read_bytes()[:300])
    missing = tmp_path / "missing.mp4"
    outcome = attribute(tmp_path / "out", bad, videos[0], missing, videos[3], *QUICK, "--target", "truth")
    assert outcome.code == 3, outcome.err
    assert outcome.out.count("skipped: ") == 2
    assert str(bad) in outcome.out
    assert str(missing) in outcome.out
    assert "2 of 4 videos skipped" in outcome.out
    assert {p.parent.parent.name for p in (tmp_path / "out").glob("*/*/maps.npz")} == {"0", "1"}
    alone = attribute(tmp_path / "none", bad, *QUICK)
    assert alone.code == 2
    assert "got none among 1" in alone.sentence
    assert not (tmp_path / "none").exists()


@pytest.fixture
def cut(videos, tmp_path) -> Path:
    """A video of which the tail is missing: more than half of its frames are left."""
    vx.read_video(videos[0]).save(tmp_path / "whole.gif")
    data = (tmp_path / "whole.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[: int(0.9 * len(data))])
    clip = vx.read_video(tmp_path / "cut.gif")
    assert 0 < clip.damaged < len(clip)
    return tmp_path / "cut.gif"


def test_a_damaged_video_is_told_everywhere(cut, tmp_path):
    lost = vx.read_video(cut).damaged
    outcome = attribute(tmp_path / "out", cut, *QUICK, "--target", "cross", "--format", "png")
    assert outcome.code == 3, outcome.err
    assert f"1 of 1 videos is damaged, and what is left of it is used: {cut} ({lost} frame" in outcome.out
    (record,) = (tmp_path / "out").glob("*/*/run.json")
    assert f'"damaged": {lost}' in record.read_text()
    assert f"the video is damaged: {lost} of" in (tmp_path / "out" / "report.html").read_text()
    strict = attribute(tmp_path / "strict", cut, *QUICK, "--target", "cross", "--format", "png", "--strict")
    assert strict.code == 1
    failed = attribute(tmp_path / "failed", cut, *QUICK, "--target", "cross", "--damaged", "fail")
    assert failed.code == 2
    assert "frames are lost" in failed.sentence


def test_a_method_that_fails_on_a_video_does_not_end_the_others(videos, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(type(ATTRIBUTIONS["gradient"]()), "__call__", fails)
    outcome = attribute(tmp_path / "out", videos[0], *QUICK, "--target", "cross", "--format", "png")
    assert outcome.code == 3, outcome.err
    assert "note: gradient: failed on this video: RuntimeError: no such operation" in outcome.out
    (run,) = [load_attribution(p.parent) for p in (tmp_path / "out").glob("*/*/run.json")]
    assert (run.failed, list(run.maps)) == (("gradient",), ["grad_cam"])


def test_brackets_in_names_are_only_text(videos, tmp_path):
    odd = tmp_path / "a[" / "bold] [red]y.mp4"
    odd.parent.mkdir()
    shutil.copy(videos[0], odd)
    outcome = attribute(tmp_path / "out", odd, *QUICK, "--target", "cross")
    assert outcome.code == 0, outcome.err
    assert str(odd) in outcome.out
    assert (tmp_path / "out" / odd.stem / "cross/maps.npz").exists()


def test_a_long_video_of_another_size(videos, tmp_path):
    frames = vx.read_video(videos[0]).frames
    frames = np.concatenate([frames, frames[::-1], frames])[:41]
    frames = np.pad(frames, ((0, 0), (8, 8), (0, 32), (0, 0)))
    write_video(tmp_path / "long.mp4", frames, fps=20)
    outcome = attribute(tmp_path / "out", tmp_path / "long.mp4", *QUICK, "--target", "cross", "--overlap", 0.25)
    assert outcome.code == 0, outcome.err
    place = tmp_path / "out/long/cross"
    run = load_attribution(place)
    assert (run.windows, len(run.clip)) == (4, 41)  # starts 0, 12, 24 and the last that fits, 25
    with np.load(place / "maps.npz") as maps:
        assert maps["gradient"].shape == (41, 80, 96)
        assert np.diff(maps["seconds"]) == pytest.approx(0.05)
    assert vx.read_video(place / "gradient.mp4").frames.shape == (41, 80, 96, 3)


def test_wrong_words_are_one_sentence_and_write_nothing(videos, tmp_path):
    out = tmp_path / "out"
    for words, expected in (
        ((videos[0], "--method", "gradient,gradcam"), "got gradcam"),
        ((videos[0], "--method", ","), "got none"),
        ((videos[0], "--metric", "insertion,inertion"), "got inertion"),
        ((videos[0], "--metric", "pointing_game"), "got pointing_game"),
        ((videos[0], "--target", "crosss"), "did you mean cross"),
        ((videos[0], "--target", "99"), "99"),
        ((videos[0], "--overlap", "1.0", *QUICK), "expected an overlap"),
        ((videos[0], "--format", "webm"), "webm"),
        ((videos[0], "--method", "excitation_backprop_rnn"), "none that can: expected a network with an RNN"),
        ((), "expected at least one video, got none"),
    ):
        outcome = attribute(out, *words)
        assert outcome.code == 2, words
        assert expected in outcome.sentence, (words, outcome.sentence)
        assert not out.exists(), words
