"""Concept discovery: clusters of supervoxel features that many clips share.

Letters: N supervoxels (rows), D features a row, K concepts. `fit_concepts` makes a `ConceptBank`, which encodes rows
as indices of concepts and decodes indices as centres.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from voxplain.concepts.cluster import NMF, Clusterer, Clustering, KMeans, MiniBatchKMeans, nearest_centre
from voxplain.concepts.cluster_filter import CLUSTER_FILTERS
from voxplain.concepts.cluster_graph import DBSCAN, AffinityPropagation, Agglomerative, MeanShift, Spectral
from voxplain.concepts.consensus import Consensus
from voxplain.concepts.features import Features
from voxplain.errors import DataError
from voxplain.record_html import fields_table

__all__ = ["CLUSTERERS", "ConceptBank", "discover", "fit_concepts", "nearest_centre"]

T = TypeVar("T")

CLUSTERERS: dict[str, Clusterer] = {
    "consensus": Consensus(),
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

    Parameters
    ----------
    centers : float32 [K,D]
        Centre of the full cluster, its medoid where the method has no centre.
    members : tuple of int64 arrays
        For each concept, rows of the feature table, nearest the centre first.
    distance : tuple of float32 arrays
        For each concept, the members' distances to the centre.
    sizes : int64 [K]
        Rows in the full cluster.
    clip_count : int64 [K]
        Distinct clips in the full cluster.
    method : str
        The clusterer and its parameters.
    reach : float32 [K]
        Largest distance from the centre at which a row is of the concept; infinite where every row is.
    stability : float32 [K]
        0 to 1: how far repeated clusterings agree on the concept; NaN where the clusterer does not repeat.

    Raises
    ------
    DataError
        Fields that do not describe the same K concepts.
    """

    centers: NDArray[np.float32]
    members: tuple[NDArray[np.int64], ...]
    distance: tuple[NDArray[np.float32], ...]
    sizes: NDArray[np.int64]
    clip_count: NDArray[np.int64]
    method: str
    reach: NDArray[np.float32]
    stability: NDArray[np.float32]

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check that all fields describe the same K concepts."""
        count = len(self.centers)
        fields = (self.members, self.distance, self.sizes, self.clip_count, self.reach, self.stability)
        lengths = [len(x) for x in fields]
        if self.centers.ndim != 2 or count == 0 or set(lengths) != {count}:
            raise DataError(
                f"a concept bank needs K ≥ 1 centres [K,D] and K members, distances, sizes, clip counts, reaches and "
                f"stabilities, got centres {self.centers.shape} and lengths {lengths}"
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

    def encode(self, features: ArrayLike | Features) -> NDArray[np.int64]:
        """Index of the nearest concept of each row, or −1 where it is out of reach.

        Parameters
        ----------
        features : array, tensor or Features [N,D]
            Of the layer that the bank was fitted on.

        Returns
        -------
        int64 [N]
            −1 to K − 1; −1 is a row further from its nearest centre than the concept reaches.

        Raises
        ------
        DataError
            Another number of features, or values that are not finite.

        Examples
        --------
        >>> bank = fit_concepts([[0.0], [0.2], [5.0]], clusterer=KMeans(clusters=2))
        >>> codes = bank.encode([[0.1], [4.0], [0.0]])
        >>> codes[0] == codes[2] != codes[1]
        np.True_
        """
        values = _rows(features)
        if not len(values):  # a clip may have no supervoxel
            return np.zeros(0, np.int64)
        _check(values, np.zeros(len(values), np.int64), keep=1)
        if values.shape[1] != self.centers.shape[1]:
            raise DataError(f"expected features [N,{self.centers.shape[1]}] of the bank's layer, got {values.shape}")
        codes = nearest_centre(values, self.centers)
        far = np.linalg.norm(values.astype(np.float64) - self.centers[codes], axis=1)
        return np.where(far <= self.reach[codes], codes, -1)

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Centres of concepts.

        Parameters
        ----------
        codes : int [N]
            Indices of concepts, as `encode` gives them.

        Returns
        -------
        float32 [N,D]

        Raises
        ------
        DataError
            Indices that are not whole numbers from 0 to K − 1.

        Examples
        --------
        >>> bank = fit_concepts([[0.0], [5.0]], clusterer=KMeans(clusters=2))
        >>> sorted(bank.decode([0, 1]).ravel().tolist())
        [0.0, 5.0]
        """
        index = np.asarray(codes)
        if index.dtype.kind not in "iu" or index.ndim != 1 or (index < 0).any() or (index >= len(self)).any():
            raise DataError(f"expected indices [N] of concepts, 0 to {len(self) - 1}, got {index.dtype} {index.shape}")
        return self.centers[index]


