"""Hide or reveal voxels of a clip: the same frames with some voxels taken from a baseline.

Letters used here: T frames, H rows, W columns; frames are uint8 [T,H,W,3], masks bool [T,H,W].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError

GREY = 117  # fill of the STCE code in all channels, 0-255
BLUR_SIGMA = 20 / 112  # standard deviation of the blur, in frame heights

Frames = NDArray[np.uint8]
Fill = Callable[[Frames, NDArray[np.uint8]], Frames]


def mean(frames: Frames, mean_colour: NDArray[np.uint8]) -> Frames:
    """The mean colour everywhere: zero after normalisation, up to half a grey level."""
    return np.broadcast_to(mean_colour, frames.shape).astype(np.uint8)


def grey(frames: Frames, mean_colour: NDArray[np.uint8]) -> Frames:
    """Grey 117 everywhere, as in the STCE code; not zero after normalisation."""
    return np.full_like(frames, GREY)


def black(frames: Frames, mean_colour: NDArray[np.uint8]) -> Frames:
    """Black everywhere, as the formula of the STCE paper implies; far below zero after normalisation."""
    return np.zeros_like(frames)


def blur(frames: Frames, mean_colour: NDArray[np.uint8]) -> Frames:
    """Each frame blurred with a Gaussian of 20 pixels at a height of 112, edges reflected."""
    from scipy import ndimage

    sigma = BLUR_SIGMA * frames.shape[1]
    smooth = ndimage.gaussian_filter(frames.astype(np.float32), (0, sigma, sigma, 0), mode="reflect")
    return np.asarray(np.rint(smooth).clip(0, 255), dtype=np.uint8)


def median(frames: Frames, mean_colour: NDArray[np.uint8]) -> Frames:
    """The clip's median colour everywhere: that of the background where it fills more than half of the clip."""
    return np.broadcast_to(np.median(frames.reshape(-1, 3), axis=0), frames.shape).astype(np.uint8)


FILLS: dict[str, Fill] = {"mean": mean, "grey": grey, "black": black, "blur": blur, "median": median}


def base_clip(frames: Frames, fill: str, mean_colour: NDArray[np.uint8]) -> Frames:
    """Baseline of a clip, the content of hidden voxels.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    fill : str
        An entry of `FILLS`.
    mean_colour : uint8 [3]
        Used by "mean" only.

    Returns
    -------
    uint8 [T,H,W,3]

    Raises
    ------
    DataError
        An unknown fill, or another shape or type.

    Examples
    --------
    >>> int(base_clip(np.zeros((1, 2, 2, 3), np.uint8), "grey", np.zeros(3, np.uint8)).max())
    117
    """
    if fill not in FILLS:
        raise DataError(f"Expected a fill among {', '.join(FILLS)}, got {fill!r}.")
    _check_frames(frames)
    if np.shape(mean_colour) != (3,) or np.asarray(mean_colour).dtype != np.uint8:
        raise DataError(f"Expected a mean colour uint8 [3], got {mean_colour!r}.")
    return FILLS[fill](frames, mean_colour)


def hide(frames: Frames, mask: NDArray[np.bool_], base: Frames) -> Frames:
    """Frames with the voxels of a mask taken from a baseline.

    Parameters
    ----------
    frames, base : uint8 [T,H,W,3]
    mask : bool [T,H,W]

    Returns
    -------
    uint8 [T,H,W,3]
        A new array.

    Raises
    ------
    DataError
        Arrays on different grids or of another type.

    Examples
    --------
    >>> frames, base = np.zeros((1, 1, 2, 3), np.uint8), np.full((1, 1, 2, 3), 9, np.uint8)
    >>> hide(frames, np.array([[[True, False]]]), base)[..., 0].tolist()
    [[[9, 0]]]
    """
    _check_frames(frames)
    if base.shape != frames.shape or base.dtype != np.uint8:
        raise DataError(
            f"Expected base uint8 {list(frames.shape)}, got {base.dtype} {list(base.shape)}; make it with base_clip."
        )
    if mask.shape != frames.shape[:3] or mask.dtype != np.bool_:
        raise DataError(f"Expected mask bool {list(frames.shape[:3])}, got {mask.dtype} {list(mask.shape)}.")
    return np.where(mask[..., None], base, frames)


def reveal(frames: Frames, mask: NDArray[np.bool_], base: Frames) -> Frames:
    """A baseline with the voxels of a mask taken from the frames; `hide` with their places exchanged.

    Examples
    --------
    >>> frames, base = np.zeros((1, 1, 2, 3), np.uint8), np.full((1, 1, 2, 3), 9, np.uint8)
    >>> reveal(frames, np.array([[[True, False]]]), base)[..., 0].tolist()
    [[[0, 9]]]
    """
    return hide(base, mask, frames)


def _check_frames(frames: Frames) -> None:
    """Raise DataError unless frames are uint8 [T,H,W,3]."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise DataError(f"Expected uint8 frames [T,H,W,3], got {frames.dtype} {list(frames.shape)}.")
