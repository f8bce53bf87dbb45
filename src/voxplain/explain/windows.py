"""A video longer than the network's clip: overlapping windows, and their maps merged to the original time and size.

Letters: F frames of the video, W windows of T frames, h×w the network's input, H×W the video's frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.video import Clip, FrameGeometry, Windows

__all__ = ["Sliding", "merge", "slide", "to_original"]


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
        for row in self.index:
            seconds = self.clip.seconds[np.sort(row)]  # a looped video starts again, its times do not
            yield replace(self.clip, frames=self.clip.frames[row], seconds=seconds)

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
    t = index.shape[1]
    weight = 1 - np.abs(np.arange(t) - (t - 1) / 2) / ((t + 1) / 2)  # a triangle that is nowhere 0
    total = np.zeros((frames, *maps[0].shape[1:]), np.float64)
    mass = np.zeros(frames)
    for row, own in zip(index, maps, strict=True):
        np.add.at(total, row, weight[:, None, None] * own)
        np.add.at(mass, row, weight)
    known = np.flatnonzero(mass > 0)
    total[known] /= mass[known, None, None]
    missing = np.flatnonzero(mass == 0)
    after = np.searchsorted(known, missing)
    left, right = known[np.clip(after - 1, 0, None)], known[np.clip(after, None, len(known) - 1)]
    share = np.where(right > left, (missing - left) / np.maximum(right - left, 1), 0.0)[:, None, None]
    total[missing] = (1 - share) * total[left] + share * total[right]
    gap = int(np.diff(known).max(initial=1))
    outside = np.maximum(known[0] - np.arange(frames), np.arange(frames) - known[-1])
    total[outside >= gap] = 0
    return total.astype(np.float32)


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
