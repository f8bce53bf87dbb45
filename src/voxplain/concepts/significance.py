"""Significance of a concept's score: null tests, intervals and effect sizes.

The R scores of one concept share its supervoxels, and all concepts share the R random sets, so the R scores are not
independent: the p-value of a t-test over them falls with every random set, whatever the concept (`paired_t`, kept
because the reference uses it). The unit that varies by chance is the concept. `null_test` therefore counts the random
concepts, fitted against the same random sets, whose scores are as extreme. Letters: K concepts, R random sets, M
random concepts.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from voxplain.errors import DataError
from voxplain.statistics import Floats, Side


def null_test(scores: ArrayLike, null: ArrayLike, *, side: Side = "two-sided") -> Floats:
    """P-value [K] of each concept's mean score among the mean scores of M random concepts: a rank test.

    `scores` [K,R], `null` [M,R] the scores of random concepts against the SAME R random sets; both may come
    already averaged, [K] and [M]. p = (1 + number of random concepts at least as extreme) / (M + 1);
    two-sided is twice the smaller one-sided p. Valid for any distribution if under the null hypothesis the
    concept is one more random concept: same number of members, made the same way, from videos without
    relation to the class. The smallest p is 1/(M+1), 2/(M+1) two-sided: M = 39 can reach 0.05, M = 199
    0.01. For small M see `null_t_test`. A NaN score gives NaN.

    Reference: Phipson and Smyth 2010, Permutation p-values should never be zero.
    """
    values, chance = _means(scores, null)
    above = (1 + (chance >= values[:, None]).sum(axis=1)) / (len(chance) + 1)
    below = (1 + (chance <= values[:, None]).sum(axis=1)) / (len(chance) + 1)
    p = {"greater": above, "less": below, "two-sided": np.minimum(2 * np.minimum(above, below), 1)}[side]
    return np.where(np.isnan(values), np.nan, p)


def null_t_test(scores: ArrayLike, null: ArrayLike, *, side: Side = "two-sided") -> Floats:
    """P-value [K] like `null_test`, from a normal prediction interval: for few random concepts.

    t = (concept's mean − mean of the null) / (sd of the null · √(1 + 1/M)) with M − 1 degrees of freedom;
    needs M ≥ 2 and null means that are roughly normal, which shares near 0 or 1 are not. Where all null
    means are equal p is 0 for a score that differs and 1 for one that does not.
    """
    values, chance = _means(scores, null)
    count = len(chance)
    if count < 2:
        raise DataError(f"a t-test against random concepts needs at least 2 of them, got {count}")
    away = values - chance.mean()
    return _t_to_p(away, chance.std(ddof=1) * np.sqrt(1 + 1 / count), count - 1, side, equal=1.0)


def effect_size(scores: ArrayLike, null: ArrayLike) -> Floats:
    """Glass's Δ [K]: a concept's mean score minus that of M ≥ 2 random concepts, in the latter's deviations.

    `scores` [K,R] or [K], `null` [M,R] or [M] as in `null_test`. Cohen's d with the null's standard
    deviation, for one concept has no spread of its own. Rough guide: 2 lies outside 95 % of random
    concepts. Infinite, or NaN for a score equal to them, where all random concepts score the same.
    """
    values, chance = _means(scores, null)
    if len(chance) < 2:
        raise DataError(f"an effect size against random concepts needs at least 2 of them, got {len(chance)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        return (values - chance.mean()) / chance.std(ddof=1)


def paired_t(scores: ArrayLike, random: ArrayLike, *, side: Side = "two-sided") -> Floats:
    """P-value [K] of the reference's related-samples t-test against the R scores of a random concept.

    `scores` [K,R], `random` [R'] paired by set; both cut to the shorter. Differences that are all zero give
    NaN, and all the same but not zero give 0. The reference removes concepts with p > 0.01, which keeps NaN
    and keeps concepts far BELOW random. Overconfident, see the module: for comparison with the reference
    only.
    """
    values, chance = np.atleast_2d(np.asarray(scores, float)), np.asarray(random, float)
    count = min(values.shape[1], chance.shape[0])
    if values.ndim != 2 or chance.ndim != 1 or count < 2:
        raise DataError(f"a paired t-test needs scores [K,R] and random [R], R ≥ 2, got {values.shape}, {chance.shape}")
    from scipy import stats

    with _quiet():
        test = stats.ttest_rel(values[:, :count], chance[None, :count], axis=1, alternative=side)
    return np.asarray(test.pvalue, float)


def independent_t(scores: ArrayLike, random: ArrayLike, *, side: Side = "two-sided") -> Floats:
    """P-value [K] of Student's t-test of a concept's R scores against R' random ones, as in TCAV.

    `scores` [K,R], `random` [R']; equal variances assumed. All values equal on both sides give NaN.
    Overconfident in the same way as `paired_t`.
    """
    values, chance = np.atleast_2d(np.asarray(scores, float)), np.asarray(random, float)
    if values.ndim != 2 or chance.ndim != 1 or values.shape[1] < 2 or len(chance) < 2:
        raise DataError(f"a t-test needs scores [K,R] and random [R'], R, R' ≥ 2, got {values.shape}, {chance.shape}")
    from scipy import stats

    with _quiet():
        return np.asarray(stats.ttest_ind(values, chance[None], axis=1, alternative=side).pvalue, float)


def interval(values: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Lower and upper end of Student's interval for the mean over the last axis, the R random sets.

    It measures how well R random sets determine the mean score of this set of members, not how much another sample of
    members would change it. NaN for fewer than 2 values.
    """
    from scipy import stats

    data = np.asarray(values, float)
    count = data.shape[-1]
    mean = data.mean(axis=-1)
    if count < 2:
        return np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf((1 + level) / 2, count - 1) * data.std(axis=-1, ddof=1) / np.sqrt(count)
    return mean - half, mean + half


def _means(scores: ArrayLike, null: ArrayLike) -> tuple[Floats, Floats]:
    """Scores [K] and finite null values [M], each averaged over random sets where it still has them."""
    values, chance = np.asarray(scores, float), np.asarray(null, float)
    if values.ndim not in (1, 2) or chance.ndim not in (1, 2) or 0 in chance.shape or 0 in values.shape:
        raise DataError(
            f"a test against random concepts needs scores [K,R] or [K] and null [M,R] or [M], "
            f"got {values.shape} and {chance.shape}"
        )
    values = values.mean(axis=1) if values.ndim == 2 else values
    chance = chance.mean(axis=1) if chance.ndim == 2 else chance
    if np.isnan(chance).any():
        raise DataError(f"scores of random concepts should be numbers, got {int(np.isnan(chance).sum())} NaN")
    return values, chance


def _t_to_p(away: Floats, error: Floats, freedom: int, side: Side, *, equal: float) -> Floats:
    """P-value of t = away/error; where both are zero, `equal`; infinite t gives 0, or 1 on the wrong side."""
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.asarray(away / error)
    p = {
        "greater": stats.t.sf(t, freedom),
        "less": stats.t.cdf(t, freedom),
        "two-sided": 2 * stats.t.sf(np.abs(t), freedom),
    }[side]
    return np.where(np.isnan(t), np.where(np.isnan(away), np.nan, equal), p)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without scipy's warnings on values that are all the same: what comes out then is documented above."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.filterwarnings("ignore", "Precision loss occurred", RuntimeWarning)
        yield
