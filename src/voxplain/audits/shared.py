"""Concepts of different classes that are one and the same, matched in one space.

The space is that of the features without what depends on a class (`Embedder.class_dimensions`). Letters: K concepts of
a class, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

__all__ = ["ClassSpace", "SharedConcept", "class_space", "groups_of", "shared_concepts"]


@dataclass(frozen=True, eq=False)
class ClassSpace:
    """Centres and widths of the concepts of one class.

    Parameters
    ----------
    label : str
    centers : ndarray, float [K,D]
        Means of the concepts' supervoxels; NaN for a concept without any.
    radii : ndarray, float [K]
        Median distance of a concept's supervoxels from its centre.
    """

    label: str
    centers: np.ndarray
    radii: np.ndarray


@dataclass(frozen=True)
class SharedConcept:
    """A concept of one class and the one of another class that is the same.

    Parameters
    ----------
    first, second : (str, int)
        Class and concept.
    distance : float
        Between their centres, over the smaller of the two concepts' radii.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    distance: float


def class_space(label: str, rows: np.ndarray, assigned: np.ndarray, concepts: int) -> ClassSpace:
    """Centres and radii of the concepts of a class.

    Parameters
    ----------
    label : str
    rows : ndarray, float [N,D]
        Features of all supervoxels of the class, without what depends on a class.
    assigned : ndarray, int64 [N]
        The concept of each, −1 for none.
    concepts : int
        K.

    Returns
    -------
    ClassSpace
    """
    centers, radii = np.full((concepts, rows.shape[1]), np.nan), np.full(concepts, np.nan)
    for k in range(concepts):
        own = rows[assigned == k].astype(np.float64)
        if len(own):
            centers[k] = own.mean(0)
            radii[k] = np.median(np.linalg.norm(own - centers[k], axis=1))
    return ClassSpace(label, centers, radii)


def shared_concepts(spaces: Sequence[ClassSpace], *, reach: float = 1.0) -> tuple[SharedConcept, ...]:
    """Pairs of concepts of two classes that are each other's nearest and nearer than they are wide.

    Parameters
    ----------
    spaces : sequence of ClassSpace
    reach : float
        Largest distance between two centres, in multiples of the smaller radius.

    Returns
    -------
    tuple of SharedConcept
        The nearest first.

    Examples
    --------
    >>> a = ClassSpace("a", np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([1.0, 1.0]))
    >>> b = ClassSpace("b", np.array([[0.3, 0.0], [9.0, 9.0]]), np.array([1.0, 1.0]))
    >>> [(pair.first, pair.second) for pair in shared_concepts([a, b])]
    [(('a', 0), ('b', 0))]
    """
    found = []
    for a, b in combinations(spaces, 2):
        apart = np.linalg.norm(a.centers[:, None] - b.centers[None], axis=2)
        apart = np.where(np.isnan(apart), np.inf, apart)
        for i in range(len(a.centers)):
            j = int(apart[i].argmin())
            width = max(min(a.radii[i], b.radii[j]), 1e-12)
            if np.isfinite(apart[i, j]) and int(apart[:, j].argmin()) == i and apart[i, j] <= reach * width:
                found.append(SharedConcept((a.label, i), (b.label, j), float(apart[i, j] / width)))
    return tuple(sorted(found, key=lambda pair: (pair.distance, pair.first, pair.second)))


def groups_of(pairs: Sequence[SharedConcept]) -> tuple[tuple[tuple[str, int], ...], ...]:
    """Concepts that are joined by pairs, as groups with at most one concept of a class.

    Parameters
    ----------
    pairs : sequence of SharedConcept
        The nearest first: a pair that would put two concepts of a class into one group is left out.

    Returns
    -------
    tuple of tuple of (str, int)
        Groups of two concepts or more, the largest first.

    Examples
    --------
    >>> pairs = [SharedConcept(("a", 0), ("b", 1), 0.1), SharedConcept(("b", 1), ("c", 2), 0.2)]
    >>> groups_of(pairs)
    ((('a', 0), ('b', 1), ('c', 2)),)
    """
    groups: list[set[tuple[str, int]]] = []
    for pair in pairs:
        one, other = ({c for g in groups if x in g for c in g} or {x} for x in (pair.first, pair.second))
        joined = one | other
        if len({label for label, _ in joined}) == len(joined):
            groups = [g for g in groups if not g & joined]
            groups.append(joined)
    return tuple(sorted((tuple(sorted(g)) for g in groups), key=lambda g: (-len(g), g)))
