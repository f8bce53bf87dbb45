"""Concepts whose hiding corrects wrongly classified clips.

Letters: n wrong clips, K concepts of one class. The quantity is the margin z_y − z_p: the logit of the true class minus
that of the class that the network predicts for the unmodified clip, below 0 in every wrong clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.record_html import fields_table
from voxplain.statistics import bootstrap_interval, sign_flips

__all__ = ["Cause", "HiddenInWrong", "cause_tests"]


@dataclass(frozen=True, eq=False)
class HiddenInWrong:
    """Margins of wrong clips in which the concepts of one class were hidden one by one.

    Parameters
    ----------
    label : str
        Class of the concepts.
    own : bool
        Whether the clips are of the class; otherwise they are clips of other classes that are predicted as it.
    base : ndarray, float [n]
        Margin of the unmodified clips.
    hidden, control : ndarray, float [n,K]
        Margin with a concept hidden, and with random regions of its volume hidden; NaN where a clip lacks it.
    corrected : ndarray, bool [n,K]
        Whether the true class is predicted with the concept hidden.
    truth, predicted : ndarray, int64 [n]
        Class index of the true class of each clip, and of the one that the network predicts.
    clips : ndarray, int64 [n]
        Place of each clip among those of its class in which concepts were found.
    """

    label: str
    own: bool
    base: np.ndarray
    hidden: np.ndarray
    control: np.ndarray
    corrected: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    clips: np.ndarray


@dataclass(frozen=True)
class Cause:
    """Effect of hiding a concept in wrongly classified clips.

    Parameters
    ----------
    label : str
        Class of the concept.
    concept : int
    own : bool
        Whether the clips are of that class; otherwise they are clips of other classes that are predicted as it.
    gain, low, high : float
        Mean rise of the margin z_y − z_p when the concept is hidden, with its 95 % interval.
    above_control : float
        Mean rise above that of hiding random regions of its volume, which is what is tested.
    corrected : float
        Share of the clips whose true class is predicted when the concept is hidden.
    p_value, q_value : float
        One-sided; q is corrected by max-T for all concepts of all classes tested together.
    clips : int
        Wrong clips that have the concept.
    """

    label: str
    concept: int
    own: bool
    gain: float
    low: float
    high: float
    above_control: float
    corrected: float
    p_value: float
    q_value: float
    clips: int

    _repr_html_ = fields_table


def cause_tests(measured: Sequence[HiddenInWrong], *, fewest: int = 2, seed: int = 0) -> list[tuple[Cause, ...]]:
    """Test every concept that is in at least ``fewest`` wrong clips, corrected for all of them.

    Parameters
    ----------
    measured : sequence of HiddenInWrong
    fewest : int
    seed : int
        Of bootstrap and sign flips.

    Returns
    -------
    list of tuple of Cause
        One tuple for each entry of ``measured``, the largest rise above the control first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> base, control = np.full(8, -2.0), rng.normal(-2, 0.1, (8, 2))
    >>> hidden = np.stack([rng.normal(1, 0.1, 8), rng.normal(-2, 0.1, 8)], 1)
    >>> true, taken_for, clips = np.zeros(8, int), np.ones(8, int), np.arange(8)
    >>> measured = HiddenInWrong("bend", True, base, hidden, control, hidden > 0, true, taken_for, clips)
    >>> (first, second), = cause_tests([measured])
    >>> first.concept, first.corrected, first.q_value < 0.01, second.q_value > 0.05
    (0, 1.0, True, True)
    """
    columns = [
        (i, k) for i, m in enumerate(measured) for k in range(m.hidden.shape[1]) if _known(m, k).sum() >= max(fewest, 2)
    ]
    found: list[list[Cause]] = [[] for _ in measured]
    if not columns:
        return [() for _ in measured]
    starts = np.cumsum([0, *(len(m.base) for m in measured)])
    values = np.full((int(starts[-1]), len(columns)), np.nan)  # clips of one entry are no units of another
    for column, (i, k) in enumerate(columns):
        values[starts[i] : starts[i + 1], column] = measured[i].hidden[:, k] - measured[i].control[:, k]
    rng = np.random.default_rng(seed)
    values = values[~np.isnan(values).all(1)]
    flips = sign_flips(values, rng)
    p, q = flips.p_value(), flips.adjusted()
    for column, (i, k) in enumerate(columns):
        m = measured[i]
        known = _known(m, k)
        gain = (m.hidden[:, k] - m.base)[known]
        found[i].append(
            Cause(
                m.label,
                k,
                m.own,
                float(gain.mean()),
                *bootstrap_interval(gain, rng, resamples=1999),
                float(np.nanmean(values[:, column])),
                float(m.corrected[known, k].mean()),
                float(p[column]),
                float(q[column]),
                int(known.sum()),
            )
        )
    return [tuple(sorted(own, key=lambda cause: (cause.p_value, -cause.above_control))) for own in found]


def _known(measured: HiddenInWrong, k: int) -> np.ndarray:
    return np.asarray(~np.isnan(measured.hidden[:, k] + measured.control[:, k]))
