"""`Geometry`: the one resize and crop that training, masking and prediction share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError


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
