"""Effects of several concepts together: interactions of pairs, and how much of a class they explain together.

Letters: M clips, K concepts. All values are differences of an objective, by default the log-odds of the class, with the
fill by which the concepts cost least (`Effects.fill_of`).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.model import Objective
from voxplain.statistics import bootstrap_interval

__all__ = ["Completeness", "Interaction", "completeness", "fill_sensitive", "interactions", "loss", "ratio_interval"]


@dataclass(frozen=True)
class Interaction:
    """What hiding two concepts together costs beyond the sum of what each costs alone.

    Parameters
    ----------
    concepts : (int, int)
    value, low, high : float
        Mean over clips with its 95 % interval. Below 0: either is enough (redundant); above 0: both are needed only
        where each alone costs little.
    clips : int
        Clips that have both.
    """

    concepts: tuple[int, int]
    value: float
    low: float
    high: float
    clips: int


@dataclass(frozen=True)
class Completeness:
    """Share of the class's log-odds that concepts explain together: 1 is all of whole clip − blank clip.

    Parameters
    ----------
    concepts : tuple of int
    hidden : (float, float, float)
        Share that is lost when all of them are hidden, and its 95 % interval over clips.
    shown : (float, float, float)
        Share that is regained when only they are shown, and its interval.
    clips : int
        Clips measured.
    """

    concepts: tuple[int, ...]
    hidden: tuple[float, float, float]
    shown: tuple[float, float, float]
    clips: int


def loss(
    effects: Effects, kind: str, concepts: tuple[int, ...], target: int, objective: Objective = "log_odds", *, fill: int
) -> np.ndarray:
    """Loss of the objective by one modification with one fill, [M]; NaN where not measured.

    Parameters
    ----------
    effects : Effects
    kind : str
        A kind of `voxplain.concepts.variants.KINDS`.
    concepts : tuple of int
        In increasing order; with none, "alone" is the blank clip.
    target : int
        Class index.
    objective : str
    fill : int
        Index of the fill.
    """
    base = effects.objective(effects.base, target, objective)
    return np.asarray(base - effects.objective(effects.variant(kind, concepts)[fill], target, objective))


def fill_sensitive(effects: Effects, target: int, objective: Objective = "log_odds") -> np.ndarray:
    """Whether a concept's importance depends on what replaces its voxels, bool [K].

    A fill's mean drops are divided by the largest of them, so that the concept on top has 1. True where two fills give
    a concept shares that differ by more than a quarter, and the 95 % interval of the paired difference over clips
    excludes 0. Always False with one fill.

    Parameters
    ----------
    effects : Effects
    target : int
        Class index.
    objective : str
    """
    means = effects.mean_drops(target, objective)
    largest = np.maximum(np.nanmax(means, axis=1), 1e-12)
    shares = np.where(effects.volume > 0, effects.drop_by_fill(target, objective), 0.0) / largest[:, None, None]
    shares[:, np.isnan(shares).any(0)] = np.nan
    found = np.zeros(means.shape[1], bool)
    for k in range(len(found)):
        order = np.argsort(means[:, k] / largest, kind="stable")
        difference = shares[order[-1], :, k] - shares[order[0], :, k]
        difference = difference[~np.isnan(difference)]
        low = bootstrap_interval(difference, np.random.default_rng(0), resamples=1999)[0]
        found[k] = difference.mean() > 1 / 4 and low > 0
    return found


def interactions(
    effects: Effects, target: int, objective: Objective = "log_odds", *, seed: int = 0
) -> tuple[Interaction, ...]:
    """drop(a and b) − drop(a) − drop(b) of every pair of concepts that was hidden together.

    Parameters
    ----------
    effects : Effects
    target : int
        Class index.
    objective : str
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of Interaction
    """
    found = []
    for a, b in combinations(range(effects.hidden.shape[-2]), 2):
        fill = effects.fill_of((a, b), target, objective)
        both, one, other = (loss(effects, "hidden", ks, target, objective, fill=fill) for ks in ((a, b), (a,), (b,)))
        difference = both - one - other
        known = difference[~np.isnan(difference)]
        if len(known):
            low, high = bootstrap_interval(known, np.random.default_rng(seed), resamples=1999)
            found.append(Interaction((a, b), float(known.mean()), low, high, len(known)))
    return tuple(found)


def completeness(
    effects: Effects, concepts: tuple[int, ...], target: int, objective: Objective = "log_odds", *, seed: int = 0
) -> Completeness | None:
    """Share of the objective that concepts explain together; None where they were not measured together.

    Parameters
    ----------
    effects : Effects
    concepts : tuple of int
        In increasing order.
    target : int
        Class index.
    objective : str
    seed : int
        Of the bootstrap.

    Returns
    -------
    Completeness or None
        NaN where the blank clip has as high an objective as the whole one.
    """
    if not concepts:
        return None
    fill = effects.fill_of(concepts, target, objective)
    lost = loss(effects, "hidden", concepts, target, objective, fill=fill)
    whole, missing = (loss(effects, "alone", ks, target, objective, fill=fill) for ks in ((), concepts))
    known = ~np.isnan(lost + whole + missing)
    if not known.any():
        return None
    rng = np.random.default_rng(seed)
    lost, whole, missing = lost[known], whole[known], missing[known]
    hidden, shown = (ratio_interval(part, whole, rng) for part in (lost, whole - missing))
    return Completeness(concepts, hidden, shown, int(known.sum()))


def ratio_interval(part: np.ndarray, whole: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Ratio of two means over the same clips with its 95 % percentile bootstrap interval.

    Parameters
    ----------
    part, whole : ndarray [M]
    rng : numpy Generator

    Returns
    -------
    value, low, high : float
        NaN where the mean of ``whole`` is not above 0; the interval is NaN also below 2 clips, or where more than a
        fortieth of the drawn means of ``whole`` are not above 0.
    """
    if not whole.mean() > 0:
        return float("nan"), float("nan"), float("nan")
    value = float(part.mean() / whole.mean())
    drawn = rng.integers(len(whole), size=(1999, len(whole)))
    below = whole[drawn].mean(1)
    if len(whole) < 2 or (below <= 0).mean() > 1 / 40:
        return value, float("nan"), float("nan")
    ratios = np.where(below > 0, part[drawn].mean(1) / np.where(below > 0, below, 1), np.inf)
    low, high = np.percentile(ratios, (2.5, 97.5), method="nearest")
    return value, float(low), float(high)
