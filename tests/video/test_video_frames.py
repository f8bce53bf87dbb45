"""Frames read one by one and cropped while they are read: the same as of the whole video."""

from pathlib import Path

import numpy as np
import pytest

from voxplain.errors import VideoError
from voxplain.video import (
    FrameGeometry,
    Geometry,
    LongSide,
    OwnGeometry,
    ShortSide,
    iterate_frames,
    read_cropped,
    read_video,
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).integers(0, 256, (7, 24, 32, 3), dtype=np.uint8))
    return tmp_path / "v.npy"


def test_frames_come_one_by_one(video: Path) -> None:
    np.testing.assert_array_equal(np.stack(list(iterate_frames(video))), read_video(video).frames)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((16, 20), (12, 12)),
        ShortSide(16, (12, 12)),
        LongSide((16, 16), fill=7),
        OwnGeometry(lambda frames: frames[:, ::2, 4:16], (12, 12)),
    ],
    ids=["squash", "short side", "long side", "own"],
)
def test_cropped_frames_are_those_of_the_whole_video(video: Path, geometry: FrameGeometry) -> None:
    clip, size = read_cropped(video, geometry)
    whole = read_video(video, geometry=geometry)
    assert size == (24, 32)
    np.testing.assert_array_equal(clip.frames, geometry.crop_frames(whole.frames))
    np.testing.assert_array_equal(clip.seconds, whole.seconds)


def test_too_many_frames_are_one_sentence(video: Path) -> None:
    with pytest.raises(VideoError, match="5 or more frames of 12×12 are more than max_pixels = 576"):
        read_cropped(video, Geometry((16, 20), (12, 12)), max_pixels=4 * 144)
