"""Significance of a concept's score: tests against random concepts with the intervals that agree, and effect sizes.

The R scores of one concept share its supervoxels, and all concepts share the R random sets, so the R scores are not
independent: the p-value of a t-test over them falls with every random set, whatever the concept (`paired_t`, kept
because the reference uses it). The unit that varies by chance is the concept. `null_test` therefore counts the random
concepts, fitted against the same random sets, whose scores are as extreme. Letters: K concepts, R random sets, M
random concepts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxplain.errors import DataError
from voxplain.statistics import Floats, Side

__all__ = [
    "TESTS",
    "RankTest",
    "StudentTest",
    "effect_size",
    "independent_t",
    "interval",
    "null_t_test",
    "null_test",
    "paired_t",
]


@dataclass(frozen=True, eq=False)
class StudentTest:
    """Student's t-test of K differences from 0.

    Parameters
    ----------
    difference, error : float64 [K]
        The differences and their standard errors.
    freedom : int
        Degrees of freedom.
    equal : float
        P-value where difference and error are both 0.
    """

    difference: Floats
    error: Floats
    freedom: int
    equal: float = 1.0

    def p_value(self, side: Side = "two-sided") -> Floats:
        """P-values [K]; an error of 0 gives 0, or 1 on the wrong side, and a NaN difference NaN."""
        from scipy import stats

        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.asarray(self.difference / self.error)
        p = {
            "greater": stats.t.sf(t, self.freedom),
            "less": stats.t.cdf(t, self.freedom),
            "two-sided": 2 * stats.t.sf(np.abs(t), self.freedom),
        }[side]
        return np.where(np.isnan(t), np.where(np.isnan(self.difference), np.nan, self.equal), p)

    def interval(self, tail: float) -> Floats:
        """Intervals [K,2] with error probability ``tail`` at each end."""
        from scipy import stats

        half = stats.t.isf(tail, self.freedom) * self.error
        return np.stack([self.difference - half, self.difference + half], 1)


@dataclass(frozen=True, eq=False)
class RankTest:
    """Ranks of K values among those of M random concepts.

    Parameters
    ----------
    values, null : float64 [K], [M]
    """

    values: Floats
    null: Floats

    @property
    def difference(self) -> Floats:
        """Values above the mean of the null, [K]."""
        return np.asarray(self.values - self.null.mean())

    def p_value(self, side: Side = "two-sided") -> Floats:
        """P-values [K], at least 1/(M+1), two-sided 2/(M+1); a NaN value gives NaN."""
        above = (1 + (self.null >= self.values[:, None]).sum(axis=1)) / (len(self.null) + 1)
        below = (1 + (self.null <= self.values[:, None]).sum(axis=1)) / (len(self.null) + 1)
        p = {"greater": above, "less": below, "two-sided": np.minimum(2 * np.minimum(above, below), 1)}[side]
        return np.where(np.isnan(self.values), np.nan, p)

    def interval(self, tail: float) -> Floats:
        """Values above the order statistics of the null with ``tail`` beyond each, [K,2]; may be infinite."""
        ends = np.concatenate([[-np.inf], np.sort(self.null), [np.inf]])
        beyond = max(int(np.ceil(tail * (len(self.null) + 1) * (1 - 1e-12))) - 1, 0)
        return np.stack([self.values - ends[len(ends) - 1 - beyond], self.values - ends[beyond]], 1)


def null_test(scores: ArrayLike, null: ArrayLike) -> RankTest:
    """Rank of each concept's mean score among the mean scores of M random concepts.

    `scores` [K,R], `null` [M,R] the scores of random concepts against the SAME R random sets; both may come
    already averaged, [K] and [M]. p = (1 + number of random concepts at least as extreme) / (M + 1);
    two-sided is twice the smaller one-sided p. Valid for any distribution if under the null hypothesis the
    concept is one more random concept: same number of members, made the same way, from videos without
    relation to the class. M = 39 can reach 0.05, M = 199 0.01. For small M see `null_t_test`.

    Reference: Phipson and Smyth 2010, Permutation p-values should never be zero.
    """
    return RankTest(*_means(scores, null))


def null_t_test(scores: ArrayLike, null: ArrayLike) -> StudentTest:
    """Test of each concept's mean score like `null_test`, from a normal prediction interval: for few random concepts.

    t = (concept's mean − mean of the null) / (sd of the null · √(1 + 1/M)) with M − 1 degrees of freedom;
    needs M ≥ 2 and null means that are roughly normal, which shares near 0 or 1 are not. Where all null
    means are equal p is 0 for a score that differs and 1 for one that does not.
    """
    values, chance = _means(scores, null)
    count = len(chance)
    if count < 2:
        raise DataError(f"a t-test against random concepts needs at least 2 of them, got {count}")
    error = np.full(values.shape, chance.std(ddof=1) * np.sqrt(1 + 1 / count))
    return StudentTest(values - chance.mean(), error, count - 1)


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


def paired_t(scores: ArrayLike, random: ArrayLike) -> StudentTest:
    """The reference's related-samples t-test against the R scores of a random concept.

    `scores` [K,R], `random` [R'] paired by set; both cut to the shorter. Differences that are all zero give
    NaN, and all the same but not zero give 0. The reference removes concepts with p > 0.01, which keeps NaN
    and keeps concepts far BELOW random. Overconfident, see the module: for comparison with the reference
    only.
    """
    values, chance = np.atleast_2d(np.asarray(scores, float)), np.asarray(random, float)
    count = min(values.shape[1], chance.shape[0])
    if values.ndim != 2 or chance.ndim != 1 or count < 2:
        raise DataError(f"a paired t-test needs scores [K,R] and random [R], R ≥ 2, got {values.shape}, {chance.shape}")
    differences = values[:, :count] - chance[:count]
    error = differences.std(axis=1, ddof=1) / np.sqrt(count)
    return StudentTest(differences.mean(axis=1), error, count - 1, equal=np.nan)


def independent_t(scores: ArrayLike, random: ArrayLike) -> StudentTest:
    """Student's t-test of a concept's R scores against R' random ones, as in TCAV.

    `scores` [K,R], `random` [R']; equal variances assumed. All values equal on both sides give NaN.
    Overconfident in the same way as `paired_t`.
    """
    values, chance = np.atleast_2d(np.asarray(scores, float)), np.asarray(random, float)
    if values.ndim != 2 or chance.ndim != 1 or values.shape[1] < 2 or len(chance) < 2:
        raise DataError(f"a t-test needs scores [K,R] and random [R'], R, R' ≥ 2, got {values.shape}, {chance.shape}")
    count, others = values.shape[1], len(chance)
    squares = values.var(axis=1) * count + chance.var() * others
    error = np.sqrt(squares / (count + others - 2) * (1 / count + 1 / others))
    return StudentTest(values.mean(axis=1) - chance.mean(), error, count + others - 2, equal=np.nan)


# How a TCAV score is tested. The last two are for comparison with the references: the R sets share the concept's
# members, so their spread is not its uncertainty, and both call almost everything significant.
TESTS: dict[str, Callable[[np.ndarray, np.ndarray], StudentTest | RankTest]] = {
    "null": null_t_test,
    "null-rank": null_test,
    "paired-t": lambda scores, null: paired_t(scores, null[0]),
    "independent-t": lambda scores, null: independent_t(scores, null[0]),
}


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
