"""Geometries that keep the aspect ratio of a video, and one of a function of the user's own.

Letters: T frames, H×W the video's frames, h×w what the network gets (``crop``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.video.geometry import place_back

__all__ = ["LongSide", "OwnGeometry", "ShortSide"]


@dataclass(frozen=True)
class ShortSide:
    """Resize the short side of every frame, keep the aspect ratio, and cut out the centre.

    What most networks on Kinetics and ImageNet are tested with: ``ShortSide(256, (224, 224))``.

    Parameters
    ----------
    side : int
        Pixels of the short side; where the crop is larger than the resized frame, the frame is resized to hold it.
    crop : (height, width)
        Pixels.

    Raises
    ------
    DataError
        Sizes that are not positive whole numbers.

    Examples
    --------
    >>> ShortSide(128, (112, 112)).resized(240, 320)
    (128, 170)
    """

    side: int = 128
    crop: tuple[int, int] = (112, 112)

    def __post_init__(self) -> None:
        """Check the sizes."""
        _check_sizes(self.crop, self.side)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width before the crop, rounded down as in torchvision."""
        short = min(height, width)
        scale = max(self.side / short, self.crop[0] / height, self.crop[1] / width)
        return max(int(height * scale + 1e-6), self.crop[0]), max(int(width * scale + 1e-6), self.crop[1])

    def crop_frames(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """The crop and the mirror, on frames of the size that `resized` gives."""
        (top, left), (height, width) = corner or self._centre(frames.shape[1:3]), self.crop
        if not (0 <= top <= frames.shape[1] - height and 0 <= left <= frames.shape[2] - width):
            raise DataError(f"corner {corner} puts the crop {self.crop} outside the frame {frames.shape[1:3]}.")
        part = frames[:, top : top + height, left : left + width]
        return np.ascontiguousarray(part[:, :, ::-1] if flip else part)

    def to_original(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Maps float32 [T,*crop] on frames of height × width; 0 outside the crop."""
        resized = self.resized(height, width)
        return place_back(values, resized, self._centre(resized), (height, width))

    def _centre(self, size: tuple[int, ...]) -> tuple[int, int]:
        return (size[0] - self.crop[0]) // 2, (size[1] - self.crop[1]) // 2


@dataclass(frozen=True)
class LongSide:
    """Resize every frame, with its aspect ratio, to fit into the network's size, and pad the rest.

    Parameters
    ----------
    crop : (height, width)
        Pixels that the network gets, padding included.
    fill : int
        Grey level of the padding, 0-255.

    Raises
    ------
    DataError
        Sizes that are not positive whole numbers, a level out of range, and corners: nothing is cut.

    Examples
    --------
    >>> LongSide((112, 112)).resized(240, 320)
    (84, 112)
    """

    crop: tuple[int, int] = (112, 112)
    fill: int = 0

    def __post_init__(self) -> None:
        """Check sizes and level."""
        _check_sizes(self.crop, 1)
        if not 0 <= self.fill <= 255:
            raise DataError(f"expected a grey level from 0 to 255 as fill, got {self.fill}; give one of these")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width inside the padding."""
        scale = min(self.crop[0] / height, self.crop[1] / width)
        sides = (min(max(1, round(n * scale)), most) for n, most in zip((height, width), self.crop, strict=True))
        return next(sides), next(sides)

    def crop_frames(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """The padding and the mirror, on frames of the size that `resized` gives."""
        if corner is not None:
            raise DataError(f"expected no corner of a crop, got {corner}, where frames are padded; leave it out")
        out = np.full((len(frames), *self.crop, 3), self.fill, np.uint8)
        top, left = self._corner(frames.shape[1:3])
        out[:, top : top + frames.shape[1], left : left + frames.shape[2]] = frames
        return np.ascontiguousarray(out[:, :, ::-1]) if flip else out

    def to_original(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Maps float32 [T,*crop] on frames of height × width, without what lies on the padding."""
        h, w = resized = self.resized(height, width)
        top, left = self._corner(resized)
        return place_back(values[:, top : top + h, left : left + w], resized, (0, 0), (height, width))

    def _corner(self, size: tuple[int, ...]) -> tuple[int, int]:
        return (self.crop[0] - size[0]) // 2, (self.crop[1] - size[1]) // 2


@dataclass(frozen=True)
class OwnGeometry:
    """A function of the user's from the frames of a video to those of the network's size.

    Parameters
    ----------
    function : callable
        From uint8 [T,H,W,3] to uint8 [T,*crop,3]; of one frame or of many it does the same with each.
    crop : (height, width)
        Pixels that the function returns.

    Raises
    ------
    DataError
        Frames of another type or size from the function, and corners: what it cuts is its own affair.

    Examples
    --------
    >>> OwnGeometry(lambda frames: frames[:, ::2, ::2], (4, 4)).crop_frames(np.zeros((1, 8, 8, 3), np.uint8)).shape
    (1, 4, 4, 3)
    """

    function: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    crop: tuple[int, int]

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size of the video: the function resizes."""
        return height, width

    def crop_frames(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """What the function returns, mirrored where wanted."""
        if corner is not None:
            raise DataError(f"expected no corner of a crop, got {corner}, where a function cuts; leave it out")
        found = np.asarray(self.function(frames))
        wanted = (len(frames), *self.crop, 3)
        if found.dtype != np.uint8 or found.shape != wanted:
            raise DataError(
                f"expected uint8 {wanted} from the geometry's function, got {found.dtype} {found.shape}; correct it"
            )
        return np.ascontiguousarray(found[:, :, ::-1] if flip else found)

    def to_original(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """The maps as they are, [T,*crop]: where the function takes its pixels from is not known."""
        return values


def _check_sizes(crop: tuple[int, int], side: int) -> None:
    if len(crop) != 2 or any(int(n) != n or n < 1 for n in (*crop, side)):
        raise DataError(f"expected positive whole numbers of pixels, got crop {crop} and side {side}; correct them")
