"""The Clip record and ClipReader."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from known_videos import counting, indices, write_video

from voxplain.errors import DataError, VideoError
from voxplain.video import Clip, ClipReader, Geometry, Middle, RandomFrames, Windows, read_video

GOOD = np.zeros((3, 4, 5, 3), np.uint8)


def test_from_array_times_and_repr() -> None:
    clip = Clip.from_array(GOOD, fps=10, source="made", label=2)
    assert clip.seconds.tolist() == [0.0, 0.1, 0.2]
    assert repr(clip) == "Clip(3×4×5, 0.00-0.20 s, source='made', label=2)"
    assert len(clip) == 3
    assert len(repr(Clip.from_array(np.zeros((50, 90, 90, 3), np.uint8)))) < 120


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1)])
def test_grey_becomes_three_equal_channels(shape: tuple[int, ...]) -> None:
    grey = np.arange(60, dtype=np.uint8).reshape(shape)
    clip = Clip.from_array(grey)
    assert (clip.frames == grey.reshape(3, 4, 5, 1)).all()
    assert clip.frames.shape == (3, 4, 5, 3)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (GOOD.astype(np.float32), "float32"),
        (np.full((3, 4, 5, 3), np.nan), "NaN"),
        (GOOD.astype(np.int64), "int64"),
        (GOOD > 0, "bool"),
        (GOOD[0], "one picture"),
        (GOOD[0, 0, 0], r"\[T,H,W,3\]"),
        (np.uint8(3), r"\[T,H,W,3\]"),
        (GOOD[None], r"\[T,H,W,3\]"),
        (np.zeros((3, 4, 5, 4), np.uint8), "3 colour channels"),
        (np.zeros((3, 3, 4, 5), np.uint8), "3 colour channels"),
        (GOOD[:0], "at least one frame"),
        (GOOD[:, :0], "at least one frame"),
    ],
)
def test_bad_arrays(frames: np.ndarray, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        Clip.from_array(frames)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (np.zeros(2), "3 frames"),
        (np.zeros((3, 1)), "3 frames"),
        (np.array([0.0, 2.0, 1.0]), "never decrease"),
        (np.array([0.0, np.nan, 1.0]), "finite"),
        (np.zeros(3, np.float32), "float64"),
        ([0, 1, 2], "float64"),
    ],
)
def test_bad_times(seconds: object, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        Clip(GOOD, seconds, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_bad_fps(fps: float) -> None:
    with pytest.raises(VideoError, match="fps"):
        Clip.from_array(GOOD, fps=fps)


@pytest.fixture
def noise_video(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 256, (40, 30, 40, 3), np.uint8)
    return write_video(tmp_path / "n.mkv", frames, "ffv1", "bgr0")


def test_reader_is_sampling_then_geometry(noise_video: Path) -> None:
    geometry = Geometry((24, 32), (20, 20))
    whole = read_video(noise_video)
    clip = ClipReader(Middle(8), geometry)(noise_video, label=3)
    assert (clip.frames == geometry(whole.frames[Middle(8)(40)[0]])).all()
    assert (clip.seconds == whole.seconds[16:24]).all()
    assert (clip.label, clip.source) == (3, str(noise_video))
    windows = ClipReader(Windows(8, step=8), geometry).windows(noise_video, label=1)
    assert len(windows) == 5
    for i, window in enumerate(windows):
        assert (window.frames == geometry(whole.frames[8 * i : 8 * i + 8])).all()
        assert window.label == 1


def test_default_reader_gives_the_papers_clip(tmp_path: Path) -> None:
    clip = ClipReader()(write_video(tmp_path / "p.mp4", counting(26)))
    assert clip.frames.shape == (16, 112, 112, 3)
    assert indices(clip.frames) == list(range(5, 21))


def test_training_reader_draws_place_corner_and_mirror(noise_video: Path) -> None:
    reader = ClipReader(RandomFrames(8), Geometry((30, 40), (20, 20)), random_crop=True, flip=0.5)
    whole = read_video(noise_video).frames
    seen = set()
    for seed in range(40):
        clip = reader(noise_video, rng=np.random.default_rng(seed))
        again = reader(noise_video, rng=np.random.default_rng(seed))
        assert (clip.frames == again.frames).all()
        start = round(float(clip.seconds[0]) * 25)
        # Find the corner and mirror by looking for the clip's first rows in the frame.
        places = [
            (y, x, mirror)
            for mirror in (False, True)
            for y in range(11)
            for x in range(21)
            if (whole[start, y, x : x + 20] == clip.frames[0, 0, :: -1 if mirror else 1]).all()
        ]
        assert len(places) == 1
        seen.add((start, *places[0]))
    assert len({s[0] for s in seen}) > 10
    assert len({s[1] for s in seen}) > 5
    assert len({s[2] for s in seen}) > 8
    assert 8 < sum(s[3] for s in seen) < 32


def test_one_generator_gives_different_clips_in_turn(noise_video: Path) -> None:
    rng = np.random.default_rng(0)
    reader = ClipReader(RandomFrames(4), Geometry((30, 40), (30, 40)))
    assert len({reader(noise_video, rng=rng).seconds[0] for _ in range(8)}) > 3


def test_bad_flip() -> None:
    with pytest.raises(DataError, match="probability"):
        ClipReader(flip=2)


# --- an array, a picture, a file ---


def moving(count: int = 12, height: int = 30, width: int = 40) -> Clip:
    """A bright square that moves to the right on a dark slope of colours, 10 frames a second."""
    frames = np.zeros((count, height, width, 3), np.uint8) + np.arange(width, dtype=np.uint8)[:, None]
    for i in range(count):
        frames[i, 8:20, 2 * i : 2 * i + 12] = (250, 200, 40)
    return Clip.from_array(frames, fps=10, source="<moving>")


def test_numpy_reads_a_clip_without_a_copy() -> None:
    clip = moving()
    assert np.shares_memory(np.asarray(clip), clip.frames)
    assert not np.shares_memory(np.array(clip), clip.frames)
    assert np.asarray(clip, np.float32).dtype == np.float32
    assert np.stack([clip, clip]).shape == (2, 12, 30, 40, 3)
    assert np.asarray(clip)[3, 10, 8].tolist() == [250, 200, 40]


@pytest.mark.parametrize(("suffix", "most"), [(".npy", 0), (".gif", 12), (".MP4", 12)])
def test_a_saved_clip_is_read_again(tmp_path: Path, suffix: str, most: int) -> None:
    clip = moving()
    again = read_video(clip.save(tmp_path / f"clip{suffix}"))
    assert again.frames.shape == clip.frames.shape
    assert np.abs(again.frames.astype(int) - clip.frames).mean() <= most / 2
    if suffix != ".npy":  # an array carries no times
        np.testing.assert_allclose(again.seconds, clip.seconds, atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [f"clip{suffix}"]


def test_a_clip_is_not_saved_under_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"ends in \.mp4, \.gif or \.npy, got 'clip\.avi'"):
        moving().save(tmp_path / "clip.avi")
    assert not list(tmp_path.iterdir())


def test_frames_a_second() -> None:
    assert moving().fps == pytest.approx(10)
    assert moving(1).fps == 25


def test_a_notebook_shows_a_small_animation(tmp_path: Path) -> None:
    html = moving(100, 500, 600)._repr_html_()
    assert "source=&#x27;&lt;moving&gt;&#x27;" in html
    assert "<moving>" not in html
    (tmp_path / "shown.gif").write_bytes(base64.b64decode(html.split("base64,")[1].split("'")[0]))
    shown = read_video(tmp_path / "shown.gif")
    assert shown.frames.shape == (48, 167, 200, 3)
    assert shown.seconds[-1] == pytest.approx(10, rel=0.1)


def test_elsewhere_a_window_shows_eight_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("Agg")
    titles: list[list[str]] = []
    monkeypatch.setattr(plt, "show", lambda: titles.append([a.get_title() for a in plt.gcf().axes]))
    moving().show()
    assert titles == [["0.00 s", "0.20 s", "0.30 s", "0.50 s", "0.60 s", "0.80 s", "0.90 s", "1.10 s"]]
    assert not plt.get_fignums()


def test_in_a_notebook_show_displays_the_animation(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    display = SimpleNamespace(display=shown.append, HTML=lambda html: html)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object, display=display))
    clip = moving()
    clip.show()
    assert shown == [clip._repr_html_()]
