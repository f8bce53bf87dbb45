"""A part of a video in time and in the picture, cut out while the video is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError, VideoError
from voxplain.video.stream import Item, Source

__all__ = ["Excerpt"]


@dataclass(frozen=True)
class Excerpt:
    """Seconds of a video, and a rectangle of its picture.

    Parameters
    ----------
    start, stop : float, optional
        Frames whose times in seconds are from ``start`` to below ``stop``; by default from the first, to the last.
    crop : (x, y, width, height), optional
        In pixels of the video as it is shown, from its upper left corner; by default the whole picture.

    Raises
    ------
    DataError
        A stop that is not after the start, a negative time or corner, and a rectangle without pixels.

    Examples
    --------
    >>> Excerpt(start=2.0, crop=(10, 20, 64, 48)).record()
    {'start': 2.0, 'crop': [10, 20, 64, 48]}
    """

    start: float | None = None
    stop: float | None = None
    crop: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        """Check the times and the rectangle."""
        start, stop = self.start or 0.0, float("inf") if self.stop is None else self.stop
        if not 0 <= start < stop:
            raise DataError(
                f"expected seconds from 0 on and a stop after the start, got {start} and {stop}; correct them"
            )
        if self.crop is not None and (len(self.crop) != 4 or min(self.crop) < 0 or min(self.crop[2:]) < 1):
            raise DataError(f"expected a crop x, y, width and height of whole pixels, got {self.crop}; correct it")

    def of(self, source: Source, path: Path) -> Source:
        """The same video with this part of it alone.

        Parameters
        ----------
        source : Source
        path : Path
            For errors.

        Returns
        -------
        Source
            Its stream raises VideoError where the part is not in the video.
        """
        # How many frames are in the part is known once they are read.
        return replace(source, claimed=0, stream=lambda: self._stream(source, path))

    def record(self) -> dict[str, Any]:
        """Plain values of what was given."""
        given = {"start": self.start, "stop": self.stop, "crop": None if self.crop is None else list(self.crop)}
        return {name: value for name, value in given.items() if value is not None}

    def _stream(self, source: Source, path: Path) -> Iterator[Item]:
        start, stop = self.start or 0.0, float("inf") if self.stop is None else self.stop
        number, last, found = 0, 0.0, False
        for item in source.stream():
            if isinstance(item, int):
                yield item
                continue
            picture, stamp = item
            last = number / source.fps if stamp is None else stamp
            number += 1
            if last >= stop:
                break
            if last >= start:
                found = True
                yield self._cut(picture, path), last
        if number and not found:
            raise VideoError(
                f"{path}: expected frames from {start:g} to {stop:g} s, got a video that ends at {last:g} s; "
                "give other times"
            )

    def _cut(self, picture: Callable[[], NDArray[np.uint8]], path: Path) -> Callable[[], NDArray[np.uint8]]:
        if self.crop is None:
            return picture
        x, y, width, height = self.crop

        def part() -> NDArray[np.uint8]:
            whole = picture()
            if x + width > whole.shape[1] or y + height > whole.shape[0]:
                raise VideoError(
                    f"{path}: expected a crop inside the {whole.shape[1]}×{whole.shape[0]} pixels of the video, got "
                    f"{width}×{height} at {x}, {y}; correct it"
                )
            return np.ascontiguousarray(whole[y : y + height, x : x + width])

        return part
