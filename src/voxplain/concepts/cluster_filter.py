"""Which clusters count as concepts: large enough, and seen in enough different clips."""

from dataclasses import dataclass

__all__ = ["CLUSTER_FILTERS", "ClusterFilter"]

_SLACK = 1e-9  # the shares are decimal fractions: 0.1 · 30 must not come out above 3


@dataclass(frozen=True, kw_only=True)
class ClusterFilter:
    """Accept a cluster that is large enough and meets one clause on the number of clips it comes from.

    Called with n = members of the full cluster, u = distinct clips among them and D = clips searched;
    accepts where n > `min_members` (strictly) and, for at least one clause (a, b), u > a·D and u > b·n.

    References: clauses of the reference implementation of STCE (video) and of ACE, Ghorbani et al. 2019
    (image).

    Parameters
    ----------
    clauses : tuple[tuple[float, float], ...]
        (share of the searched clips, share of the members); STCE code.
    min_members : int
        Members; strictly more are needed; STCE code.
    """

    clauses: tuple[tuple[float, float], ...] = ((0.0, 0.4), (0.1, 0.1), (0.35, 0.08))
    min_members: int = 10

    def __call__(self, size: int, clips: int, searched: int) -> bool:
        """Whether a cluster of `size` members from `clips` of the `searched` clips is a concept."""
        return size > self.min_members and any(
            clips > of_clips * searched + _SLACK and clips > of_members * size + _SLACK
            for of_clips, of_members in self.clauses
        )


CLUSTER_FILTERS = {
    "video": ClusterFilter(),
    "image": ClusterFilter(clauses=((0.0, 0.5), (0.25, 0.25), (0.5, 0.1))),
    "small": ClusterFilter(clauses=((0.0, 0.0),), min_members=5),
    "none": ClusterFilter(clauses=((0.0, 0.0),), min_members=0),
}
"""The rule of the video reference, the stricter one of the image reference, a minimum size alone, no rule at all.

The references' rules also drop clusters that hold many supervoxels of every clip. With a few clips those are most
clusters, and their supervoxels then fall to whatever concept is left.
"""
