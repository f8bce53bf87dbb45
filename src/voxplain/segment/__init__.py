"""From a clip to supervoxels: segmenters, the union of levels, and volume-matched random controls."""

from collections.abc import Callable

from voxplain.segment.frames import Segmenter
from voxplain.segment.grid import Grid
from voxplain.segment.matched import random_voxels, volume_matched
from voxplain.segment.slic import SMALL, STANDARD, Slic
from voxplain.segment.supervoxels import Supervoxels
from voxplain.segment.unite import Unite

SEGMENTERS: dict[str, Callable[..., Segmenter]] = {"slic": Slic, "grid": Grid}

__all__ = [
    "SEGMENTERS",
    "SMALL",
    "STANDARD",
    "Grid",
    "Segmenter",
    "Slic",
    "Supervoxels",
    "Unite",
    "random_voxels",
    "volume_matched",
]
