"""Consensus of many k-means clusterings of halves of the clips: clusters that do not depend on a seed or on few clips.

Letters: N rows, K clusters, B draws; A [N,N], the share of draws in which two rows are in one cluster.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.cluster import Clustering, count_distinct, nearest_centre, one_cluster, steady, with_means
from voxplain.errors import DataError

__all__ = ["Consensus"]

ROWS = 4000  # of which pairs are compared: 64 MiB for A


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """Evidence accumulation: rows that many clusterings of halves of the clips put together.

    Each draw clusters the rows of half of the clips by k-means and puts every row to its nearest centre. Average
    linkage of 1 − A gives a tree; of its cuts into ``min_clusters`` to ``max_clusters`` the one with the largest mean
    silhouette is taken. A centre is the mean of its cluster, whose *stability* is the mean of A over its pairs of rows:
    1 where every draw agrees.

    Parameters
    ----------
    min_clusters, max_clusters : int
        Bounds of the number of clusters; the lower one is at most the mean number of rows a clip, because a clip that
        is two regions holds no six things.
    draws : int
        B.
    base : tuple of int
        Clusters of the draws' k-means, taken in turn, each at most the mean number of rows a clip.

    Raises
    ------
    DataError
        Bounds that are not 2 or more and rising, and counts below 1.

    References
    ----------
    Fred and Jain 2005, Combining Multiple Clusterings Using Evidence Accumulation; Monti et al. 2003, Consensus
    Clustering

    Examples
    --------
    >>> rows = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    >>> found = Consensus(min_clusters=2, base=(3,), draws=4)(rows, clips=np.arange(30) % 10)
    >>> len(found.centers), found.stability
    (3, array([1., 1., 1.], dtype=float32))
    """

    min_clusters: int = 6
    max_clusters: int = 12
    draws: int = 50
    base: tuple[int, ...] = (6, 8, 10, 12)

    def __post_init__(self) -> None:
        """Check bounds and counts."""
        if not 2 <= self.min_clusters <= self.max_clusters or self.draws < 1 or not self.base or min(self.base) < 2:
            raise DataError(
                f"expected 2 ≤ min_clusters ≤ max_clusters, 1 draw or more and base numbers of clusters of 2 or more, "
                f"got {self.min_clusters}, {self.max_clusters}, {self.draws} and {self.base}; correct them"
            )

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see `cluster` for shapes."""
        if count_distinct(values, 2) == 1:
            return one_cluster(values)
        rng = np.random.default_rng(seed)
        limit = max(2, round(len(values) / len(np.unique(clips))))
        chosen = np.sort(rng.choice(len(values), min(len(values), ROWS), replace=False))
        base = [min(k, limit) for k in self.base]
        with steady():
            draws = [self._draw(values, clips, base[b % len(base)], rng)[chosen] for b in range(self.draws)]
            drawn = np.stack(draws, axis=1)
            together = _together(drawn)
            labels, centers = with_means(values[chosen], self._cut(together, min(self.min_clusters, limit)))[:2]
        stability = np.array([_mean_of_pairs(together, np.flatnonzero(labels == k)) for k in range(len(centers))])
        if len(chosen) < len(values):
            labels = nearest_centre(values, centers)
        return Clustering(labels, centers, stability.astype(np.float32))

    def _draw(
        self, values: NDArray[np.float32], clips: NDArray[np.int64], clusters: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """The cluster of every row after clustering the rows of half of the clips."""
        import sklearn.cluster

        known = np.unique(clips)
        half = np.isin(clips, rng.choice(known, -(-len(known) // 2), replace=False))
        k = count_distinct(values[half], clusters)
        method = sklearn.cluster.KMeans(k, n_init=3, random_state=int(rng.integers(2**31)))
        return nearest_centre(values, method.fit(values[half]).cluster_centers_)

    def _cut(self, together: NDArray[np.float32], least: int) -> NDArray[np.int64]:
        """Labels [N] of the cut of the tree with the largest silhouette."""
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform
        from sklearn.metrics import silhouette_score

        apart = 1 - together
        tree = linkage(squareform(apart, checks=False), "average")
        # Clusters that no draw joins are all 1 apart: joined one after the other, so that every number has a cut.
        tree[:, 2] += 1e-9 * np.arange(len(tree)) * (tree[:, 2] > 0)
        cuts = [fcluster(tree, k, "maxclust") - 1 for k in range(least, self.max_clusters + 1)]
        real = [cut for cut in cuts if 1 < cut.max() + 1 < len(apart)]
        if not real:
            return np.asarray(cuts[0], np.int64)
        scores = [silhouette_score(apart, cut, metric="precomputed") for cut in real]
        return np.asarray(real[int(np.argmax(scores))], np.int64)


def _together(drawn: NDArray[np.int64]) -> NDArray[np.float32]:
    """A float32 [N,N] of the draws' labels [N,B]."""
    shared = np.zeros((len(drawn), len(drawn)), np.float32)
    for labels in drawn.T:
        shared += labels[:, None] == labels[None]
    return shared / np.float32(drawn.shape[1])


def _mean_of_pairs(together: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
    """Mean of A over the pairs of different rows; 1 for a single row."""
    own = together[np.ix_(rows, rows)]
    return float((own.sum() - len(rows)) / (len(rows) * (len(rows) - 1))) if len(rows) > 1 else 1.0
