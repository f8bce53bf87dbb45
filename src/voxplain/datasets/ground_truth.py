"""Ground-truth masks of the object or person in a video, on the grid of the network's input.

Letters: F frames of the video, H×W its size, T×h×w the network's grid.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from voxplain.datasets.jhmdb import puppet_mask
from voxplain.datasets.planted import PlantedSet, read_planted
from voxplain.errors import DataError
from voxplain.video import ClipReader, Geometry, read_video

__all__ = ["TRUTHS", "grid_mask", "truth_mask"]

SILHOUETTE = 30  # grey level of depth videos above which a pixel belongs to the person


def _planted(root: Path, video: Path, label: str) -> np.ndarray:
    """The object that decides the class, by its shape or its motion."""
    found = _planted_set(root).masks(video)
    if "target" not in found:
        raise DataError(f"expected a class that an object decides, got “{label}” in {video}; leave the class out")
    return found["target"]


@cache
def _planted_set(root: Path) -> PlantedSet:
    return read_planted(root)


def _jhmdb(root: Path, video: Path, label: str) -> np.ndarray:
    return puppet_mask(root, video)


def _silhouette(root: Path, video: Path, label: str) -> np.ndarray:
    return np.asarray(read_video(video).frames.max(-1) > SILHOUETTE)


# Name → masks bool [F,H,W] of a video below a data set's folder. DataError where a video has none.
TRUTHS: dict[str, Callable[[Path, Path, str], np.ndarray]] = {
    "planted": _planted,  # the object that decides the class
    "jhmdb": _jhmdb,  # the acting person
    "silhouette": _silhouette,  # everything but the black background of depth videos
}


def truth_mask(truth: str, root: Path, video: Path, label: str, reader: ClipReader) -> np.ndarray:
    """The mask of the clip that ``reader`` reads, bool [T,h,w]. DataError on an unknown truth or a missing mask."""
    if truth not in TRUTHS:
        raise DataError(f"expected a truth of {', '.join(TRUTHS)}, got {truth!r}; choose one")
    return grid_mask(TRUTHS[truth](root, video, label), reader)


def grid_mask(mask: np.ndarray, reader: ClipReader) -> np.ndarray:
    """A mask bool [F,H,W] of a video on the grid of the reader's clip, bool [T,h,w]; true from half a pixel on."""
    index = reader.sampler(len(mask), None)[0]
    levels = np.repeat((255 * mask[index].astype(np.uint8))[..., None], 3, axis=-1)
    geometry: Geometry = reader.geometry
    return np.asarray(geometry(levels)[..., 0] > 127)
