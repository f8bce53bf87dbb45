"""Frames that come one by one are those of the whole video, in less memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from known_videos import write_video
from PIL import Image

from voxplain.errors import VideoError
from voxplain.video import Geometry, iterate_frames, read_cropped, read_video
from voxplain.video.encode import encode_stream, encode_video

GEOMETRY = Geometry((32, 40), (24, 24))


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """A file, a folder of pictures of two sizes, and an array."""
    frames = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), np.uint8)
    write_video(tmp_path / "a.mkv", frames, "ffv1", "bgr0")
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame[: 48 - 8 * (i > 3)]).save(tmp_path / "frames" / f"{i}.png")
    np.save(tmp_path / "a.npy", frames)
    return [tmp_path / "a.mkv", tmp_path / "frames", tmp_path / "a.npy"]


def test_they_are_those_of_the_whole_video(videos: list[Path]) -> None:
    for path in videos:
        whole = read_video(path)
        assert (np.stack(list(iterate_frames(path))) == whole.frames).all()
        clip, size = read_cropped(path, GEOMETRY)
        assert size == (48, 64)
        assert (clip.frames == GEOMETRY(whole.frames)).all()
        assert (clip.seconds == whole.seconds).all()
    with pytest.raises(VideoError, match="max_pixels"):
        read_cropped(videos[0], GEOMETRY, max_pixels=8 * 24 * 24)


def test_memory_is_that_of_the_cropped_frames(tmp_path: Path) -> None:
    frames = np.zeros((60, 240, 320, 3), np.uint8)
    path = write_video(tmp_path / "long.mkv", frames, "mpeg4")
    del frames
    tracemalloc.start()
    clip, _ = read_cropped(path, GEOMETRY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clip.frames.nbytes == 60 * 24 * 24 * 3
    assert peak < 60 * 240 * 320 * 3 / 4, "all frames at their own size take 13.8 MB"


def test_encoding_one_by_one_gives_the_same_bytes(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (6, 33, 46, 3), np.uint8)
    with (tmp_path / "a.mp4").open("wb") as file:
        encode_stream(iter(frames), file, fps=10)
    assert (tmp_path / "a.mp4").read_bytes() == encode_video(frames, fps=10)
