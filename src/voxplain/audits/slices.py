"""Slices: clips of a class with low accuracy that one or two concepts describe, by their presence.

Slices that the effect of a concept describes are in `effect_slices`. Letters: M clips of a class, K concepts, S
candidate slices, B permutations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from voxplain.record_html import fields_table
from voxplain.statistics import wilson_interval

__all__ = ["Slice", "find_slices", "joined_slices"]

_SHARED = 0.6  # Jaccard index from which on two slices count as one
_PAIRED = 12  # concepts of which pairs are candidates: those that separate wrong from right clips best
_GAIN = 1.1  # by how much a pair's statistic exceeds that of each of its parts


@dataclass(frozen=True)
class Slice:
    """Clips of a class that have some concepts and lack others, or that a concept draws to another class.

    Parameters
    ----------
    present, absent : tuple of int
        Concepts that every clip of the slice has, and that none has.
    clips : tuple of int
        Indices of its clips: wrong ones first, then those with most voxels of the present concepts, or those that the
        concept draws most.
    wrong : int
        Wrongly classified clips among them.
    accuracy, low, high : float
        Accuracy in the slice, 0 to 1, with its 95 % interval (Wilson).
    rest : float
        Accuracy of the other clips of the class.
    p_value, q_value : float
        Of a slice by presence: that the wrong clips are not more frequent in it; q is corrected for all candidates of
        the class by the largest statistic under permutation of the clips. Of a slice by effect: see `DrawingConcept`.
    taken_for : str
        Class to which the concept draws the clips; empty for a slice by presence.
    concepts_of : str
        Class of the concept where that is another one than that of the clips.
    repaired : float
        Share of what the clips that are taken for the class lack to be right which hiding the concept gives back, 0 to
        1; 0 for a slice by presence.
    """

    present: tuple[int, ...]
    absent: tuple[int, ...]
    clips: tuple[int, ...]
    wrong: int
    accuracy: float
    low: float
    high: float
    rest: float
    p_value: float
    q_value: float
    taken_for: str = field(default="", metadata={"later": True})
    concepts_of: str = field(default="", metadata={"later": True})
    repaired: float = field(default=0.0, metadata={"later": True})

    _repr_html_ = fields_table


@dataclass(frozen=True, eq=False)
class _Candidate:
    present: tuple[int, ...]
    absent: tuple[int, ...]
    inside: np.ndarray  # bool [M]


def find_slices(
    volume: np.ndarray, wrong: np.ndarray, *, smallest: int = 4, most: int = 5, permutations: int = 1999, seed: int = 0
) -> tuple[Slice, ...]:
    """Slices in which clips are wrong more often than elsewhere in the class.

    Candidates are the clips with a concept, with much of it (more than the median of the clips that have it), without
    it, and the intersections of two of these. Of candidates with mostly the same clips the one with the largest
    statistic is kept.

    Parameters
    ----------
    volume : ndarray, float [M,K]
        Share of each clip's voxels that each concept covers.
    wrong : ndarray, bool [M]
        Whether each clip is classified wrongly.
    smallest : int
        Clips of a slice at least.
    most : int
        Slices that are returned at most.
    permutations : int
    seed : int

    Returns
    -------
    tuple of Slice
        By falling statistic; only slices of lower accuracy than the rest of the class.

    References
    ----------
    Eyuboglu et al. 2022 (Domino): slices are judged by the precision of their first ten clips.

    Examples
    --------
    >>> volume = np.zeros((30, 2))
    >>> volume[:10, 0] = volume[5:20, 1] = 0.1
    >>> wrong = np.arange(30) < 9
    >>> found = find_slices(volume, wrong)[0]
    >>> found.present, found.absent, len(found.clips), found.wrong, found.q_value < 0.01
    ((0,), (), 10, 9, True)
    """
    if not 0 < wrong.sum() < len(wrong):
        return ()
    candidates = _candidates(volume, wrong, smallest)
    if not candidates:
        return ()
    inside = np.stack([c.inside for c in candidates], 1).astype(np.float64)
    rng = np.random.default_rng(seed)
    labels = np.vstack([wrong[None], np.stack([rng.permutation(wrong) for _ in range(permutations)])]).astype(float)
    z = _statistic(labels, inside)
    largest = z.max(1)
    order = np.argsort(-z[0], kind="stable")
    kept: list[int] = []
    for s in order:
        if z[0, s] <= 0 or len(kept) == most:
            break
        if not _is_new(candidates, z[0], int(s), kept):
            continue
        kept.append(int(s))
    return tuple(
        _slice(candidates[s], volume, wrong, float((z[:, s] >= z[0, s]).mean()), float((largest >= z[0, s]).mean()))
        for s in kept
    )


def joined_slices(by_effect: Sequence[Slice], by_presence: Sequence[Slice], *, most: int = 5) -> tuple[Slice, ...]:
    """Slices by effect, then those by presence, without those of mostly the same clips as an earlier one.

    Parameters
    ----------
    by_effect, by_presence : sequence of Slice
        Of one class.
    most : int
        Slices that are returned at most.

    Returns
    -------
    tuple of Slice
        With twice the q-values, because there were two searches.
    """
    kept: list[Slice] = []
    for own in (*by_effect, *by_presence):
        sets = [(set(own.clips), set(other.clips)) for other in kept]
        if len(kept) < most and all(len(a & b) < _SHARED * len(a | b) for a, b in sets):
            kept.append(replace(own, q_value=min(1.0, 2 * own.q_value)))
    return tuple(kept)


def _statistic(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Standardised number of wrong clips in each slice under the hypergeometric distribution, [1 + B,S]."""
    n, m = len(inside), labels[0].sum()
    size = inside.sum(0)
    mean = size * m / n
    variance = mean * (1 - m / n) * (n - size) / max(n - 1, 1)
    return np.asarray(((labels @ inside - mean) / np.sqrt(np.maximum(variance, 1e-12))).round(10))


