"""Agreement of clips and of methods on a ranking, and paired tests against a random map.

Letters: V clips, M methods, R raters, I items. A table of scores is [V,M], one metric of M methods on V clips, the
higher the better (negate a metric where lower is better).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from voxplain.errors import DataError
from voxplain.metrics.record import MetricValue
from voxplain.statistics import benjamini_hochberg, bootstrap_interval, holm, sign_flip_test

__all__ = ["AgainstRandom", "against_random", "krippendorff_alpha", "paired_gain", "rank_agreement", "reliability"]


def rank_agreement(scores: np.ndarray, how: Literal["spearman", "kendall"] = "spearman") -> np.ndarray:
    """Rank correlation between clips of their scores of the methods.

    Parameters
    ----------
    scores : ndarray [V,M]
        Higher is better.
    how : {"spearman", "kendall"}
        Spearman's ρ or Kendall's τ-b.

    Returns
    -------
    ndarray, float64 [V,V]
        0 for a clip whose scores are all equal.

    Examples
    --------
    >>> rank_agreement(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    table = _table(scores)
    if how == "spearman":
        ranked = stats.rankdata(table, axis=1)
        away = ranked - ranked.mean(1, keepdims=True)
        norm = np.linalg.norm(away, axis=1, keepdims=True)
        unit = np.divide(away, norm, out=np.zeros_like(away), where=norm > 0)
        return np.asarray(unit @ unit.T)
    if how != "kendall":
        raise DataError(f"expected spearman or kendall, got {how!r}; choose one")
    agreement = np.eye(len(table))
    for i in range(len(table)):
        for j in range(i):
            tau = float(stats.kendalltau(table[i], table[j]).statistic)
            agreement[i, j] = agreement[j, i] = tau if np.isfinite(tau) else 0.0
    return agreement


def reliability(scores: np.ndarray, random: np.ndarray) -> MetricValue:
    """Agreement of V clips on the ranking of the methods: α = Σ w_i w_j (ρ_ij + 1) / Σ w_i w_j − 1 over pairs i < j.

    ``scores`` [V,M] without, ``random`` [V] with the random map's score, which takes part in each ranking; ρ is
    Spearman's, w_i the share of methods that beat random on clip i. 1: all clips rank alike. NaN where fewer than two
    clips have a weight. Weights come from the ranks themselves, so clips that put random last weigh more and agree on
    that: scores of pure noise get (M + 2) / 3M², not 0; that is the chance (no such bias in Krippendorff's α). The
    metric reliability of the video attribution study (arXiv 2005.00375).
    """
    table, chance = _with_random(scores, random)
    weight = (table > chance[:, None]).mean(1)
    agreement = rank_agreement(np.column_stack([table, chance]))
    i, j = np.triu_indices(len(table), 1)
    pairs = weight[i] * weight[j]
    value = float((pairs * (agreement[i, j] + 1)).sum() / pairs.sum() - 1) if pairs.sum() > 0 else float("nan")
    methods = table.shape[1]
    return MetricValue(value, (methods + 2) / (3 * methods**2), {"weights": weight})


def krippendorff_alpha(ratings: np.ndarray, level: Literal["nominal", "ordinal", "interval"] = "ordinal") -> float:
    """Krippendorff's α of R raters over I items, [R,I] with NaN where a rater gave none: 1 − D_o / D_e.

    1 is full agreement, 0 that of chance, below 0 systematic disagreement; NaN where all ratings are the same, or no
    item has two. For a metric: raters are clips, items methods, ratings their ranks. Krippendorff 2011, Computing
    Krippendorff's Alpha-Reliability.
    """
    table = np.asarray(ratings, float)
    if table.ndim != 2 or level not in ("nominal", "ordinal", "interval"):
        raise DataError(
            f"expected ratings [raters,items] and nominal, ordinal or interval, got {table.shape}, {level!r}"
        )
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(0).astype(float)  # [I,values]
    pairable = counts[counts.sum(1) > 1]
    made = pairable.sum(1, keepdims=True)
    # Pairs of values within items, each item's weighted to count as many as its ratings.
    together = (pairable / (made - 1)).T @ pairable - np.diag((pairable / (made - 1)).sum(0))
    total = together.sum(1)
    distance = _distance(values, total, level)
    expected = float((np.outer(total, total) * distance).sum())
    return 1 - (total.sum() - 1) * float((together * distance).sum()) / expected if expected > 0 else float("nan")


def _distance(values: np.ndarray, total: np.ndarray, level: str) -> np.ndarray:
    """δ² of every two values."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    # Ordinal: how many ratings lie between, each end counted by half.
    place = values if level == "interval" else np.cumsum(total) - total / 2
    return np.asarray((place[:, None] - place[None]) ** 2)


@dataclass(frozen=True)
class AgainstRandom:
    """One method against the random map over V clips.

    ``difference``: mean, with a 95 % bootstrap interval ``low`` to ``high``; ``wins``: share of clips on which it does
    better, a tie counting half; ``p_value`` of the sign-flip test, and ``corrected`` for all methods.
    """

    method: str
    difference: float
    low: float
    high: float
    wins: float
    p_value: float
    corrected: float


def against_random(
    scores: np.ndarray,
    random: np.ndarray,
    names: tuple[str, ...],
    *,
    correction: Literal["holm", "bh"] = "holm",
    seed: int = 0,
) -> list[AgainstRandom]:
    """Paired comparison of M methods, [V,M], with the random map, [V], on the same clips; two-sided.

    The study's paired t-test is replaced by a test that needs no normal differences. "holm" bounds the chance of one
    false claim, "bh" (Benjamini–Hochberg) the share of false claims.
    """
    table, chance = _with_random(scores, random)
    if len(names) != table.shape[1] or correction not in ("holm", "bh"):
        raise DataError(
            f"expected a name for each of {table.shape[1]} methods and correction holm or bh, got {len(names)} and "
            f"{correction!r}"
        )
    tests = [paired_gain(gain, seed) for gain in (table - chance[:, None]).T]
    p = [test[-1] for test in tests]
    corrected = holm(p) if correction == "holm" else benjamini_hochberg(p)
    return [AgainstRandom(n, *test, float(c)) for n, test, c in zip(names, tests, corrected, strict=True)]


def paired_gain(gain: np.ndarray, seed: int = 0) -> tuple[float, float, float, float, float]:
    """A gain on each of V clips, [V]: mean, 95 % interval from and to, share of wins (a tie half), sign-flip p."""
    low, high = bootstrap_interval(gain, np.random.default_rng(seed))
    wins = float(((gain > 0) + 0.5 * (gain == 0)).mean())
    return float(gain.mean()), low, high, wins, sign_flip_test(gain, np.random.default_rng(seed))


def _table(scores: np.ndarray) -> np.ndarray:
    table = np.asarray(scores, float)
    if table.ndim != 2 or min(table.shape) < 1 or np.isnan(table).any():
        raise DataError(f"expected scores [clips,methods] without NaN, got {table.shape}; leave undefined clips out")
    return table


def _with_random(scores: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table, chance = _table(scores), np.asarray(random, float)
    if chance.shape != (len(table),) or np.isnan(chance).any():
        raise DataError(f"expected a score of the random map for each of {len(table)} clips, got {chance.shape}")
    return table, chance
