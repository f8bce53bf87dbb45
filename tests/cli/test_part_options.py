"""`attribute --from --to --crop --region`, and the times of overlays."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import Outcome, voxplain

from voxplain.store import load_attribution
from voxplain.video import Excerpt, read_cropped, read_video
from voxplain.video.encode import encode_stream, write_video

FAST = ("--net", "planted", "--method", "gradient", "--metric", "none", "--device", "cpu")


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """4 s of 80×96 at 10 frames a second."""
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (40, 10, 12, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video(tmp_path / "a.mp4", frames, fps=10)
    return tmp_path / "a.mp4"


def attribute(*words: object) -> Outcome:
    return voxplain("attribute", "a.mp4", *FAST, "-o", "out", *words)


def only(folder: Path, name: str) -> Path:
    (found,) = folder.rglob(name)
    return found


def test_a_part_is_explained_recorded_and_drawn(video: Path) -> None:
    done = attribute("--from", "1", "--to", "3", "--crop", "16,8,48,40", "--format", "mp4", "png")
    assert done.code == 0, done.err
    run = load_attribution(only(Path("out"), "run.json").parent)
    assert run.provenance["excerpt"] == {"start": 1.0, "stop": 3.0, "crop": [16, 8, 48, 40]}
    wanted, _ = read_cropped(video, _planted_geometry(), excerpt=Excerpt(1, 3, (16, 8, 48, 40)))
    assert np.array_equal(run.clip.frames, wanted.frames)
    np.testing.assert_allclose(run.clip.seconds, np.arange(10, 30) / 10)
    with np.load(only(Path("out"), "maps.npz")) as maps:
        assert maps["gradient"].shape == (20, 40, 48)
        np.testing.assert_allclose(maps["seconds"], np.arange(10, 30) / 10)
    assert read_video(only(Path("out"), "gradient.mp4")).frames.shape == (20, 40, 48, 3)
    assert "seconds 1.0 to 3.0, 48×40 pixels at 16, 8" in Path("out/report.html").read_text()
    assert "--crop 16,8,48,40" in json.loads(Path("out/origin.json").read_text())["command"]


def _planted_geometry():
    import voxplain as vx

    return vx.load_model("planted").reader().geometry


def test_a_file_of_regions_names_the_rectangle_of_each_video(video: Path) -> None:
    Path("regions.csv").write_text("video,x,y,width,height\nb.mp4,0,0,8,8\na.mp4,16,8,48,40\n")
    done = attribute("--region", "regions.csv", "--format", "png")
    assert done.code == 0, done.err
    run = load_attribution(only(Path("out"), "run.json").parent)
    assert run.provenance["excerpt"] == {"crop": [16, 8, 48, 40]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--crop", "1,2,3"), "expected x,y,width,height in whole pixels, got --crop 1,2,3"),
        (("--crop", "1,2,3,x"), "expected x,y,width,height in whole pixels"),
        (("--from", "3", "--to", "2"), "a stop after the start"),
        (("--crop", "0,0,8,8", "--region", "r.csv"), "expected --crop or --region, got both"),
        (("--region", "none.csv"), "expected a CSV file of regions, got none.csv"),
        (("--region", "short.csv"), "in line 1 of short.csv, got 4 values"),
        (("--region", "other.csv"), "expected a region of a.mp4 in other.csv, got none"),
        (("--crop", "60,0,80,8"), "expected a video that can be read, got none among 1"),
    ],
)
def test_what_cannot_be_cut_out_is_an_error(video: Path, words: tuple[str, ...], said: str) -> None:
    Path("short.csv").write_text("a.mp4,0,0,8\n")
    Path("other.csv").write_text("b.mp4,0,0,8,8\n")
    done = attribute(*words, "--format", "png")
    assert done.code == 2
    assert said in done.sentence


def stamps(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def own_times(path: Path, seconds: np.ndarray) -> None:
    """A video whose frames are shown at given times."""
    frames = np.random.default_rng(1).integers(0, 256, (len(seconds), 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    with path.open("w+b") as file:
        encode_stream(iter(frames), file, seconds=seconds)


@pytest.mark.parametrize(
    "seconds",
    [
        np.arange(12) * 5.0,  # 0.2 frames a second: the last at 55 s
        np.cumsum([0.0, *([0.04] * 10), *([0.2] * 6), 1.0, 0.04]),
    ],
    ids=["slow", "variable"],
)
def test_overlays_keep_the_times_of_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: np.ndarray
) -> None:
    monkeypatch.chdir(tmp_path)
    own_times(tmp_path / "a.mp4", seconds)
    np.testing.assert_allclose(read_video(tmp_path / "a.mp4").seconds, seconds, atol=0.001)
    assert attribute("--format", "mp4", "gif").code == 0
    np.testing.assert_allclose(stamps(only(Path("out"), "gradient.mp4")), seconds, atol=0.02)
    from PIL import Image

    with Image.open(only(Path("out"), "gradient.gif")) as gif:
        shown = []
        for number in range(gif.n_frames):
            gif.seek(number)
            shown.append(gif.info["duration"] / 1000)
    np.testing.assert_allclose(np.cumsum(shown)[:-1], seconds[1:], atol=0.02 * len(seconds))