def fit_concepts(
    features: ArrayLike | Features,
    *,
    clips: ArrayLike | None = None,
    clusterer: Clusterer | str = "kmeans",
    keep: int = 40,
    cluster_filter: Callable[[int, int, int], bool] | str = "none",
    reach: float = np.inf,
    seed: int = 0,
) -> ConceptBank:
    """Concepts of a feature table, without a network, videos or a store.

    Parameters
    ----------
    features : array, tensor or Features [N,D]
        One row for each supervoxel, or for whatever else is to be grouped.
    clips : int [N], optional
        The clip of each row; by default that of the `Features`, and for a plain table one clip for each row.
    clusterer : Clusterer or str
        A method or its name in `CLUSTERERS`.
    keep : int
        Rows nearest a centre that are a concept's members; 40 in STCE.
    cluster_filter : callable or str
        Which clusters are concepts, or a name in `CLUSTER_FILTERS`; "none" accepts every cluster, while a concept run
        uses "video".
    reach : float
        Largest distance from a centre, in multiples of the cluster's median distance, at which a row is of a concept.
    seed : int
        The same seed gives the same bank.

    Returns
    -------
    ConceptBank

    Raises
    ------
    DataError
        An unknown name, a table that is empty or not finite, or no cluster that is a concept.

    References
    ----------
    Ji, Wang and Kato, Spatial-temporal concept based explanation of 3D ConvNets, CVPR 2023.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(60, 8))
    >>> bank = fit_concepts(rows, clusterer=KMeans(clusters=3), keep=5)
    >>> len(bank), bank.encode(rows).shape, bank.decode([0, 2]).shape
    (3, (60,), (2, 8))
    """
    if clips is None:
        clips = features.origin[:, 0] if isinstance(features, Features) else np.arange(len(features))  # type: ignore[arg-type]
    filters: Mapping[str, Callable[[int, int, int], bool]] = CLUSTER_FILTERS
    return discover(
        _rows(features),
        np.asarray(clips, np.int64),
        clusterer=_named(CLUSTERERS, clusterer),
        keep=keep,
        cluster_filter=_named(filters, cluster_filter),
        reach=reach,
        seed=seed,
    )


def discover(
    values: NDArray[np.float32],
    clips: NDArray[np.int64],
    *,
    clusterer: Clusterer = CLUSTERERS["kmeans"],
    keep: int = 40,
    cluster_filter: Callable[[int, int, int], bool] = CLUSTER_FILTERS["video"],
    searched: int | None = None,
    reach: float = np.inf,
    seed: int = 0,
) -> ConceptBank:
    """Cluster the supervoxels of one class and keep the clusters that qualify as concepts.

    Every accepted cluster becomes a concept, in the clusterer's label order, represented by the rows nearest the
    centre of the full cluster. `fit_concepts` is the same for users' own tables.

    Parameters
    ----------
    values : float32 [N,D]
    clips : int64 [N]
        The clip of each row.
    clusterer : Clusterer
    keep : int
        Members of a concept; 40 in STCE.
    cluster_filter : callable
        Called with a cluster's size, its distinct clips and the number of clips searched.
    searched : int, optional
        Clips searched, where some gave no supervoxel; by default the distinct values of ``clips``.
    reach : float
        As for `fit_concepts`.
    seed : int

    Returns
    -------
    ConceptBank

    Raises
    ------
    DataError
        A table that is empty or not finite, or no cluster that qualifies.

    References
    ----------
    Ji, Wang and Kato, Spatial-temporal concept based explanation of 3D ConvNets, CVPR 2023.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    clips = np.asarray(clips, dtype=np.int64)
    _check(values, clips, keep)
    labels, centers, stability = Clustering(*clusterer(values, clips=clips, seed=seed))
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
    medians = [np.median(_nearest(values, found[k], centers[k], len(values))[1]) for k in chosen]
    return ConceptBank(
        centers=centers[chosen],
        members=tuple(rows for rows, _ in nearest),
        distance=tuple(far for _, far in nearest),
        sizes=np.array([len(found[k]) for k in chosen], dtype=np.int64),
        clip_count=np.array([counts[k] for k in chosen], dtype=np.int64),
        method=repr(clusterer),
        # A cluster of equal rows has a median of 0, which no multiple raises.
        reach=np.where(np.isinf(reach), np.inf, np.maximum(medians, 1e-6) * reach).astype(np.float32),
        stability=np.full(len(chosen), np.nan, np.float32) if stability is None else stability[chosen],
    )


def _rows(features: ArrayLike | Features) -> NDArray[np.float32]:
    values = features.values if isinstance(features, Features) else features
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, np.float32)


def _named(registry: Mapping[str, T], given: T | str) -> T:
    """The entry of a registry with a name; what is not a name is returned as it is."""
    if not isinstance(given, str):
        return given
    if given not in registry:
        raise DataError(f"expected a method or one of {', '.join(registry)}, got {given!r}; choose one")
    return registry[given]


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
