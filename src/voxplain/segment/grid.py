"""Cuboid supervoxels: a control that does not depend on the content of the clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.frames import HasFrames, frames_of
from voxplain.segment.supervoxels import Supervoxels


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cut the clip into equal cuboids, one level for every entry of ``cells``.

    Takes a `Clip` or uint8 frames [T,H,W,3]; returns `Supervoxels` with L = len(cells). Sides of the cuboids differ by
    at most one voxel; an axis with fewer voxels than cells gets one cell a voxel.

    Parameters
    ----------
    cells : tuple of 3 ints
        Cells along t, y and x at each level, coarse first. The default gives 16, 50 and 72, near the 15, 50 and 80 of
        SLIC.

    Raises
    ------
    DataError
        When the parameters or the frames are not as described.

    Examples
    --------
    >>> Grid(cells=((1, 2, 2), (2, 3, 3)))(np.zeros((8, 32, 32, 3), np.uint8))
    Supervoxels(22 in 2 levels of 8×32×32 voxels)
    """

    cells: tuple[tuple[int, int, int], ...] = ((1, 4, 4), (2, 5, 5), (2, 6, 6))

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not self.cells or any(len(cell) != 3 or min(cell) < 1 for cell in self.cells):
            raise DataError(f"Expected positive cells (t, y, x) at each level, got {self.cells}.")

    def __call__(self, clip: HasFrames | NDArray[np.uint8]) -> Supervoxels:
        """Segment one clip at every level; only its shape matters."""
        shape = frames_of(clip).shape[:3]
        return Supervoxels.from_levels([_cuboids(shape, cells) for cells in self.cells])


def _cuboids(shape: tuple[int, ...], cells: tuple[int, int, int]) -> NDArray[np.int64]:
    """Labels [T,H,W] of one level, in raster order of the cells."""
    labels = np.zeros(shape, dtype=np.int64)
    for axis, (size, wanted) in enumerate(zip(shape, cells, strict=True)):
        number = min(size, wanted)
        # Voxel i belongs to cell floor(i · number / size): every cell gets at least one voxel.
        along = np.arange(size) * number // size
        labels = labels * number + along.reshape([-1 if a == axis else 1 for a in range(3)])
    return labels
