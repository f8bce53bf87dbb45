"""Clusters divided where supervoxels that look alike contribute differently: an object, and distractors of its kind.

Letters: N rows, K clusters, B draws of halves of the clips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.concepts.cluster import Clusterer, Clustering, with_means
from voxplain.errors import DataError

__all__ = ["SplitByContribution", "two_groups"]


def two_groups(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """The division of numbers into two groups with the least variance within.

    Parameters
    ----------
    values : float [N]
        N ≥ 2.

    Returns
    -------
    limit : float
        Half way between the groups.
    gap : float
        Difference of their means, at least 0.
    explained : float
        Share of the variance between them, 0 to 1.

    References
    ----------
    Fisher 1958, On Grouping for Maximum Homogeneity; Otsu 1979.

    Examples
    --------
    >>> [round(float(x), 3) for x in two_groups(np.array([0.0, 1.0, 9.0, 10.0]))]
    [5.0, 9.0, 0.988]
    """
    ordered, n = np.sort(np.asarray(values, np.float64)), len(values)
    lower = np.arange(1, n)
    sums = np.cumsum(ordered)
    gaps = (sums[-1] - sums[:-1]) / (n - lower) - sums[:-1] / lower
    between = lower * (n - lower) / n * gaps**2
    at, total = int(between.argmax()), float(((ordered - ordered.mean()) ** 2).sum())
    return float(ordered[at] + ordered[at + 1]) / 2, float(gaps[at]), float(between[at]) / max(total, 1e-12)


@dataclass(frozen=True, kw_only=True)
class SplitByContribution:
    """The clusters of another clusterer, each divided where its rows' last feature, the contribution, has two groups.

    Divided again as long as there are two groups. The stability of a part is that of the cluster times the mean share
    of halves of the clips whose limits leave two rows of the part together.

    Parameters
    ----------
    clusterer : Clusterer
    gap : float
        Least difference of the groups' means, in units of the feature.
    explained : float
        Least share of the cluster's variance between them.
    clips : float
        Least share of all clips in which each group has rows.
    members : int
        Least rows of each group.
    draws : int
        B.

    Raises
    ------
    DataError
        Numbers out of range.

    Examples
    --------
    >>> from voxplain.concepts.cluster import KMeans
    >>> rows = np.array([[0, 0.1], [0, 0.9]] * 8 + [[5, 0.0]] * 8, np.float32)
    >>> split = SplitByContribution(clusterer=KMeans(clusters=2), gap=0.5)
    >>> len(split(rows, clips=np.arange(24) // 2).centers)
    3
    """

    clusterer: Clusterer
    gap: float
    explained: float = 0.75
    clips: float = 1 / 3
    members: int = 4
    draws: int = 50

    def __post_init__(self) -> None:
        """Check the fields."""
        shares, counts = (self.explained, self.clips), (self.members, self.draws)
        if not self.gap > 0 or not all(0 <= share <= 1 for share in shares) or min(counts) < 1:
            raise DataError(
                f"expected a gap above 0, shares of 0 to 1, 1 member and 1 draw or more, got gap={self.gap}, "
                f"explained={self.explained}, clips={self.clips}, members={self.members} and draws={self.draws}; "
                "correct them"
            )

    def __call__(self, values: NDArray[np.float32], *, clips: NDArray[np.int64], seed: int = 0) -> Clustering:
        """Cluster; see `cluster` for shapes."""
        found = Clustering(*self.clusterer(values, clips=clips, seed=seed))
        labels, count = found.labels.copy(), len(found.centers)
        stability = None if found.stability is None else list(map(float, found.stability))
        rng, total = np.random.default_rng(seed), len(np.unique(clips))
        undivided = list(range(count))
        while undivided:
            cluster = undivided.pop()
            rows = np.flatnonzero(labels == cluster)
            above = self._above(values[rows, -1], clips[rows], total)
            if above is None:
                continue
            labels[rows[above]] = count
            if stability is not None:
                lower, upper = _together(values[rows, -1], clips[rows], above, rng, self.draws)
                stability.append(stability[cluster] * upper)
                stability[cluster] *= lower
            undivided += [cluster, count]
            count += 1
        if count == len(found.centers):
            return found
        divided = with_means(values, labels)
        return Clustering(*divided[:2], None if stability is None else np.asarray(stability, np.float32))

    def _above(self, own: NDArray[np.float32], clips: NDArray[np.int64], total: int) -> NDArray[np.bool_] | None:
        """Which rows of a cluster are of the upper group; None where there are no two groups."""
        if len(own) < 2 * self.members:
            return None
        limit, gap, explained = two_groups(own)
        above = own > limit
        if not gap > self.gap or explained < self.explained:
            return None
        groups = above, ~above
        many = all(g.sum() >= self.members and len(np.unique(clips[g])) >= self.clips * total for g in groups)
        return above if many else None


def _together(
    own: NDArray[np.float32], clips: NDArray[np.int64], above: NDArray[np.bool_], rng: np.random.Generator, draws: int
) -> tuple[float, float]:
    """Mean share of draws in which pairs of rows of the lower and of the upper group are on one side of the limit."""
    known = np.unique(clips)
    shares: tuple[list[float], list[float]] = ([], [])
    for _ in range(draws):
        half = np.isin(clips, rng.choice(known, -(-len(known) // 2), replace=False))
        limit = two_groups(own[half])[0] if half.sum() > 1 else np.inf
        for group, share in zip((~above, above), shares, strict=True):
            n, upper = int(group.sum()), int((own[group] > limit).sum())
            pairs = n * (n - 1)
            share.append((upper * (upper - 1) + (n - upper) * (n - upper - 1)) / pairs if pairs else 1.0)
    return float(np.mean(shares[0])), float(np.mean(shares[1]))
