"""Samplers: which frames of a video become a clip.

Letters: `count` frames in the video, T frames in a clip, W clips (windows). A sampler is called with
`(count, rng=None)` and returns the frame indices int64 [W,T], each in 0 … count − 1.
A clip of T frames at stride s spans (T − 1)·s + 1 frames of the video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError, VideoError

# What to do with a video shorter than the span of a clip:
# start again at frame 0 | repeat the last frame | raise VideoError.
Short = Literal["loop", "pad", "error"]


class Sampler(Protocol):
    """Chooses frames: `(count, rng=None) -> int64 [W,T]`."""

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [W,T]."""
        ...


@dataclass(frozen=True)
class Middle:
    """One clip from the middle of the video: the papers' test clip.

    Parameters
    ----------
    frames : int
        T; the papers' 16.
    stride : int
        Frames of the video from one to the next.
    short : {"loop", "pad", "error"}
        For a video shorter than the clip: start again at its first frame, repeat its last one, or raise VideoError.

    Examples
    --------
    >>> Middle(4, stride=2)(11)
    array([[2, 4, 6, 8]])
    """

    frames: int = 16
    stride: int = 1
    short: Short = "loop"

    def __post_init__(self) -> None:
        """Check the fields."""
        _check(self.short, frames=self.frames, stride=self.stride)

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [1,T]; the start is rounded down."""
        free = count - _span(self.frames, self.stride)
        if free < 0:
            return _too_short(count, self.frames, self.stride, self.short)
        return free // 2 + _steps(self.frames, self.stride)


@dataclass(frozen=True)
class RandomFrames:
    """One clip whose first frame is drawn uniformly: the papers' training clip.

    Parameters
    ----------
    frames, stride, short
        As for `Middle`.
    """

    frames: int = 16
    stride: int = 1
    short: Short = "loop"

    def __post_init__(self) -> None:
        """Check the fields."""
        _check(self.short, frames=self.frames, stride=self.stride)

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [1,T]; without `rng` every call draws the same place."""
        free = count - _span(self.frames, self.stride)
        if free < 0:
            return _too_short(count, self.frames, self.stride, self.short)
        rng = np.random.default_rng(0) if rng is None else rng
        return int(rng.integers(free + 1)) + _steps(self.frames, self.stride)


@dataclass(frozen=True)
class Uniform:
    """One clip over the whole video: the middle frame of each of T equal segments.

    Parameters
    ----------
    frames, short
        As for `Middle`.

    References
    ----------
    Wang et al., Temporal segment networks, ECCV 2016 (arXiv 1608.00859).

    Examples
    --------
    >>> Uniform(4)(12)
    array([[ 1,  4,  7, 10]])
    """

    frames: int = 16
    short: Short = "loop"

    def __post_init__(self) -> None:
        """Check the fields."""
        _check(self.short, frames=self.frames)

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [1,T]: ⌊(2i + 1)·count / 2T⌋."""
        if count < self.frames:
            return _too_short(count, self.frames, 1, self.short)
        return (2 * np.arange(self.frames, dtype=np.int64)[None] + 1) * count // (2 * self.frames)


@dataclass(frozen=True)
class Windows:
    """Clips that slide over the whole video; the last one always ends at the last frame.

    Parameters
    ----------
    frames, stride, short
        As for `Middle`.
    step : int
        Frames of the video from one clip's start to the next; 1, as in the reference code, gives every window.

    Examples
    --------
    >>> Windows(4, step=3)(9)
    array([[0, 1, 2, 3],
           [3, 4, 5, 6],
           [5, 6, 7, 8]])
    """

    frames: int = 16
    stride: int = 1
    step: int = 8
    short: Short = "loop"

    def __post_init__(self) -> None:
        """Check the fields."""
        _check(self.short, frames=self.frames, stride=self.stride, step=self.step)

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [W,T]."""
        last = count - _span(self.frames, self.stride)
        if last < 0:
            return _too_short(count, self.frames, self.stride, self.short)
        starts = np.arange(0, last + 1, self.step, dtype=np.int64)
        if starts[-1] != last:
            starts = np.append(starts, last)
        return starts[:, None] + _steps(self.frames, self.stride)


@dataclass(frozen=True)
class Dense:
    """Clips spread evenly over the whole video, as networks are tested with several clips a video.

    Attribution explains each clip and merges the maps; the scores are the mean over clips. Where one clip a video is
    needed, as for concepts, it is the middle one.

    Parameters
    ----------
    frames, stride, short
        As for `Middle`.
    clips : int
        Clips of a video; fewer where it is too short for so many different ones.

    Examples
    --------
    >>> Dense(4, clips=3)(12)
    array([[ 0,  1,  2,  3],
           [ 4,  5,  6,  7],
           [ 8,  9, 10, 11]])
    """

    frames: int = 16
    stride: int = 1
    clips: int = 10
    short: Short = "loop"

    def __post_init__(self) -> None:
        """Check the fields."""
        _check(self.short, frames=self.frames, stride=self.stride, clips=self.clips)

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Frame indices int64 [W,T]; the first clip begins with the video, the last one ends with it."""
        free = count - _span(self.frames, self.stride)
        if free < 0:
            return _too_short(count, self.frames, self.stride, self.short)
        if self.clips == 1:
            return free // 2 + _steps(self.frames, self.stride)
        starts = np.unique(np.linspace(0, free, self.clips).round().astype(np.int64))
        return starts[:, None] + _steps(self.frames, self.stride)


def middle_window(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The middle one of windows int64 [W,T], as [1,T].

    Examples
    --------
    >>> middle_window(Windows(2, step=2)(6))
    array([[2, 3]])
    """
    place = len(index) // 2
    return index[place : place + 1]


def _check(short: str, **numbers: int) -> None:
    for name, number in numbers.items():
        if int(number) != number or number < 1:
            raise DataError(f"{name} must be a whole number of at least 1, got {number}.")
    if short not in ("loop", "pad", "error"):
        raise DataError(f"short must be 'loop', 'pad' or 'error', got {short!r}.")


def _span(frames: int, stride: int) -> int:
    return (frames - 1) * stride + 1


def _steps(frames: int, stride: int) -> NDArray[np.int64]:
    return stride * np.arange(frames, dtype=np.int64)[None]


def _too_short(count: int, frames: int, stride: int, short: Short) -> NDArray[np.int64]:
    """Indices [1,T] for a video that ends before the clip does."""
    if count < 1:
        raise VideoError("a video of 0 frames has no clip; give a video with at least one frame.")
    if short == "error":
        raise VideoError(
            f"a clip of {frames} frames at stride {stride} needs {_span(frames, stride)}, the video has "
            f"{count}; use short='loop' or 'pad', a smaller stride, or a longer video."
        )
    steps = _steps(frames, stride)
    return steps % count if short == "loop" else np.minimum(steps, count - 1)
