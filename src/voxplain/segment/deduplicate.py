"""Deduplicate the levels of a clip: drop small, short and duplicate supervoxels.

A level is compared with an earlier, coarser one. Both comparisons return their pairs as three arrays of one
length: the id at the level, the id at the earlier level, and the Jaccard index of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.supervoxels import Supervoxels

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Deduplicate:
    """Keep the supervoxels that are large and long enough and no near copy of one kept at an earlier level.

    Takes and returns `Supervoxels`: what is dropped becomes −1, and the ids of the rest are numbered anew in the same
    order. Levels are compared in their order, so the first (by convention the coarsest) takes precedence; supervoxels
    of one level are not compared.

    Parameters
    ----------
    max_jaccard : float
        Intersection over union of voxels above which a supervoxel is dropped; STCE paper.
    min_size : float
        Share of the frame that the supervoxel must exceed on average over the frames in which it exists; 12.5 pixels a
        frame at 112×112. STCE code.
    min_duration : int
        Frames from the first to the last one. The STCE code uses 16, which drops every supervoxel that does not span a
        16-frame clip.
    aligned : bool
        Compare with the middles in time aligned, as the STCE code does (see `aligned_jaccard`). This also drops
        supervoxels that are at the same place at different times. Default: compare over the whole clip.

    Raises
    ------
    DataError
        When a parameter is out of range.

    References
    ----------
    Ji, Wang and Kato 2023, Spatial-Temporal Concept Based Explanation of 3D ConvNets, CVPR

    Examples
    --------
    >>> level = np.repeat([0, 1], 8).reshape(1, 4, 4)
    >>> Deduplicate()(Supervoxels.from_levels([level, level]))
    Supervoxels(2 in 2 levels of 1×4×4 voxels)
    """

    max_jaccard: float = 0.5
    min_size: float = 0.001
    min_duration: int = 1
    aligned: bool = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 <= self.max_jaccard <= 1 or self.min_size < 0 or self.min_duration < 1:
            raise DataError(
                "Expected max_jaccard in 0..1, min_size >= 0 and min_duration >= 1, got "
                f"{self.max_jaccard}, {self.min_size} and {self.min_duration}."
            )

    def __call__(self, supervoxels: Supervoxels) -> Supervoxels:
        """Drop the supervoxels that do not meet the rules."""
        keep = self._large_enough(supervoxels)
        for level in range(1, len(supervoxels.labels)):
            for earlier in range(level):
                own, other, jaccard = self._compare(supervoxels, level, earlier)
                # All ids of earlier levels have been decided, so `keep[other]` means accepted.
                keep[own[keep[other] & (jaccard > self.max_jaccard)]] = False
        # The extra last entry is that of the label -1 (dropped).
        ids = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1).astype(np.int16)
        return Supervoxels(ids[supervoxels.labels])

    def _large_enough(self, supervoxels: Supervoxels) -> NDArray[np.bool_]:
        """Which supervoxels pass both size rules, bool [N]."""
        _, rows, columns = supervoxels.shape
        size = supervoxels.volumes / (supervoxels.durations * rows * columns)
        return (size > self.min_size) & (supervoxels.durations >= self.min_duration)

    def _compare(self, supervoxels: Supervoxels, level: int, earlier: int) -> Pairs:
        """All pairs of two levels that may be near copies."""
        if self.aligned:
            return aligned_jaccard(supervoxels, level, earlier, above=self.max_jaccard)
        return joint_jaccard(supervoxels, level, earlier)


def joint_jaccard(supervoxels: Supervoxels, level: int, earlier: int) -> Pairs:
    """Jaccard index over the whole clip of every two supervoxels of two levels that share a voxel.

    Counted from the joint labels, with no mask made, so the cost is that of reading the two volumes once.
    """
    from scipy import sparse

    count = supervoxels.count
    # Dropped voxels count as one more supervoxel, `count`, and are left out below.
    planes = [supervoxels.labels[i].ravel().astype(np.int32) for i in (level, earlier)]
    own, other = (np.where(plane < 0, count, plane) for plane in planes)
    table = sparse.coo_array((np.ones(own.size, dtype=np.int64), (own, other)), shape=(count + 1, count + 1))
    joint = table.tocsr().tocoo()  # adds up equal pairs
    real = (joint.row < count) & (joint.col < count)
    rows, columns = joint.row[real].astype(np.int64), joint.col[real].astype(np.int64)
    shared = joint.data[real]
    return rows, columns, shared / (supervoxels.volumes[rows] + supervoxels.volumes[columns] - shared)


def aligned_jaccard(supervoxels: Supervoxels, level: int, earlier: int, *, above: float = 0.0) -> Pairs:
    """Jaccard index of the STCE code, which ignores time of occurrence, for the pairs that exceed `above`.

    Each mask is cropped to its own frames, the longer one is centre-cropped in time to the shorter (of an odd
    rest the larger part is cut at the end), and the two are overlaid. Two empty crops give 0.
    """
    first, second = (np.flatnonzero(supervoxels.levels == i) for i in (level, earlier))
    a, b = supervoxels.boxes[first][:, None], supervoxels.boxes[second][None, :]
    length = np.minimum(a[..., 1] - a[..., 0], b[..., 1] - b[..., 0])
    start_a = a[..., 0] + (a[..., 1] - a[..., 0] - length) // 2
    start_b = b[..., 0] + (b[..., 1] - b[..., 0] - length) // 2
    before = supervoxels.voxels_before
    total = before[start_a + length, first[:, None]] - before[start_a, first[:, None]]
    volume_b = before[start_b + length, second[None, :]] - before[start_b, second[None, :]]

    # What two crops share fits into the smaller one and into the overlap of their boxes. Pairs for which even
    # that much is too little, nearly all, need no comparison of voxels.
    low, high = np.maximum(a[..., 2::2], b[..., 2::2]), np.minimum(a[..., 3::2], b[..., 3::2])
    most = np.minimum(np.minimum(total, volume_b), (high - low).clip(0).prod(axis=-1) * length)
    total = total + volume_b
    rows, columns = np.nonzero(most / np.maximum(total - most, 1) > above)
    jaccard = np.empty(rows.size)
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        (y0, x0), (y1, x1), n = low[i, j], high[i, j], length[i, j]
        crop_a = supervoxels.labels[level, start_a[i, j] : start_a[i, j] + n, y0:y1, x0:x1]
        crop_b = supervoxels.labels[earlier, start_b[i, j] : start_b[i, j] + n, y0:y1, x0:x1]
        shared = np.count_nonzero((crop_a == first[i]) & (crop_b == second[j]))
        jaccard[k] = shared / (total[i, j] - shared)
    found = jaccard > above
    return first[rows[found]], second[columns[found]], jaccard[found]
