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
    """SLIC in space and time, one level for every entry of `segments`.

    Takes a Clip or uint8 frames [T,H,W,3]; returns Supervoxels with L = len(segments).

    The number of segments is a hint, since seeds stand on a regular grid. At 16×112×112, 80 gives at most 64
    supervoxels, nearly all tubes through the whole clip; at 16×64×64 the seeds of 80 stand in two layers in
    time and give nearly 100 supervoxels of half the clip. `spacing` changes that. Frames are stretched to the
    clip's own range of values and converted to Lab, as scikit-image does by default; labels are its own, bit for bit,
    also where compiled loops find them (`voxplain.segment.slic_backend`).

    Raises DataError when the parameters or the frames are not as described.

    Achanta et al. 2012, SLIC Superpixels Compared to State-of-the-art Superpixel Methods, TPAMI 34(11).
    """

    segments: tuple[int, ...] = STANDARD  # asked for at each level, coarse first
    compactness: float = 20.0  # weight of place against Lab colour; STCE code
    sigma: float = 1.0  # Gaussian blur before, in voxels / spacing; STCE code
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)  # size of a voxel in t, y, x
    slico: bool = False  # SLICO: compactness follows each segment's own spread of colour, and is only where it starts

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
