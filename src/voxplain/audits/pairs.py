"""Pairs of classes that the network confuses: concepts that both rest on, and why one and not the other.

The quantity is the difference of two logits, z_a − z_b. Letters: M clips, K concepts.
"""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.record_html import fields_table
from voxplain.statistics import bootstrap_interval, sign_flips

__all__ = ["ConfusedPair", "Evidence", "evidence"]


@dataclass(frozen=True)
class Evidence:
    """What a concept of a class holds for that class and against another.

    Parameters
    ----------
    label, other : str
        The class of the concept, in whose clips it was hidden, and the other class.
    concept : int
    value, low, high : float
        Mean loss of z_label − z_other when the concept is hidden, with its 95 % interval; a clip that lacks the concept
        counts as 0.
    p_value, q_value : float
        That hiding the concept costs more than hiding random regions of its volume, q corrected for the concepts of the
        class by max-T; NaN for a concept that was not compared with random regions.
    """

    label: str
    other: str
    concept: int
    value: float
    low: float
    high: float
    p_value: float
    q_value: float

    _repr_html_ = fields_table


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are taken for each other.

    Parameters
    ----------
    first, second : str
        Classes; clips of the first are predicted as the second at least as often as the other way round.
    confused, reverse : int
        Clips of ``first`` predicted as ``second``, and the other way round.
    rate, low, high : float
        Confused clips in either direction over the clips of both classes, with the 95 % interval (Wilson).
    shared : tuple of (int, int)
        Concepts of ``first`` and of ``second`` that are the same (`SharedConcept`) and lower both classes when hidden.
    for_first, for_second : tuple of Evidence
        Why the first class and not the second, from its clips, and the other way round; the largest value first.
    """

    first: str
    second: str
    confused: int
    reverse: int
    rate: float
    low: float
    high: float
    shared: tuple[tuple[int, int], ...]
    for_first: tuple[Evidence, ...]
    for_second: tuple[Evidence, ...]

    _repr_html_ = fields_table


def evidence(
    effects: Effects, target: int, other: int, label: str, other_label: str, *, most: int = 3, seed: int = 0
) -> tuple[Evidence, ...]:
    """Concepts whose hiding changes the difference of two logits most, from the effects on all logits.

    Parameters
    ----------
    effects : Effects
        Of the clips of class ``target``.
    target, other : int
        Class indices.
    label, other_label : str
        Their names.
    most : int
        Concepts that are returned at most: those of positive mean loss.
    seed : int
        Of bootstrap and sign flips.

    Returns
    -------
    tuple of Evidence
        The largest mean loss first. No forward pass is needed: the effects hold all logits.
    """
    lost, over = (_loss(effects, kind, target, other) for kind in ("hidden", "control"))
    excess = np.where(effects.volume == 0, 0.0, lost - over)
    lost = np.where(effects.volume == 0, 0.0, lost)
    compared = np.flatnonzero(~np.isnan(np.where(effects.volume == 0, np.nan, excess)).all(0))
    p, q = np.full(lost.shape[1], np.nan), np.full(lost.shape[1], np.nan)
    rng = np.random.default_rng(seed)
    if len(compared):
        flips = sign_flips(excess[:, compared], rng)
        p[compared], q[compared] = flips.p_value(), flips.adjusted()
    means = np.array([np.mean(known) if len(known := x[~np.isnan(x)]) else -np.inf for x in lost.T])
    rows = []
    for k in np.argsort(-means, kind="stable")[:most]:
        if means[k] > 0:
            known = lost[~np.isnan(lost[:, k]), k]
            low, high = bootstrap_interval(known, rng, resamples=1999)
            rows.append(Evidence(label, other_label, int(k), float(means[k]), low, high, float(p[k]), float(q[k])))
    return tuple(rows)


def _loss(effects: Effects, kind: str, a: int, b: int) -> np.ndarray:
    """Loss of z_a − z_b by each concept, with the fill with which it costs class a least, [M,K]; NaN: not measured."""
    base = effects.base[:, a] - effects.base[:, b]
    z = np.asarray(getattr(effects, kind)).reshape(-1, *effects.hidden.shape[-3:])
    fills = np.argmin(np.where(np.isnan(means := effects.mean_drops(a)), np.inf, means), axis=0)
    own = z[fills, :, np.arange(z.shape[2])].transpose(1, 0, 2)  # [M,K,C]
    return np.asarray(base[:, None] - (own[..., a] - own[..., b]), np.float64)
