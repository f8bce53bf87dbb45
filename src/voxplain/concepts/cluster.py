"""Clusterers: from features to one cluster label a row and one centre a cluster.

Letters: N rows, D features a row, K clusters found. Every clusterer is called with `values` float32 [N,D],
the keyword `clips` int64 [N] (the clip each row comes from; none of the methods here needs it) and a
`seed`, and returns `labels` int64 [N] in 0..K−1, with −1 for rows left out, and `centers` float32 [K,D].
Where fewer distinct rows exist than clusters were asked for, fewer come back. The same seed gives the same
bytes on one machine.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.lloyd import kmeans

__all__ = ["NMF", "Clusterer", "Clustering", "KMeans", "MiniBatchKMeans"]


class Clustering(NamedTuple):
    """What a clusterer finds; a plain tuple of labels and centres is read as one.

    Parameters
    ----------
    labels : int64 [N]
        0 to K − 1, or −1 for rows left out.
    centers : float32 [K,D]
    stability : float32 [K], optional
        0 to 1: how far repeated clusterings agree on each cluster, where the clusterer repeats.
    """

    labels: NDArray[np.int64]
    centers: NDArray[np.float32]
    stability: NDArray[np.float32] | None = None


class Clusterer(Protocol):
    """Anything that groups the rows of a feature table."""

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Labels int64 [N], −1 for rows left out, and centres float32 [K,D]."""


@dataclass(frozen=True, kw_only=True)
class KMeans:
    """k-means with k-means++ starts, the best of several; the centre is the mean of the cluster.

    Starts are compared in the first principal directions and the best ones finished in the full space: inertia as
    low as scikit-learn's or lower in a part of its time (`benchmarks/clustering.py`).

    Parameters
    ----------
    clusters : int
        Clusters; STCE, 15 in its small setting.
    inits : int
        Starts; scikit-learn's classic default, which the reference code ran with.
    directions : int
        Principal directions in which starts are compared; as many as there are features, or more: all of them.

    References
    ----------
    Lloyd 1982; Arthur and Vassilvitskii 2007. STCE uses 25 clusters of Euclidean distance.
    """

    clusters: int = 25
    inits: int = 10
    directions: int = 50

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        k = count_distinct(values, self.clusters)
        with steady():
            return with_means(values, kmeans(values, k, inits=self.inits, directions=self.directions, seed=seed))


@dataclass(frozen=True, kw_only=True)
class MiniBatchKMeans:
    """k-means on small batches: for tables too large for `KMeans`; the centre is the mean of the cluster.

    Parameters
    ----------
    clusters : int
        Clusters; as in `KMeans`.
    batch : int
        Rows; scikit-learn's default.
    inits : int
        Starts; as in `KMeans`.

    References
    ----------
    Sculley 2010, Web-scale k-means clustering.
    """

    clusters: int = 25
    batch: int = 1024
    inits: int = 10

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        import sklearn.cluster

        k = count_distinct(values, self.clusters)
        method = sklearn.cluster.MiniBatchKMeans(k, batch_size=self.batch, n_init=self.inits, random_state=seed)
        with steady():
            return with_means(values, method.fit(values).labels_)


@dataclass(frozen=True, kw_only=True)
class NMF:
    """Non-negative matrix factorisation: each row goes to the part that makes up most of it.

    values ≈ W·H with both factors ≥ 0; row i joins the part k with the largest W[i,k]·‖H[k]‖. The centre is
    the mean of the rows that joined. Features below zero are first shifted up by their column's minimum, so
    use a layer after a ReLU where you can.

    Parameters
    ----------
    clusters : int
        Parts; as in `KMeans`.
    iterations : int
        Coordinate-descent sweeps at most; twice scikit-learn's default.

    References
    ----------
    Lee and Seung 1999; as concepts, Zhang et al. 2021 (ICE) and Fel et al. 2023 (CRAFT).
    """

    clusters: int = 25
    iterations: int = 400

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        from sklearn.decomposition import NMF as SklearnNMF

        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        lifted = values - np.minimum(values.min(axis=0), 0)
        k = min(count_distinct(values, self.clusters), values.shape[1])
        with steady():
            method = SklearnNMF(k, init="nndsvda", max_iter=self.iterations, random_state=seed)
            weights = method.fit_transform(lifted)
        shares = weights * np.linalg.norm(method.components_, axis=1)
        return with_means(values, shares.argmax(axis=1))


@contextmanager
def steady() -> Iterator[None]:
    """Run scikit-learn on one thread, silent on unfinished sweeps, unconnected graphs and equal distances.

    All of them give a usable clustering, and the number of clusters found is in the result. The order of
    float32 sums, and so the clusters, would depend on the number of threads; two on a busy machine were
    16 × slower.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="All samples have mutually equal similarities")
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        warnings.filterwarnings("ignore", message="Exited at iteration")  # the eigensolver on small graphs
        warnings.filterwarnings("ignore", message="Exited postprocessing")
        yield


def count_distinct(values: NDArray[np.float32], most: int) -> int:
    """Number of distinct rows, counted up to `most`: more clusters than that would split equal rows."""
    seen: set[bytes] = set()
    for row in values:
        seen.add(row.tobytes())
        if len(seen) >= most:
            break
    return len(seen)


def one_cluster(values: NDArray[np.float32]) -> Clustering:
    """All rows in one cluster around their mean."""
    return with_means(values, np.zeros(len(values), np.int64))


def _contiguous(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Labels 0..K−1 without gaps, in the same order; −1 stays."""
    used = np.unique(labels[labels >= 0])
    return np.where(labels < 0, -1, np.searchsorted(used, labels)).astype(np.int64)


def with_means(values: NDArray[np.float32], labels: NDArray[np.integer]) -> Clustering:
    """Add the mean of each cluster, summed in float64 so that threads cannot change a byte."""
    labels = _contiguous(labels)
    means = [values[labels == k].mean(axis=0, dtype=np.float64) for k in range(labels.max() + 1)]
    return Clustering(labels, np.stack(means).astype(np.float32))


def with_medoids(values: NDArray[np.float32], labels: NDArray[np.integer]) -> Clustering:
    """Add the medoid of each cluster: the member with the smallest sum of distances to the others."""
    from scipy.spatial.distance import cdist

    labels = _contiguous(labels)
    centers = np.empty((labels.max() + 1, values.shape[1]), np.float32)
    for k in range(len(centers)):
        rows = values[labels == k]
        step = max(1, 2**24 // len(rows))  # at most 128 MiB of distances at a time
        sums = [cdist(rows[i : i + step], rows).sum(axis=1) for i in range(0, len(rows), step)]
        centers[k] = rows[np.concatenate(sums).argmin()]
    return Clustering(labels, centers)


def nearest_centre(values: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index of the nearest concept centre of each row (Euclidean distance).

    Parameters
    ----------
    values : ndarray, float32 [N,D]
        Features.
    centers : ndarray, float32 [K,D]
        Centres of the concepts.

    Returns
    -------
    ndarray, int64 [N]

    Examples
    --------
    >>> nearest_centre(np.float32([[0, 1], [9, 9]]), np.float32([[10, 10], [0, 0]]))
    array([1, 0])
    """
    x, c = values.astype(np.float64), centers.astype(np.float64)
    return np.argmin((c**2).sum(1) - 2 * x @ c.T, axis=1).astype(np.int64)
