"""Fills against their definitions, hide and reveal at their endpoints and in between."""

import numpy as np
import pytest

from voxplain.errors import DataError
from voxplain.perturb import FILLS, base_clip, hide, reveal

MEAN = np.array([110, 100, 90], dtype=np.uint8)


def noise(seed: int, shape: tuple[int, ...] = (3, 14, 18, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("fill", "colour"), [("mean", MEAN), ("grey", 117), ("black", 0)])
def test_constant_fills(fill, colour):
    base = base_clip(noise(0), fill, MEAN)
    np.testing.assert_array_equal(base, np.broadcast_to(colour, base.shape))


def slow_blur(line: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian on a line whose edges are reflected (d c b a | a b c d | d c b a)."""
    radius, n = int(4 * sigma + 0.5), len(line)
    at = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    weights /= weights.sum()
    period = np.concatenate([line, line[::-1]])
    return np.array([weights @ period[(i + at) % (2 * n)] for i in range(n)])


@pytest.mark.parametrize("height", [14, 28])
def test_blur_is_a_gaussian_of_20_pixels_at_height_112(height):
    frames = noise(1, (2, height, 18, 3))
    sigma = 20 * height / 112
    truth = np.apply_along_axis(slow_blur, 2, np.apply_along_axis(slow_blur, 1, frames / 1.0, sigma), sigma)
    got = base_clip(frames, "blur", MEAN).astype(float)
    assert np.abs(got - truth).max() < 0.51


def test_blur_mixes_neither_frames_nor_colours():
    frames = np.zeros((3, 14, 18, 3), np.uint8)
    frames[1, :, :, 2] = 200
    np.testing.assert_array_equal(base_clip(frames, "blur", MEAN), frames)


@pytest.mark.parametrize("fill", FILLS)
def test_endpoints_and_partition(fill):
    frames = noise(2)
    before = frames.copy()
    base = base_clip(frames, fill, MEAN)
    assert base.shape == frames.shape
    assert base.dtype == np.uint8
    assert base.flags.writeable
    nothing, everything = np.zeros(frames.shape[:3], bool), np.ones(frames.shape[:3], bool)
    assert hide(frames, nothing, base).tobytes() == frames.tobytes()
    assert reveal(frames, everything, base).tobytes() == frames.tobytes()
    assert hide(frames, everything, base).tobytes() == base.tobytes()
    assert reveal(frames, nothing, base).tobytes() == base.tobytes()
    mask = np.random.default_rng(3).random(frames.shape[:3]) < 0.3
    hidden, revealed = hide(frames, mask, base), reveal(frames, mask, base)
    for t, y, x in np.ndindex(*mask.shape):
        there, elsewhere = (hidden, revealed) if mask[t, y, x] else (revealed, hidden)
        assert (there[t, y, x] == base[t, y, x]).all()
        assert (elsewhere[t, y, x] == frames[t, y, x]).all()
    assert frames.tobytes() == before.tobytes()


def test_results_share_no_memory_with_the_input():
    frames = noise(4)
    base = base_clip(frames, "black", MEAN)
    for result in (hide, reveal):
        got = result(frames, np.zeros(frames.shape[:3], bool), base)
        assert not np.shares_memory(got, frames)
        assert not np.shares_memory(got, base)


def test_unknown_fill_and_wrong_shapes_are_refused():
    frames = noise(5)
    base, mask = base_clip(frames, "grey", MEAN), np.zeros(frames.shape[:3], bool)
    with pytest.raises(DataError, match="mean, grey, black, blur, median, got 'noise'"):
        base_clip(frames, "noise", MEAN)
    with pytest.raises(DataError, match="mean colour"):
        base_clip(frames, "mean", MEAN / 255)
    with pytest.raises(DataError, match="uint8 frames"):
        base_clip(frames[0], "mean", MEAN)
    with pytest.raises(DataError, match="base"):
        hide(frames, mask, base[:1])
    with pytest.raises(DataError, match="mask"):
        reveal(frames, mask[:1], base)
    with pytest.raises(DataError, match="mask"):
        hide(frames, mask.astype(np.uint8), base)


def test_median_is_the_background_of_a_clip_that_it_fills_more_than_half_of():
    frames = noise(7)
    frames[:, :8] = (3, 5, 7)
    got = base_clip(frames, "median", MEAN)
    slow = [sorted(frames[..., c].ravel().tolist()) for c in range(3)]
    n = len(slow[0])
    assert got[0, 0, 0].tolist() == [int((s[n // 2 - 1] + s[n // 2]) / 2) for s in slow]
    frames[:] = noise(8) // 4 + 190
    frames[:, :8] = (3, 5, 7)
    assert (base_clip(frames, "median", MEAN) == (3, 5, 7)).all()
