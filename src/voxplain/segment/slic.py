"""Supervoxels by SLIC: k-means in colour, space and time at several numbers of segments.

A voxel at place p (t, y, x) with Lab colour c joins the seed that minimises
|c - c_s|² / m² + |spacing · (p - p_s)|² / S², with m the compactness and S the largest step of the seed grid;
ten rounds, then pieces that are not connected or too small join a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.frames import HasFrames, frames_of
from voxplain.segment.slic_backend import slic_labels
from voxplain.segment.supervoxels import Supervoxels

STANDARD = (15, 50, 80)  # segments per level, STCE paper
SMALL = (15, 30, 60)  # segments per level, STCE paper, its KTH setting


@dataclass(frozen=True, kw_only=True)
class SLIC:
    """SLIC superpixels in space and time, one level for every entry of ``segments``.

    Takes a `Clip` or uint8 frames [T,H,W,3]; returns `Supervoxels` with L = len(segments). Frames are stretched to the
    clip's own range of values and converted to Lab, as scikit-image does by default; labels equal those of scikit-image
    bit for bit, also with the compiled loops (`voxplain.segment.slic_backend`).

    Parameters
    ----------
    segments : tuple of int
        Number of segments asked for at each level, coarse first. It is a hint, since the seeds are on a regular grid:
        at 16×112×112, 80 gives at most 64 supervoxels, nearly all through the whole clip; at 16×64×64 the seeds of 80
        are in two layers in time and give nearly 100 supervoxels of half the clip. ``spacing`` changes that.
    compactness : float
        Weight of position against Lab colour; STCE code.
    sigma : float
        Gaussian blur before, in voxels / spacing; STCE code.
    spacing : tuple of 3 floats
        Size of a voxel in t, y and x.
    slico : bool
        SLICO: the compactness of each segment adapts to its colours; ``compactness`` is the initial value.

    Raises
    ------
    DataError
        When the parameters or the frames are not as described.

    References
    ----------
    Achanta et al. 2012, SLIC Superpixels Compared to State-of-the-art Superpixel Methods, TPAMI 34(11)

    Examples
    --------
    >>> SLIC(segments=(4,))(np.zeros((4, 16, 16, 3), np.uint8))
    Supervoxels(4 in 1 levels of 4×16×16 voxels)
    """

    segments: tuple[int, ...] = STANDARD
    compactness: float = 20.0
    sigma: float = 1.0
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    slico: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not self.segments or min(self.segments) < 1:
            raise DataError(f"Expected at least one positive number of segments, got {self.segments}.")
        if self.compactness <= 0 or self.sigma < 0:
            raise DataError(f"Expected compactness > 0 and sigma >= 0, got {self.compactness} and {self.sigma}.")
        if len(self.spacing) != 3 or min(self.spacing) <= 0:
            raise DataError(f"Expected three positive spacings (t, y, x), got {self.spacing}.")

    def __call__(self, clip: HasFrames | NDArray[np.uint8]) -> Supervoxels:
        """Segment one clip at every level."""
        frames = frames_of(clip)
        levels = slic_labels(
            frames,
            self.segments,
            compactness=self.compactness,
            sigma=self.sigma,
            spacing=self.spacing,
            slico=self.slico,
        )
        return Supervoxels.from_levels(levels)
