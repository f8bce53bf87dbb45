"""Clusterers that look at distances between pairs of rows; letters and shapes as in `cluster`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.cluster import Clustering, count_distinct, one_cluster, steady, with_medoids
from voxplain.errors import DataError

__all__ = ["DBSCAN", "AffinityPropagation", "Agglomerative", "MeanShift", "Spectral"]


@dataclass(frozen=True, kw_only=True)
class Agglomerative:
    """Ward's bottom-up clustering; the centre is the medoid. Memory grows with N².

    Parameters
    ----------
    clusters : int
        Clusters; as in `KMeans`.

    References
    ----------
    Ward 1963.
    """

    clusters: int = 25

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        import sklearn.cluster

        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        k = count_distinct(values, self.clusters)
        with steady():
            return with_medoids(values, sklearn.cluster.AgglomerativeClustering(k).fit(values).labels_)


@dataclass(frozen=True, kw_only=True)
class AffinityPropagation:
    """Affinity propagation: finds the number of clusters itself; the centre is the exemplar.

    Memory grows with N².

    Parameters
    ----------
    damping : float
        Between 0.5 and 1; high, because the default 0.5 often oscillates.
    iterations : int
        Rounds at most.

    References
    ----------
    Frey and Dueck 2007.
    """

    damping: float = 0.9
    iterations: int = 1000

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes; `DataError` where the messages do not converge."""
        import sklearn.cluster

        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        method = sklearn.cluster.AffinityPropagation(damping=self.damping, max_iter=self.iterations, random_state=seed)
        with steady():
            found = method.fit(values)
        if (found.labels_ < 0).any():
            raise DataError(
                f"affinity propagation should converge within {self.iterations} rounds but did not: "
                f"raise damping ({self.damping}) or iterations, or use k-means"
            )
        return Clustering(found.labels_.astype(np.int64), found.cluster_centers_.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class MeanShift:
    """Mean shift: finds the number of clusters itself; the centre is the density's mode.

    Parameters
    ----------
    bandwidth : float, optional
        In feature units; None estimates it from the distances of up to 500 rows.
    quantile : float
        Of those distances; smaller gives more clusters.

    References
    ----------
    Comaniciu and Meer 2002.
    """

    bandwidth: float | None = None
    quantile: float = 0.1

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        import sklearn.cluster

        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        with steady():
            width = self.bandwidth or sklearn.cluster.estimate_bandwidth(
                values, quantile=self.quantile, n_samples=min(len(values), 500), random_state=seed
            )
            if not width > 0:  # many equal rows, or so few that each is its own nearest neighbour
                width = float(np.sqrt(values.var(axis=0, dtype=np.float64).sum()))
            found = sklearn.cluster.MeanShift(bandwidth=width).fit(values)
        return Clustering(found.labels_.astype(np.int64), found.cluster_centers_.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Spectral:
    """Spectral clustering of the nearest-neighbour graph; the centre is the medoid.

    At most half as many clusters as rows.

    Parameters
    ----------
    clusters : int
        Clusters; as in `KMeans`.
    neighbours : int
        Rows joined to each row; scikit-learn's default.

    References
    ----------
    von Luxburg 2007.
    """

    clusters: int = 25
    neighbours: int = 10

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        import sklearn.cluster

        k = min(self.clusters, len(values) // 2)
        if k < 2 or count_distinct(values, 2) == 1:
            return one_cluster(values)
        method = sklearn.cluster.SpectralClustering(
            k, affinity="nearest_neighbors", n_neighbors=min(self.neighbours, len(values) - 1), random_state=seed
        )
        with steady():
            return with_medoids(values, method.fit(values).labels_)


@dataclass(frozen=True, kw_only=True)
class DBSCAN:
    """Density clustering: finds the number of clusters itself and leaves sparse rows out.

    The centre is the medoid.

    Parameters
    ----------
    radius : float, optional
        In feature units; None takes the median distance of a row to its `neighbours`-th neighbour.
    neighbours : int
        Rows within the radius, the row included, that make it a core row; scikit-learn's default.

    References
    ----------
    Ester et al. 1996.
    """

    radius: float | None = None
    neighbours: int = 5

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see the module for shapes."""
        import sklearn.cluster
        from sklearn.neighbors import NearestNeighbors

        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        radius = self.radius
        count = min(self.neighbours, len(values))
        with steady():
            if radius is None:
                far = NearestNeighbors(n_neighbors=count).fit(values).kneighbors(values)[0][:, -1]
                radius = max(float(np.median(far)), float(np.finfo(np.float32).tiny))
            found = sklearn.cluster.DBSCAN(eps=radius, min_samples=count).fit(values)
        return with_medoids(values, found.labels_)
