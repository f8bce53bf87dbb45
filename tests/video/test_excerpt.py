"""Parts of videos: the frames and the pixels that the whole video has there."""

from pathlib import Path

import numpy as np
import pytest

from voxplain.errors import DataError, VideoError
from voxplain.video import ClipReader, Excerpt, Geometry, Middle, iterate_frames, read_cropped, read_video
from voxplain.video.encode import write_video

GEOMETRY = Geometry.squash(8, 10)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 frames of 24×32 at 10 a second: 5 s."""
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video(path, frames, fps=10)
    return path


def test_frames_and_pixels_are_those_of_the_whole_video(video: Path) -> None:
    whole, part = read_video(video), Excerpt(1.0, 2.5, (4, 2, 20, 16))
    found, size = read_cropped(video, GEOMETRY, excerpt=part)
    assert size == (16, 20)
    np.testing.assert_allclose(found.seconds, np.arange(10, 25) / 10)
    wanted = whole.frames[10:25, 2:18, 4:24]
    assert np.array_equal(np.stack(list(iterate_frames(video, excerpt=part))), wanted)
    resized = GEOMETRY.crop_frames(np.stack([_resized(frame) for frame in wanted]))
    assert np.array_equal(found.frames, resized)


def _resized(frame: np.ndarray) -> np.ndarray:
    from voxplain.video.geometry import resize_frame

    return resize_frame(frame, GEOMETRY.resized(*frame.shape[:2]))


def test_a_reader_chooses_frames_of_the_part(video: Path) -> None:
    reader, part = ClipReader(Middle(4), GEOMETRY), Excerpt(start=3.0)
    (clip,) = reader.windows(video, excerpt=part)
    np.testing.assert_allclose(clip.seconds, (np.arange(8, 12) + 30) / 10)
    assert np.array_equal(clip.frames, read_cropped(video, GEOMETRY, excerpt=part)[0].frames[8:12])


def test_without_a_rectangle_the_picture_stays_whole(video: Path) -> None:
    _, size = read_cropped(video, GEOMETRY, excerpt=Excerpt(stop=0.35))
    assert size == (24, 32)
    assert len(list(iterate_frames(video, excerpt=Excerpt(stop=0.35)))) == 4


def test_arrays_without_times_have_those_of_their_rate(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3), np.uint8)
    np.save(tmp_path / "a.npy", frames)
    found = list(iterate_frames(tmp_path / "a.npy", excerpt=Excerpt(1.0, 1.2)))  # 25 frames a second
    assert np.array_equal(np.stack(found), frames[25:30])


def test_parts_outside_the_video_are_errors(video: Path) -> None:
    with pytest.raises(VideoError, match=r"expected frames from 9 to 12 s, got a video that ends at 4\.9 s"):
        read_cropped(video, GEOMETRY, excerpt=Excerpt(9, 12))
    with pytest.raises(VideoError, match=r"expected a crop inside the 32×24 pixels of the video, got 20×8 at 20, 0"):
        read_cropped(video, GEOMETRY, excerpt=Excerpt(crop=(20, 0, 20, 8)))


@pytest.mark.parametrize(
    "wrong", [{"start": 3, "stop": 2}, {"start": -1}, {"crop": (0, 0, 0, 4)}, {"crop": (-1, 0, 4, 4)}, {"stop": 0.0}]
)
def test_impossible_parts_are_errors(wrong: dict) -> None:
    with pytest.raises(DataError, match=r"^expected "):
        Excerpt(**wrong)
