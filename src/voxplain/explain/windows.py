"""A video longer than the network's clip: overlapping windows, and their maps merged to the original time and size.

Letters: F frames of the video, W windows of T frames, h×w the network's input, H×W the video's frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxplain.errors import DataError
from voxplain.large import LARGE, forget, large_zeros
from voxplain.model import VideoModel
from voxplain.video import Clip, FrameGeometry, Windows

__all__ = ["RunningMerge", "Sliding", "merge", "slide", "to_original"]


@dataclass(frozen=True, eq=False)
class Sliding:
    """A video cut into windows; iterates over them as clips.

    Parameters
    ----------
    clip : Clip
        The whole video, its frames of the size of the network's input.
    index : int64 [W,T]
        Frames of each window.
    """

    clip: Clip
    index: np.ndarray

    def __iter__(self) -> Iterator[Clip]:
        return (self[number] for number in range(len(self)))

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.index)

    def __getitem__(self, number: int) -> Clip:
        """One window."""
        row = self.index[number]
        seconds = self.clip.seconds[np.sort(row)]  # a looped video starts again, its times do not
        return replace(self.clip, frames=self.clip.frames[row], seconds=seconds)

    @property
    def middle(self) -> int:
        """The window nearest the middle of the video."""
        return int(np.abs(self.index.mean(1) - (len(self.clip) - 1) / 2).argmin())


def slide(model: VideoModel, resized: Clip, geometry: FrameGeometry, *, overlap: float = 0.5) -> Sliding:
    """The clips of the model's sampler; without one overlapping windows of a video, the last of which ends with it.

    Parameters
    ----------
    model : VideoModel
        Gives the length of a window and the stride of its frames.
    resized : Clip
        Frames of the size of ``geometry.resized``.
    geometry : FrameGeometry
        Its crop is applied.
    overlap : float
        Share of a window that the next one repeats, 0 up to below 1; without a sampler.

    Returns
    -------
    Sliding

    Raises
    ------
    DataError
        An overlap out of range.
    """
    if not 0 <= overlap < 1:
        raise DataError(f"expected an overlap from 0 up to below 1, got {overlap}")
    if model.sampler is not None:
        index = model.sampler(len(resized))
    else:
        span = (model.grid[0] - 1) * model.stride + 1
        step = max(1, round(span * (1 - overlap)))
        index = Windows(model.grid[0], model.stride, step)(len(resized))
    return Sliding(replace(resized, frames=geometry.crop_frames(resized.frames)), index)


def merge(maps: Sequence[np.ndarray], index: np.ndarray, frames: int) -> np.ndarray:
    """Merge the maps of windows: the weighted mean over windows, with the least weight at a window's ends.

    Parameters
    ----------
    maps : W arrays [T,h,w]
    index : int64 [W,T]
        Frames of each window.
    frames : int
        Frames of the video, F.

    Returns
    -------
    float32 [F,h,w]
        Frames that a stride leaves out get the value between their neighbours in time; those before the first and
        after the last window 0, unless they are nearer to it than its frames to each other.

    Examples
    --------
    >>> merge([np.ones((3, 1, 1)), np.zeros((3, 1, 1))], np.array([[0, 1, 2], [2, 3, 4]]), 5).ravel().tolist()
    [1.0, 1.0, 0.5, 0.0, 0.0]
    """
    running = RunningMerge(frames, index)
    for own in maps:
        running.add(own)
    return running.finish()


class RunningMerge:
    """`merge` of maps that come one after the other; only windows that overlap are summed in double precision.

    Parameters
    ----------
    frames : int
        Frames of the video, F.
    index : int64 [W,T]
        Frames of each window, in any order; in that of time the least memory is needed.
    least : int, optional
        Bytes of the merged map from which it is in a file; by default 64 MiB.
    """

    def __init__(self, frames: int, index: np.ndarray, *, least: int | None = None) -> None:
        t = index.shape[1]
        self._index, self._frames, self._least = index, frames, least
        self._weight = 1 - np.abs(np.arange(t) - (t - 1) / 2) / ((t + 1) / 2)  # a triangle that is nowhere 0
        first = index.min(1)
        self._first = np.minimum.accumulate(first[::-1])[::-1]  # the first frame that this or a later window has
        self._row = self._done = self._forgotten = 0
        self._known = np.zeros(frames, bool)
        self._out = self._sum = np.zeros(0, np.float32)
        self._mass = np.zeros(0)

    def add(self, values: np.ndarray) -> None:
        """Add the map of the next window, [T,h,w]."""
        row = self._index[self._row]
        if self._row == 0:
            self._out = large_zeros((self._frames, *values.shape[1:]), np.float32, least=self._least)
            self._sum = np.zeros((0, *values.shape[1:]))
        self._divide_before(int(self._first[self._row]))
        more = int(row.max()) + 1 - self._done - len(self._sum)
        if more > 0:
            self._sum = np.concatenate([self._sum, np.zeros((more, *values.shape[1:]))])
            self._mass = np.concatenate([self._mass, np.zeros(more)])
        np.add.at(self._sum, row - self._done, self._weight[:, None, None] * values)
        np.add.at(self._mass, row - self._done, self._weight)
        self._row += 1

    def _divide_before(self, stop: int) -> None:
        """Divide the sums of frames before ``stop``, which no later window has."""
        count = min(stop - self._done, len(self._sum))
        if count <= 0:
            return
        known = np.flatnonzero(self._mass[:count] > 0)
        self._out[self._done + known] = self._sum[known] / self._mass[known, None, None]
        self._known[self._done + known] = True
        self._sum, self._mass = self._sum[count:], self._mass[count:]
        self._done += count
        if (self._done - self._forgotten) * self._out[0].nbytes >= LARGE:
            forget(self._out)
            self._forgotten = self._done

    def finish(self) -> np.ndarray:
        """The merged map, float32 [F,h,w]."""
        self._divide_before(self._frames)
        self._forgotten = 0
        known, missing = np.flatnonzero(self._known), np.flatnonzero(~self._known)
        after = np.searchsorted(known, missing)
        left, right = known[np.clip(after - 1, 0, None)], known[np.clip(after, None, len(known) - 1)]
        share = np.where(right > left, (missing - left) / np.maximum(right - left, 1), 0.0)
        for frame, one, two, part in zip(missing, left, right, share, strict=True):
            if (frame - self._forgotten) * self._out[0].nbytes >= LARGE:
                forget(self._out)
                self._forgotten = int(frame)
            self._out[frame] = (1 - part) * self._out[one].astype(np.float64) + part * self._out[two]
        gap, frames = int(np.diff(known).max(initial=1)), np.arange(self._frames)
        self._out[np.maximum(known[0] - frames, frames - known[-1]) >= gap] = 0
        forget(self._out)
        return self._out


def to_original(values: np.ndarray, geometry: FrameGeometry, height: int, width: int) -> np.ndarray:
    """Maps of the cropped frames on the frames of the video.

    Parameters
    ----------
    values : float32 [F,h,w]
    geometry : FrameGeometry
        What cropped and resized the frames.
    height, width : int
        Of the video's frames.

    Returns
    -------
    float32 [F,H,W]
        0 outside the crop, which the network does not get. Of an `OwnGeometry`, whose inverse is not known, the maps as
        they are.
    """
    return geometry.to_original(values, height, width)
