"""Videos written and read back."""

import io

import av
import numpy as np
import pytest

from voxplain.errors import VideoError
from voxplain.video import read_video
from voxplain.video.encode import encode_video, write_video


def moving(frames: int = 6, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """A smooth coloured ramp that moves; codecs keep it well."""
    t, y, x = np.meshgrid(np.arange(frames), *map(np.arange, size), indexing="ij")
    return np.stack([(60 + 3 * y + 5 * t) % 256, 40 + 2 * x + 0 * t, 200 - 2 * y - t], -1).astype(np.uint8)


def test_what_is_written_is_read_back(tmp_path):
    frames = moving()
    write_video(tmp_path / "v.mp4", frames, fps=10)
    clip = read_video(tmp_path / "v.mp4")
    assert clip.frames.shape == frames.shape
    assert np.abs(clip.frames.astype(int) - frames).mean() < 3
    # Colours in their order, and frames in theirs.
    means = clip.frames.reshape(6, -1, 3).mean(1)
    assert np.abs(means - frames.reshape(6, -1, 3).mean(1)).max() < 3
    assert np.allclose(clip.seconds, np.arange(6) / 10)
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


def test_the_same_frames_give_the_same_bytes():
    assert encode_video(moving()) == encode_video(moving())
    assert encode_video(moving()) != encode_video(moving()[::-1])


def test_a_lower_rate_factor_keeps_more():
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    small, large = encode_video(noise, crf=40), encode_video(noise, crf=5)
    assert len(small) < len(large) / 2


@pytest.mark.parametrize("size", [(17, 16), (16, 17), (31, 33)])
def test_odd_sides_repeat_their_last_line(size):
    frames = moving(2, size)
    with av.open(io.BytesIO(encode_video(frames)), "r") as container:
        shape = next(container.decode(video=0)).to_ndarray(format="rgb24").shape
    assert shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_frame_is_kept(count, tmp_path):
    write_video(tmp_path / "v.mp4", moving(count, (16, 16)))
    assert len(read_video(tmp_path / "v.mp4")) == count


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 16, 16, 3)),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((2, 3, 16, 16), np.uint8),
        np.zeros((0, 16, 16, 3), np.uint8),
        np.zeros((2, 0, 16, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(frames):
    with pytest.raises(VideoError, match=r"uint8 \[T,H,W,3\]"):
        encode_video(frames)
