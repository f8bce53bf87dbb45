"""Samplers against closed forms and properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxplain.errors import DataError, VideoError
from voxplain.video import Middle, RandomFrames, Uniform, Windows

SAMPLERS = {"middle": Middle, "random": RandomFrames, "uniform": Uniform, "windows": Windows}
COUNTS, FRAMES, STRIDES = st.integers(1, 400), st.integers(1, 40), st.integers(1, 7)


@pytest.mark.parametrize(
    ("sampler", "count", "expected"),
    [
        (Middle(16), 16, [range(16)]),
        (Middle(16), 17, [range(16)]),
        (Middle(16), 18, [range(1, 17)]),
        (Middle(16), 100, [range(42, 58)]),
        (Middle(4, stride=3), 20, [[5, 8, 11, 14]]),
        (Middle(4, short="loop"), 3, [[0, 1, 2, 0]]),
        (Middle(4, short="pad"), 3, [[0, 1, 2, 2]]),
        (Middle(4, stride=2, short="loop"), 5, [[0, 2, 4, 1]]),
        (Middle(4, stride=2, short="pad"), 5, [[0, 2, 4, 4]]),
        (Uniform(4), 8, [[1, 3, 5, 7]]),
        (Uniform(4), 4, [[0, 1, 2, 3]]),
        (Uniform(3), 10, [[1, 5, 8]]),
        (Uniform(4, short="pad"), 2, [[0, 1, 1, 1]]),
        (Windows(4, step=4), 8, [range(4), range(4, 8)]),
        (Windows(4, step=4), 10, [range(4), range(4, 8), range(6, 10)]),
        (Windows(4, step=100), 4, [range(4)]),
        (Windows(2, stride=3, step=2), 7, [[0, 3], [2, 5], [3, 6]]),
        (Windows(4, short="pad"), 1, [[0, 0, 0, 0]]),
    ],
)
def test_closed_forms(sampler: Any, count: int, expected: list) -> None:
    index = sampler(count)
    assert index.dtype == np.int64
    assert index.tolist() == [list(row) for row in expected]


@given(COUNTS, FRAMES, STRIDES, st.sampled_from(["loop", "pad"]), st.sampled_from(sorted(SAMPLERS)))
def test_every_index_exists(count: int, frames: int, stride: int, short: str, name: str) -> None:
    fields = {"frames": frames, "short": short} | ({} if name == "uniform" else {"stride": stride})
    index = SAMPLERS[name](**fields)(count, np.random.default_rng(0))
    assert index.dtype == np.int64
    assert index.ndim == 2
    assert index.shape[1] == frames
    assert index.min() >= 0
    assert index.max() < count
    span = frames if name == "uniform" else (frames - 1) * stride + 1
    if count >= span and name != "uniform":
        assert (np.diff(index, axis=1) == stride).all()


@given(COUNTS, FRAMES, STRIDES)
def test_the_middle_is_the_middle(count: int, frames: int, stride: int) -> None:
    index = Middle(frames, stride)(count)[0]
    if count >= (frames - 1) * stride + 1:
        before, after = index[0], count - 1 - index[-1]
        assert after - before in (0, 1)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 4), st.integers(1, 30))
def test_windows_cover_the_end_once_and_everything_when_the_step_is_small(
    count: int, frames: int, stride: int, step: int
) -> None:
    index = Windows(frames, stride, step)(count)
    if count < (frames - 1) * stride + 1:
        assert len(index) == 1
        return
    assert index[0, 0] == 0
    assert index[-1, -1] == count - 1
    gaps = np.diff(index[:, 0])
    assert (gaps >= 1).all()
    assert (gaps <= step).all()
    if stride == 1 and step <= frames:
        assert set(index.ravel().tolist()) == set(range(count))


@given(st.integers(1, 300), st.integers(1, 30))
def test_uniform_takes_one_frame_of_each_part(count: int, frames: int) -> None:
    if count >= frames:
        index = Uniform(frames)(count)[0]
        edges = np.arange(frames + 1) * count / frames
        assert (index >= np.floor(edges[:-1])).all()
        assert (index < edges[1:]).all()
        # The same from the other end, up to the rounding of one frame.
        assert np.abs((count - 1 - index[::-1]) - index).max() <= 1


def test_random_reaches_every_start_equally_and_repeats_with_its_seed() -> None:
    rng = np.random.default_rng(0)
    starts = np.array([RandomFrames(16)(20, rng)[0, 0] for _ in range(2000)])
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400 * 0.8)
    same = [RandomFrames()(100, np.random.default_rng(3)).tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert RandomFrames()(100).tolist() == RandomFrames()(100).tolist()


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_too_short_and_bad_fields(name: str) -> None:
    with pytest.raises(VideoError, match=r"needs 16.*has 15"):
        SAMPLERS[name](frames=16, short="error")(15)
    for short in ("loop", "pad", "error"):
        with pytest.raises(VideoError, match="0 frames"):
            SAMPLERS[name](short=short)(0)
    with pytest.raises(DataError, match="short must be"):
        SAMPLERS[name](short="mirror")
    for bad in (0, -3, 1.5):
        with pytest.raises(DataError, match="frames must be"):
            SAMPLERS[name](frames=bad)