def _candidates(volume: np.ndarray, wrong: np.ndarray, smallest: int) -> list[_Candidate]:
    single: list[_Candidate] = []
    for k in range(volume.shape[1]):
        has = volume[:, k] > 0
        single += [_Candidate((k,), (), has), _Candidate((), (k,), ~has)]
        if has.any():
            single.append(_Candidate((k,), (), volume[:, k] > np.median(volume[has, k])))
    fits = [c for c in single if smallest <= c.inside.sum() < len(wrong)]
    if not fits:
        return []
    z = _statistic(wrong[None].astype(float), np.stack([c.inside for c in fits], 1).astype(float))[0]
    best = [fits[s] for s in np.argsort(-z, kind="stable")[:_PAIRED] if z[s] > 0]
    pairs = []
    for a, b in combinations(best, 2):
        if {*a.present, *a.absent} & {*b.present, *b.absent}:
            continue
        both = a.inside & b.inside
        if both.sum() >= smallest:
            present, absent = sorted({*a.present, *b.present}), sorted({*a.absent, *b.absent})
            pairs.append(_Candidate(tuple(present), tuple(absent), both))
    return [*fits, *pairs]


def _is_new(candidates: Sequence[_Candidate], z: np.ndarray, s: int, kept: Sequence[int]) -> bool:
    """Whether a slice is another than those kept, and a pair tells more than each concept of it does alone."""
    own = candidates[s]
    if len(own.present) + len(own.absent) > 1:
        parts = [
            z[i]
            for i, c in enumerate(candidates)
            if len(c.present) + len(c.absent) == 1 and set(c.present) <= {*own.present} and {*c.absent} <= {*own.absent}
        ]
        if z[s] < _GAIN * max(parts, default=0.0):
            return False
    for other in (candidates[i] for i in kept):
        either = (own.inside | other.inside).sum()
        if (own.inside & other.inside).sum() >= _SHARED * either:
            return False
    return True


def _slice(found: _Candidate, volume: np.ndarray, wrong: np.ndarray, p: float, q: float) -> Slice:
    places = np.flatnonzero(found.inside)
    amount = volume[places][:, list(found.present)].sum(1)
    order = np.lexsort((-amount, ~wrong[places]))
    bad = int(wrong[places].sum())
    low, high = wilson_interval(len(places) - bad, len(places))
    return Slice(
        found.present,
        found.absent,
        tuple(int(i) for i in places[order]),
        bad,
        1 - bad / len(places),
        low,
        high,
        float((~wrong[~found.inside]).mean()),
        p,
        q,
    )
