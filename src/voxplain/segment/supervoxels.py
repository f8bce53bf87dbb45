"""The record of a segmented clip: one integer label volume per level, never a list of masks.

Letters used here: L levels, T frames, H rows, W columns, N supervoxels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.record_html import fields_table

MAX_COUNT = int(np.iinfo(np.int16).max)


@dataclass(frozen=True, eq=False, repr=False)
class Supervoxels:
    """The supervoxels of one clip at one or more levels.

    Parameters
    ----------
    labels : ndarray, int16 [L,T,H,W]
        Id of the supervoxel of each voxel at each level. Ids are 0..N−1 without gaps, and an id is in one level only;
        −1 marks voxels whose supervoxel was dropped at that level. Levels are in the order in which the segmenter made
        them, by convention coarse first.

    Raises
    ------
    DataError
        When the shape, the type or the ids are not as above.

    Examples
    --------
    >>> supervoxels = Supervoxels.from_levels([np.array([[[7, 7, 9]]])])
    >>> supervoxels, supervoxels.volumes
    (Supervoxels(2 in 1 levels of 1×1×3 voxels), array([2, 1]))
    """

    labels: NDArray[np.int16]

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check shape, type and ids."""
        labels = self.labels
        if not isinstance(labels, np.ndarray) or labels.ndim != 4 or labels.dtype != np.int16:
            got = f"{getattr(labels, 'dtype', type(labels).__name__)} {list(np.shape(labels))}"
            raise DataError(f"Expected int16 labels [L,T,H,W], got {got}; use Supervoxels.from_levels.")
        if labels.size == 0:
            raise DataError(f"Expected labels with at least one voxel, got {list(labels.shape)}.")
        if labels.min() < -1:
            raise DataError(f"Expected ids from -1 (dropped) up, got {labels.min()}.")
        holders = (self._volumes_by_level > 0).sum(axis=0)
        if (holders != 1).any():
            wrong = int(np.flatnonzero(holders != 1)[0])
            raise DataError(
                f"Expected every id 0..{holders.size - 1} in exactly one level, but id {wrong} is in "
                f"{int(holders[wrong])}; renumber with Supervoxels.from_levels."
            )

    def __repr__(self) -> str:
        """Shapes and counts, not data."""
        shape = "×".join(map(str, self.shape))
        return f"Supervoxels({self.count} in {len(self.labels)} levels of {shape} voxels)"

    @classmethod
    def from_levels(cls, levels: Sequence[NDArray[Any]]) -> Supervoxels:
        """Renumber the labels of several volumes, so that ids are unique and without gaps.

        `levels` are integer volumes [T,H,W] of one shape; negative labels mean dropped. Within a level the
        order of the labels is kept. Raises DataError on other shapes or types, or above 32,767 supervoxels.
        """
        shapes = {np.shape(level) for level in levels}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3:
            raise DataError(f"Expected levels [T,H,W] of one shape, got {sorted(shapes)}.")
        planes, offset = [], 0
        for level in levels:
            if not np.issubdtype(np.asarray(level).dtype, np.integer):
                raise DataError(f"Expected integer labels, got {np.asarray(level).dtype}.")
            plane, found = _renumber(np.asarray(level), offset)
            planes.append(plane)
            offset += found
        return cls(np.stack(planes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The clip's grid (T, H, W)."""
        _, frames, rows, columns = self.labels.shape
        return frames, rows, columns

    @cached_property
    def _volumes_by_level(self) -> NDArray[np.int64]:
        """Voxels of each id in each level, int64 [L,N]."""
        count = int(self.labels.max()) + 1
        rows = [np.bincount(plane.ravel() + 1, minlength=count + 1)[1:] for plane in _as_intp(self.labels)]
        return np.stack(rows).astype(np.int64)

    @property
    def count(self) -> int:
        """N, the number of supervoxels at all levels together."""
        return int(self._volumes_by_level.shape[1])

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """The level of each supervoxel, int64 [N]."""
        return self._volumes_by_level.argmax(axis=0).astype(np.int64)

    @cached_property
    def volumes(self) -> NDArray[np.int64]:
        """The number of voxels of each supervoxel, int64 [N]."""
        return self._volumes_by_level.sum(axis=0)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """The box of each supervoxel, int64 [N,6]: t0, t1, y0, y1, x0, x1; upper bounds are exclusive."""
        from scipy import ndimage

        boxes = np.zeros((self.count, 6), dtype=np.int64)
        for plane in self.labels:
            # find_objects takes labels from 1; 0 is its background.
            for i, box in enumerate(ndimage.find_objects(plane.astype(np.int32) + 1)):
                if box is not None:
                    boxes[i] = [edge for axis in box for edge in (axis.start, axis.stop)]
        return boxes

    @property
    def durations(self) -> NDArray[np.int64]:
        """The temporal extent of each supervoxel in frames, int64 [N]."""
        return self.boxes[:, 1] - self.boxes[:, 0]

    @cached_property
    def voxels_before(self) -> NDArray[np.int64]:
        """The number of voxels of each supervoxel in the frames before t, int64 [T+1,N]."""
        frames, count = self.shape[0], self.count
        found = np.zeros((frames, count + 1), dtype=np.int64)
        rows = (np.arange(frames, dtype=np.int32) * (count + 1) + 1)[:, None, None]  # where each frame's id 0 is
        for plane in self.labels:
            found += np.bincount((plane + rows).ravel(), minlength=found.size).reshape(found.shape)
        return np.concatenate([np.zeros((1, count), np.int64), found[:, 1:].cumsum(axis=0)])

    def mask(self, i: int) -> NDArray[np.bool_]:
        """The voxels of supervoxel `i`, bool [T,H,W]. Raises DataError when there is no such id."""
        if not 0 <= i < self.count:
            raise DataError(f"Expected a supervoxel id from 0 to {self.count - 1}, got {i}.")
        return np.asarray(self.labels[self.levels[i]] == i)

    def masks(self, ids: Iterable[int]) -> NDArray[np.bool_]:
        """The union of several supervoxels, bool [T,H,W]; no ids give an empty mask.

        Levels overlap in space and time, so the union counts a voxel once. Raises DataError on a wrong id.
        """
        chosen = np.fromiter(ids, dtype=np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= self.count):
            raise DataError(f"Expected supervoxel ids from 0 to {self.count - 1}, got {chosen.tolist()}.")
        # The extra last entry stays False: it is the entry of the label -1 (dropped).
        keep = np.zeros(self.count + 1, dtype=bool)
        keep[chosen] = True
        union = np.zeros(self.shape, dtype=bool)
        for level in np.unique(self.levels[chosen]):
            union |= keep[self.labels[level]]
        return union


def _as_intp(labels: NDArray[np.int16]) -> NDArray[np.intp]:
    """Labels as the integer type that bincount takes without another copy."""
    return labels.astype(np.intp)


def _renumber(level: NDArray[Any], offset: int) -> tuple[NDArray[np.int16], int]:
    """Map the labels of one level to offset, offset + 1, ... and negative labels to -1."""
    small = level.dtype.kind in "iu" and level.size > 0 and int(level.max()) < level.size
    if small:  # counting is faster than sorting
        places = level.astype(np.intp).clip(-1) + 1
        found = np.flatnonzero(np.bincount(places.ravel())[1:])
    else:
        found = np.unique(level)
        found = found[found >= 0]
    if offset + found.size > MAX_COUNT:
        raise DataError(
            f"Expected at most {MAX_COUNT} supervoxels in a clip, got {offset + found.size} or more; "
            "request fewer segments."
        )
    if small:
        ids = np.full(int(places.max()) + 1, -1, np.int16)
        ids[found + 1] = np.arange(found.size) + offset
        return ids[places], int(found.size)
    plane = np.searchsorted(found, level) + offset
    return np.where(level >= 0, plane, -1).astype(np.int16), int(found.size)
