"""Concept discovery: clusters of supervoxel features that many clips share.

Letters: N supervoxels (rows), D features a row, K concepts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.cluster import NMF, Clusterer, KMeans, MiniBatchKMeans
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS
from voxplain.concepts.cluster_graph import DBSCAN, AffinityPropagation, Agglomerative, MeanShift, Spectral
from voxplain.errors import DataError

CLUSTERERS: dict[str, Clusterer] = {
    "kmeans": KMeans(),
    "minibatch_kmeans": MiniBatchKMeans(),
    "nmf": NMF(),
    "agglomerative": Agglomerative(),
    "affinity_propagation": AffinityPropagation(),
    "mean_shift": MeanShift(),
    "spectral": Spectral(),
    "dbscan": DBSCAN(),
}
"""Every clusterer with its default parameters."""


@dataclass(frozen=True)
class ConceptBank:
    """The concepts of one class: cluster centres and the supervoxels nearest each.

    K ≥ 1 concepts, in the clusterer's label order. Distances are Euclidean, in feature units.
    """

    centers: NDArray[np.float32]
    """float32 [K,D]; centre of the FULL cluster, its medoid where the method has no centre."""
    members: tuple[NDArray[np.int64], ...]
    """per concept, rows of the feature table, nearest the centre first."""
    distance: tuple[NDArray[np.float32], ...]
    """per concept, the members' distances to the centre."""
    sizes: NDArray[np.int64]
    """int64 [K]; rows in the full cluster."""
    clip_count: NDArray[np.int64]
    """int64 [K]; distinct clips in the full cluster."""
    method: str
    """the clusterer and its parameters, in words."""

    def __post_init__(self) -> None:
        """Check that all fields describe the same K concepts."""
        count = len(self.centers)
        lengths = [len(x) for x in (self.members, self.distance, self.sizes, self.clip_count)]
        if self.centers.ndim != 2 or count == 0 or set(lengths) != {count}:
            raise DataError(
                f"a concept bank needs K ≥ 1 centres [K,D] and K members, distances, sizes and clip counts, "
                f"got centres {self.centers.shape} and lengths {lengths}"
            )
        for k, (rows, far) in enumerate(zip(self.members, self.distance, strict=True)):
            if rows.shape != far.shape or not 1 <= len(rows) <= self.sizes[k]:
                raise DataError(
                    f"concept {k} of a bank needs as many distances as members, from 1 to its size "
                    f"{self.sizes[k]}, got {rows.shape} members and {far.shape} distances"
                )

    def __len__(self) -> int:
        """Number of concepts."""
        return len(self.centers)

    def __repr__(self) -> str:
        """Shapes, not data."""
        kept = [len(rows) for rows in self.members]
        return (
            f"ConceptBank({len(self)} concepts of {self.centers.shape[1]} features, "
            f"{min(kept)} to {max(kept)} members kept, {self.method})"
        )


def discover(
    values: NDArray[np.float32],
    clips: NDArray[np.int64],
    *,
    clusterer: Clusterer = CLUSTERERS["kmeans"],
    keep: int = 40,
    cluster_filter: Callable[[int, int, int], bool] = CLUSTER_FILTERS["video"],
    searched: int | None = None,
    seed: int = 0,
) -> ConceptBank:
    """Cluster the supervoxels of one class and keep the clusters that qualify as concepts.

    `values` float32 [N,D], `clips` int64 [N] the clip of each row. Every accepted cluster becomes a
    concept, in the clusterer's label order, represented by the `keep` rows nearest the centre of the full
    cluster (40 in STCE). `cluster_filter` is called with a cluster's size, its distinct clips and the number of
    clips `searched`, by default the distinct values of `clips`; name it where some clip gave no supervoxel.

    Raises `DataError` where the table is empty or not finite, or where no cluster qualifies.

    Reference: Ji, Wang and Kato, Spatial-temporal concept based explanation of 3D ConvNets, CVPR 2023.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    clips = np.asarray(clips, dtype=np.int64)
    _check(values, clips, keep)
    labels, centers = clusterer(values, clips=clips, seed=seed)
    found = [np.flatnonzero(labels == k) for k in range(len(centers))]
    counts = [len(np.unique(clips[rows])) for rows in found]
    total = len(np.unique(clips)) if searched is None else searched
    chosen = [k for k, rows in enumerate(found) if cluster_filter(len(rows), counts[k], total)]
    if not chosen:
        largest = max((len(rows) for rows in found), default=0)
        raise DataError(
            f"at least one of {len(found)} clusters should qualify as a concept, none did ({len(values)} "
            f"supervoxels of {total} clips, largest cluster {largest}, most clips in a cluster "
            f"{max(counts, default=0)}): give more clips, ask for fewer clusters, or relax {cluster_filter}"
        )
    nearest = [_nearest(values, found[k], centers[k], keep) for k in chosen]
    return ConceptBank(
        centers=centers[chosen],
        members=tuple(rows for rows, _ in nearest),
        distance=tuple(far for _, far in nearest),
        sizes=np.array([len(found[k]) for k in chosen], dtype=np.int64),
        clip_count=np.array([counts[k] for k in chosen], dtype=np.int64),
        method=repr(clusterer),
    )


def nearest_centre(values: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index of the nearest concept centre of each row, [N,D] and [K,D] to int64 [N] (Euclidean)."""
    x, c = values.astype(np.float64), centers.astype(np.float64)
    return np.argmin((c**2).sum(1) - 2 * x @ c.T, axis=1).astype(np.int64)


def _check(values: NDArray[np.float32], clips: NDArray[np.int64], keep: int) -> None:
    if values.ndim != 2 or 0 in values.shape or clips.shape != values.shape[:1]:
        raise DataError(
            f"discovery needs features [N,D] with N, D ≥ 1 and one clip a row, "
            f"got features {values.shape} and clips {clips.shape}"
        )
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise DataError(
            f"discovery needs finite features, got {len(bad)} rows with NaN or infinity, first row {bad[0]}: "
            f"check the network's weights and precision"
        )
    if keep < 1:
        raise DataError(f"discovery must keep at least 1 member a concept, got keep={keep}")


def _nearest(
    values: NDArray[np.float32], rows: NDArray[np.int64], center: NDArray[np.float32], keep: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `keep` rows nearest the centre and their distances; ties keep the table's order."""
    far = np.linalg.norm(values[rows].astype(np.float64) - center, axis=1).astype(np.float32)
    order = np.argsort(far, kind="stable")[:keep]
    return rows[order].astype(np.int64), far[order]
