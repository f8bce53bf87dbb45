"""`Geometry`: the one resize and crop that training, masking and prediction share, and the protocol of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError


class FrameGeometry(Protocol):
    """From the frames of a video to those of the network's size, and back for maps."""

    @property
    def crop(self) -> tuple[int, int]:
        """Height and width that the network gets."""
        ...

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that frames of a video are resized to while it is read."""
        ...

    def crop_frames(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """Frames uint8 [T,*crop,3] of resized ones; ``corner`` is that of a crop, by default the centre."""
        ...

    def to_original(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Maps [T,*crop] on the frames of the video, [T,height,width]; 0 where the network does not get them."""
        ...


@dataclass(frozen=True)
class Geometry:
    """Resize every frame without keeping the aspect ratio, then cut out a rectangle.

    The filter is Pillow's antialiased bilinear (triangle filter widened by the scale, 8-bit result). Frames that
    already have the size of ``resize`` are not resampled, so ``geometry(geometry.resize_frames(x))`` equals
    ``geometry(x)``.

    Parameters
    ----------
    resize : (height, width)
        Pixels; the papers' 128×171 for Kinetics. For KTH they use 120×120.
    crop : (height, width)
        Pixels; the papers' 112×112.

    Raises
    ------
    DataError
        A crop that does not fit into the resized frame, or sizes that are not positive whole numbers.

    Examples
    --------
    >>> Geometry()(np.zeros((16, 240, 320, 3), np.uint8)).shape
    (16, 112, 112, 3)
    """

    resize: tuple[int, int] = (128, 171)
    crop: tuple[int, int] = (112, 112)

    def __post_init__(self) -> None:
        """Check that the crop fits."""
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
                raise DataError(f"{name} must be two positive whole numbers (height, width), got {size}.")
        if self.crop[0] > self.resize[0] or self.crop[1] > self.resize[1]:
            raise DataError(
                f"crop {self.crop} is larger than the resized frame {self.resize} (height, width); "
                "make the crop smaller or resize larger."
            )

    @classmethod
    def squash(cls, height: int, width: int) -> Geometry:
        """The whole frame resized to height × width, no crop: what the STCE reference code does, to 112×112."""
        return cls((height, width), (height, width))

    def __call__(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """Resize and crop.

        Parameters
        ----------
        frames : uint8 [T,H,W,3]
        corner : (top, left), optional
            Of the crop, in pixels of the resized frame; by default the centre.
        flip : bool
            Mirror left and right.

        Returns
        -------
        uint8 [T,h,w,3]

        Raises
        ------
        DataError
            A corner that puts the crop outside the frame.
        """
        return self.crop_frames(self.resize_frames(frames), corner=corner, flip=flip)

    def resize_frames(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Only the resize: uint8 [T,H,W,3] to [T,*resize,3]; the same array when nothing changes."""
        if frames.shape[1:3] == tuple(self.resize):
            return frames
        out = np.empty((len(frames), *self.resize, 3), np.uint8)
        for i, frame in enumerate(frames):
            out[i] = resize_frame(frame, self.resize)
        return out

    def crop_frames(
        self, frames: NDArray[np.uint8], *, corner: tuple[int, int] | None = None, flip: bool = False
    ) -> NDArray[np.uint8]:
        """Only the crop and the mirror, on frames that have the size of `resize`."""
        top, left = self.centre if corner is None else corner
        height, width = self.crop
        if not (0 <= top <= self.resize[0] - height and 0 <= left <= self.resize[1] - width):
            raise DataError(f"corner {corner} puts the crop {self.crop} outside the frame {self.resize}.")
        part = frames[:, top : top + height, left : left + width]
        return np.ascontiguousarray(part[:, :, ::-1] if flip else part)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size before the crop, whatever the size of the video."""
        return self.resize

    def to_original(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Maps float32 [T,*crop] of the centre crop on frames of height × width; 0 outside the crop."""
        return place_back(values, self.resize, self.centre, (height, width))

    @property
    def centre(self) -> tuple[int, int]:
        """Corner (top, left) of the centre crop, rounded down."""
        return (self.resize[0] - self.crop[0]) // 2, (self.resize[1] - self.crop[1]) // 2

    def random_corner(self, rng: np.random.Generator) -> tuple[int, int]:
        """A corner (top, left) drawn uniformly from all that fit, for training."""
        top = int(rng.integers(self.resize[0] - self.crop[0] + 1))
        left = int(rng.integers(self.resize[1] - self.crop[1] + 1))
        return top, left


def resize_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """One frame uint8 [H,W,3] to uint8 [*size,3], Pillow's antialiased bilinear filter."""
    from PIL import Image

    if frame.shape[:2] == tuple(size):
        return frame
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def place_back(
    values: NDArray[np.float32], resized: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Maps float32 [T,h,w] of a crop, with its ``corner`` in the resized frame, on frames of ``size``; 0 outside."""
    from PIL import Image

    (top, left), (h, w) = corner, values.shape[1:]
    full = np.zeros((len(values), *resized), np.float32)
    full[:, top : top + h, left : left + w] = values
    out = np.empty((len(values), *size), np.float32)
    for i, frame in enumerate(full):
        out[i] = np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return out
