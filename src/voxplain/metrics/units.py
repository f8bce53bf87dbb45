"""Units that are ranked and changed as one: voxels, blocks, supervoxels split by frame, frames; and their order.

Letters: T×H×W the grid, U units. Labels int32 [T,H,W] from 0 to U−1 give the unit of each voxel.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from voxplain.curves import ranks
from voxplain.errors import DataError
from voxplain.metrics.record import clip_rng
from voxplain.segment import SLIC
from voxplain.video import Clip

__all__ = ["UNITS", "Importance", "Unit", "ranked_units", "smoothed", "unit_labels", "unit_values"]

Unit = Literal["voxel", "block", "supervoxel", "frame"]
Importance = Literal["mean", "sum"]

BLOCK = 7 / 112  # side of a block in frame heights: 7 pixels at 112, 16×16 blocks a frame, as in the study
SEGMENTS = 256  # supervoxels requested, before they are split by frame; the study's "scm_256"


def voxels(clip: Clip) -> np.ndarray:
    """Each voxel by itself."""
    return np.arange(clip.frames[..., 0].size, dtype=np.int32).reshape(clip.frames.shape[:3])


def blocks(clip: Clip) -> np.ndarray:
    """Squares of 1/16 of the frame's height, each frame by itself; those at the right and lower edge may be smaller."""
    t, h, w = clip.frames.shape[:3]
    side = max(1, round(BLOCK * h))
    down, across = -(-h // side), -(-w // side)
    frame, row, column = np.indices((t, h, w), dtype=np.int32)
    return np.asarray((frame * down + row // side) * across + column // side, dtype=np.int32)


def supervoxels(clip: Clip) -> np.ndarray:
    """256 SLICO supervoxels of the clip, split by frame."""
    volume = SLIC(segments=(SEGMENTS,), sigma=1.0, slico=True)(clip).labels[0].astype(np.int64)
    frame = np.arange(len(volume))[:, None, None] * (int(volume.max()) + 1)
    return np.unique(frame + volume, return_inverse=True)[1].reshape(volume.shape).astype(np.int32)


def frames(clip: Clip) -> np.ndarray:
    """Each frame as a whole."""
    t, h, w = clip.frames.shape[:3]
    return np.broadcast_to(np.arange(t, dtype=np.int32)[:, None, None], (t, h, w)).copy()


UNITS: dict[str, Callable[[Clip], np.ndarray]] = {
    "voxel": voxels,
    "block": blocks,
    "supervoxel": supervoxels,
    "frame": frames,
}


def unit_labels(clip: Clip, unit: Unit) -> np.ndarray:
    """The unit of each voxel, int32 [T,H,W]. Raises DataError on an unknown unit."""
    if unit not in UNITS:
        raise DataError(f"expected a unit of {', '.join(UNITS)}, got {unit!r}; choose one")
    return UNITS[unit](clip)


def unit_values(values: np.ndarray, labels: np.ndarray, importance: Importance) -> np.ndarray:
    """Mean or sum of a map [T,H,W] over each unit, float64 [U]."""
    if importance not in ("mean", "sum"):
        raise DataError(f"expected importance mean or sum, got {importance!r}; choose one")
    total = np.bincount(labels.ravel(), values.ravel().astype(np.float64))
    return total if importance == "sum" else total / np.bincount(labels.ravel())


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """Each frame of a map [T,H,W] blurred by a Gaussian of ``sigma`` frame heights; 0: as it is."""
    from scipy import ndimage

    if sigma < 0:
        raise DataError(f"expected a sigma of 0 or more frame heights, got {sigma}; correct it")
    pixels = sigma * values.shape[1]
    return np.asarray(ndimage.gaussian_filter(values, (0, pixels, pixels))) if sigma else values


def ranked_units(
    clip: Clip, values: np.ndarray, unit: Unit, importance: Importance, *, smooth: float, ordered: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(labels [T,H,W], rank int64 [U], 0 the most relevant); ties, and all but the top ``ordered`` share, at random."""
    if not 0 <= ordered <= 1:
        raise DataError(f"expected ordered as a share of the units from 0 to 1, got {ordered}; correct it")
    labels = unit_labels(clip, unit)
    worth = unit_values(smoothed(values, smooth), labels, importance)
    rng = clip_rng(clip, seed)
    rank = ranks(worth, rng)
    keep = round(ordered * len(rank))
    if keep < len(rank):
        rest = rank >= keep
        rank[rest] = keep + rng.permutation(int(rest.sum()))
    return labels, rank
