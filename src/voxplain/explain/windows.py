"""A video longer than the network's clip: overlapping windows, and their maps merged to the original time and size.

Letters: F frames of the video, W windows of T frames, h×w the network's input, H×W the video's frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.video import Clip, Geometry, Windows

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


def slide(model: VideoModel, resized: Clip, geometry: Geometry, *, overlap: float = 0.5) -> Sliding:
    """Overlapping windows of a video; the last one ends with the video.

    Parameters
    ----------
    model : VideoModel
        Gives the length of a window and the stride of its frames.
    resized : Clip
        Frames of the size of ``geometry.resize``.
    geometry : Geometry
        Its crop is applied.
    overlap : float
        Share of a window that the next one repeats, 0 up to below 1.

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
        Frames that a stride leaves out get the value between their neighbours in time.

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
    return total.astype(np.float32)


def to_original(values: np.ndarray, geometry: Geometry, height: int, width: int) -> np.ndarray:
    """Maps of the cropped frames on the frames of the video.

    Parameters
    ----------
    values : float32 [F,h,w]
    geometry : Geometry
        What cropped and resized the frames.
    height, width : int
        Of the video's frames.

    Returns
    -------
    float32 [F,H,W]
        0 outside the crop, which the network does not get.
    """
    from PIL import Image

    top, left = geometry.centre
    h, w = geometry.crop
    full = np.zeros((len(values), *geometry.resize), np.float32)
    full[:, top : top + h, left : left + w] = values
    out = np.empty((len(values), height, width), np.float32)
    for i, frame in enumerate(full):
        out[i] = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))
    return out
