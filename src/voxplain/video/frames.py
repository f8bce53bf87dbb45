"""Frames of a video one after the other, for work whose memory must not grow with the video."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.large import LARGE, forget, large_zeros, rows
from voxplain.video.clip import Clip
from voxplain.video.damage import Damaged, check_damage
from voxplain.video.decode import gather, too_large
from voxplain.video.excerpt import Excerpt
from voxplain.video.geometry import FrameGeometry, resize_frame

__all__ = ["iterate_frames", "read_cropped"]

MAX_CROPPED = 2**32  # pixels of all cropped frames together, most of them in a file: 80 minutes of 224×224


def iterate_frames(
    path: str | os.PathLike[str], *, excerpt: Excerpt | None = None, only: Collection[int] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video at its own size, one by one: those of `read_video`, of which one is in memory.

    Parameters
    ----------
    path : str or path
        Video file, folder of pictures or `.npy` array.
    excerpt : Excerpt, optional
        The part of it to read; by default all.
    only : collection of int, optional
        Numbers of the frames that are given, counted from the first of the excerpt; by default all.

    Yields
    ------
    uint8 [H,W,3]
        RGB; of the size of the first.

    Raises
    ------
    VideoError
        As `read_video`.
    """
    size: tuple[int, int] | None = None
    from voxplain.video.sources import open_source

    source = open_source(Path(path))
    source = source if excerpt is None else excerpt.of(source, Path(path))
    frames = (item for item in source.stream() if not isinstance(item, int))
    for number, (picture_of, _) in enumerate(frames):
        if number and only is not None and number not in only:
            continue
        picture = picture_of()
        size = size or (picture.shape[0], picture.shape[1])
        if only is None or number in only:
            yield resize_frame(picture, size)


def read_cropped(
    path: str | os.PathLike[str],
    geometry: FrameGeometry,
    *,
    max_pixels: int = MAX_CROPPED,
    damaged: Damaged = "use",
    excerpt: Excerpt | None = None,
) -> tuple[Clip, tuple[int, int]]:
    """Every frame of a video, resized and cropped frame by frame.

    Equal to ``geometry.crop_frames`` of what `read_video` gives with this geometry, in less memory.

    Parameters
    ----------
    path : str or path
        Video file, folder of pictures or `.npy` array.
    geometry : FrameGeometry
        Resize and crop, at the centre.
    max_pixels : int
        Limit on T·h·w of the frames that are kept.
    damaged : {"skip", "use", "fail"}
        As for `read_video`.
    excerpt : Excerpt, optional
        The part of it to read; by default all.

    Returns
    -------
    Clip
        Frames uint8 [T,h,w,3].
    (int, int)
        Height and width of the video, or of the excerpt's rectangle.

    Raises
    ------
    VideoError, DataError
        As `read_video`.
    """
    path = Path(path)
    from voxplain.video.sources import open_source

    source = open_source(path)
    source = source if excerpt is None else excerpt.of(source, path)
    kept = _Cropped(path, geometry, max_pixels, source.claimed)
    count, seconds, lost = gather(source, kept, path, None)
    check_damage(path, count, lost, damaged)
    assert kept.size is not None
    return Clip(kept.frames(count), seconds, str(path), damaged=lost), kept.size


class _Cropped:
    """Cropped frames in one array that grows."""

    def __init__(self, path: Path, geometry: FrameGeometry, max_pixels: int, claimed: int) -> None:
        self.size: tuple[int, int] | None = None  # of the first frame
        self._path, self._geometry, self._max_pixels = path, geometry, max_pixels
        frame = geometry.crop[0] * geometry.crop[1] * 3
        self._claimed = min(claimed, max_pixels * 3 // frame)
        # A header may claim anything: what takes more than a little space is asked for once frames have come.
        self._store = large_zeros((max(1, min(self._claimed, LARGE // frame)), *geometry.crop, 3), np.uint8)

    def add(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Keep a frame; frames come in order."""
        self.size = self.size or (picture.shape[0], picture.shape[1])
        height, width = self._geometry.crop
        if (index + 1) * height * width > self._max_pixels:
            raise too_large(self._path, index + 1, height, width, self._max_pixels)
        if index == len(self._store):
            count = min(2 * index, self._claimed) if self._claimed > index else index + max(1, index // 4)
            longer = large_zeros((count, *self._store.shape[1:]), np.uint8)
            for place, frame in enumerate(rows(self._store)):
                longer[place] = frame
            self._store = longer
        resized = resize_frame(resize_frame(picture, self.size), self._geometry.resized(*self.size))
        self._store[index] = self._geometry.crop_frames(resized[None])[0]
        if (index + 1) * self._store[0].nbytes // LARGE != index * self._store[0].nbytes // LARGE:
            forget(self._store)

    def frames(self, count: int) -> NDArray[np.uint8]:
        """The first ``count`` frames; a view."""
        return self._store[:count]
