"""Slices by effect: clips of a class that a concept draws to another class.

A concept draws a clip to class p where hiding it raises the margin z_y − z_p, the logit of the true class minus that
of p. Not only concepts of the clips' own class are tried, but also those of the class that they are taken for: what
draws to a class is often a part of most of its clips, and rare in those of others. Letters: n wrong clips, M clips of a
class, K concepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.audits.causes import HiddenInWrong
from voxplain.audits.slices import Slice
from voxplain.record_html import fields_table
from voxplain.statistics import sign_flips, wilson_interval

__all__ = ["DrawingConcept", "drawing_concepts", "effect_slice"]

_PART = 0.25  # of the median gain in the clips that are taken for the class, from which on a clip is of the slice


@dataclass(frozen=True)
class DrawingConcept:
    """A concept that draws wrong clips of a class to the class that they are taken for.

    Parameters
    ----------
    label : str
        Class of the concept.
    concept : int
    taken_for : int
        Index of the class that the clips are taken for.
    repaired : float
        Share of what the clips lack to be right, the sum of z_p − z_y over them, that hiding the concept gives back, in
        no clip more than that clip lacks; 0 to 1.
    p_value, q_value : float
        That hiding the concept does not raise the margin, or raises it no more than hiding random regions of its
        volume: one-sided sign flips of the smaller of the two differences over the clips; q is corrected by max-T for
        all concepts that are tried for the class.
    clips : int
        Clips of the class that are taken for ``taken_for`` and in which concepts of ``label`` were hidden.
    """

    label: str
    concept: int
    taken_for: int
    repaired: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


def drawing_concepts(
    own: HiddenInWrong, taken: Sequence[HiddenInWrong], *, fewest: int = 3, seed: int = 0
) -> tuple[DrawingConcept, ...]:
    """Concepts that draw the wrong clips of a class to other classes.

    Parameters
    ----------
    own : HiddenInWrong
        The class's own concepts hidden in its wrong clips.
    taken : sequence of HiddenInWrong
        For other classes their concepts hidden in clips that are taken for them; clips of further classes are left out.
    fewest : int
        Clips with a concept at least.
    seed : int
        Of the sign flips.

    Returns
    -------
    tuple of DrawingConcept
        By falling share that hiding them repairs.

    Examples
    --------
    >>> base, control = np.full(6, -2.0), np.full((6, 2), -2.0)
    >>> hidden = np.stack([np.full(6, 1.0), np.full(6, -2.5)], 1)
    >>> true, taken_for = np.zeros(6, int), np.ones(6, int)
    >>> own = HiddenInWrong("bend", True, base, hidden, control, hidden > 0, true, taken_for, np.arange(6))
    >>> first, second = drawing_concepts(own, [])
    >>> first.concept, first.repaired, first.q_value, second.repaired
    (0, 1.0, 0.03125, 0.0)
    """
    if not len(own.base):
        return ()
    truth = own.truth[0]
    columns: list[tuple[HiddenInWrong, np.ndarray, int, int]] = []
    for p in np.unique(own.predicted):
        for measured in (own, *(m for m in taken if m is not own)):
            rows = np.flatnonzero((measured.truth == truth) & (measured.predicted == p))
            known = ~np.isnan(measured.hidden[rows] + measured.control[rows])
            columns += [(measured, rows, int(p), int(k)) for k in np.flatnonzero(known.sum(0) >= fewest)]
    if not columns:
        return ()
    places = np.unique(np.concatenate([m.clips[rows] for m, rows, _, _ in columns]))
    least = np.full((len(places), len(columns)), np.nan)
    for column, (m, rows, _, k) in enumerate(columns):
        hidden = m.hidden[rows, k]
        least[np.searchsorted(places, m.clips[rows]), column] = np.fmin(
            hidden - m.base[rows], hidden - m.control[rows, k]
        )
    flips = sign_flips(least[~np.isnan(least).all(1)], np.random.default_rng(seed))
    p_value, q_value = flips.p_value(), flips.adjusted()
    found = [
        DrawingConcept(m.label, k, p, _repaired(m, rows, k), float(p_value[n]), float(q_value[n]), len(rows))
        for n, (m, rows, p, k) in enumerate(columns)
    ]
    return tuple(sorted(found, key=lambda draw: (-draw.repaired, draw.q_value)))


def _repaired(measured: HiddenInWrong, rows: np.ndarray, k: int) -> float:
    lacking = -measured.base[rows]
    gain = np.nan_to_num(measured.hidden[rows, k] - measured.base[rows])
    return float(np.clip(gain, 0, lacking).sum() / max(lacking.sum(), 1e-12))


def effect_slice(
    draw: DrawingConcept,
    gain: np.ndarray,
    predicted: np.ndarray,
    truth: int,
    classes: Sequence[str],
    *,
    smallest: int = 4,
) -> Slice | None:
    """The clips of a class that a concept draws to another class.

    Parameters
    ----------
    draw : DrawingConcept
    gain : ndarray, float [M]
        Rise of z_y − z_p in every clip of the class when the concept is hidden; 0 where a clip lacks it.
    predicted : ndarray, int64 [M]
        Index of the class that the network predicts.
    truth : int
        Index of the clips' class.
    classes : sequence of str
        Names of all classes.
    smallest : int
        Clips of a slice at least.

    Returns
    -------
    Slice or None
        Clips with a quarter of the median gain of those that are taken for the class. None where they are fewer than
        ``smallest``, all clips, or no less accurate than the others.

    Examples
    --------
    >>> draw = DrawingConcept("bend", 3, 1, 0.9, 0.01, 0.02, 4)
    >>> gain = np.array([4.0, 0.1, 3.0, 5.0, 2.0, 1.5, 0.0, 0.0])
    >>> found = effect_slice(draw, gain, np.array([1, 0, 1, 1, 1, 0, 0, 0]), 0, ("wave", "bend"))
    >>> found.present, found.clips, found.accuracy, found.rest, found.taken_for, found.concepts_of
    ((3,), (3, 0, 2, 4, 5), 0.2, 1.0, 'bend', 'bend')
    """
    wrong = predicted != truth
    usual = gain[(predicted == draw.taken_for) & (gain > 0)]
    if not len(usual):
        return None
    inside = gain >= _PART * np.median(usual)
    count, bad = int(inside.sum()), int(wrong[inside].sum())
    if not smallest <= count < len(gain) or bad / count <= wrong[~inside].mean():
        return None
    places = np.flatnonzero(inside)
    order = places[np.lexsort((-gain[places], ~wrong[places]))]
    low, high = wilson_interval(count - bad, count)
    return Slice(
        (draw.concept,),
        (),
        tuple(int(i) for i in order),
        bad,
        (count - bad) / count,
        low,
        high,
        float((~wrong[~inside]).mean()),
        draw.p_value,
        draw.q_value,
        classes[draw.taken_for],
        "" if draw.label == classes[truth] else draw.label,
        draw.repaired,
    )
