"""From a clip to supervoxels: segmenters, the union of levels, and volume-matched random controls."""

from collections.abc import Callable

from voxplain.segment.deduplicate import Deduplicate
from voxplain.segment.frames import Segmenter
from voxplain.segment.grid import Grid
from voxplain.segment.region_tree import RegionTree
from voxplain.segment.slic import SLIC, SMALL, STANDARD
from voxplain.segment.supervoxels import Supervoxels
from voxplain.segment.volume_matched import volume_matched

SEGMENTERS: dict[str, Callable[..., Segmenter]] = {"region_tree": RegionTree, "slic": SLIC, "grid": Grid}

__all__ = [
    "SEGMENTERS",
    "SLIC",
    "SMALL",
    "STANDARD",
    "Deduplicate",
    "Grid",
    "RegionTree",
    "Segmenter",
    "Supervoxels",
    "volume_matched",
]
