"""Statistics of several packages: paired tests, corrections for many tests, bootstrap, rank correlation.

Letters: n values, one an independent unit such as a clip; K quantities measured on the same n units.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import DataError

__all__ = [
    "SIGNIFICANT",
    "Floats",
    "Side",
    "SignFlips",
    "adjusted_tail",
    "benjamini_hochberg",
    "bootstrap_interval",
    "holm",
    "sign_flip_test",
    "sign_flips",
    "spearman",
    "wilson_interval",
]

Side = Literal["two-sided", "greater", "less"]
Floats = NDArray[np.float64]
SIGNIFICANT = 0.05  # largest p- or q-value that is called significant


def sign_flip_test(
    differences: ArrayLike, rng: Generator, *, permutations: int = 9999, side: Side = "two-sided"
) -> float:
    """P-value that n paired differences centre on zero, by flipping their signs.

    Valid if under the null hypothesis each difference is as likely as its negative, independently: one
    difference a clip, not one a supervoxel. All 2ⁿ sign patterns where they are at most `permutations` + 1,
    else that many random ones, the observed pattern counted. The smallest p is 2⁻ⁿ, or 2¹⁻ⁿ two-sided. NaN
    for no difference.

    Reference: Fisher 1935; Phipson and Smyth 2010.
    """
    values = np.asarray(differences, float)
    n = len(values)
    if values.ndim != 1 or permutations < 1:
        raise DataError(f"a sign-flip test needs differences [n] and 1 permutation, got {values.shape}, {permutations}")
    if n == 0 or np.isnan(values).any():
        return float("nan")
    # Not scipy.stats.permutation_test: the same p where exact, but other random signs, and twice the smaller tail.
    exact = n < 63 and 2**n <= permutations + 1
    total = 2**n if exact else permutations
    slack = 1e-12 * np.abs(values).sum()  # sums that are equal but for their order of adding
    observed = abs(values.sum()) if side == "two-sided" else values.sum()
    extreme = 0
    for start in range(0, total, 4096):
        rows = min(4096, total - start)
        if exact:
            flips = (np.arange(start, start + rows)[:, None] >> np.arange(n)) & 1
        else:
            flips = rng.integers(0, 2, (rows, n), dtype=np.int8)
        sums = (1 - 2 * flips.astype(np.float64)) @ values
        if side == "less":
            extreme += int((sums <= observed + slack).sum())
        else:
            extreme += int(((np.abs(sums) if side == "two-sided" else sums) >= observed - slack).sum())
    return extreme / total if exact else (1 + extreme) / (1 + total)


@dataclass(frozen=True, eq=False)
class SignFlips:
    """P-values and intervals of K means by one set of F sign flips, which is the same for all of them.

    Flipping the signs of a subset of the values raises the sum above the observed one exactly where the mean of the
    subset is below zero. So the sorted means of the flipped subsets give the test's p-value for every value of the
    mean at once, and the interval holds the values that the test does not reject.

    Parameters
    ----------
    sums : float64 [F,K]
        Sum over the square root of the sum of squares, which flips do not change; the observed ones first.
    means : float64 [F,K]
        Means of the flipped subsets, each column ascending; NaN, at the end, for flips of no measured value.

    References
    ----------
    Hartigan 1969, Using subsample values as typical values; Westfall and Young 1993, Resampling-based multiple testing.
    """

    sums: Floats
    means: Floats

    def p_value(self) -> Floats:
        """One-sided p-values [K] that a mean is above zero; those of `sign_flip_test` with side ``greater``."""
        return np.asarray((self.sums >= self.sums[0]).mean(0))

    def adjusted(self) -> Floats:
        """P-values [K] adjusted for K tests, by the step-down maximum over the concepts left (max-T).

        The probability of any false rejection stays at the level. The flips keep what the quantities have in common, so
        nothing is lost where they are alike.
        """
        order, top = self._ordered()
        p = np.maximum.accumulate((top >= self.sums[0, order]).mean(0))
        return np.asarray(p[np.argsort(order)])

    def adjusted_intervals(self, level: float = SIGNIFICANT) -> Floats:
        """Intervals [K,2] that lie above zero exactly where the adjusted p-value is less than ``level``.

        Each holds what a test of its own does not reject, at both ends, that uses the critical value left by the
        step-down correction, or its own where that is larger. An end is infinite where there are too few values for it.
        """
        order, top = self._ordered()
        rejected = int((self.adjusted() < level).sum())
        left = np.column_stack([top[:, min(rejected, len(order) - 1)], self.sums])
        critical = -np.sort(-left, axis=0)[int(np.ceil(level * len(left) * (1 - 1e-12))) - 1]
        return self.interval((self.sums > np.maximum(critical[0], critical[1:])).sum(0))

    def interval(self, beyond: ArrayLike) -> Floats:
        """Intervals [K,2] that lie above zero where at most ``beyond`` [K] flips give a sum as large as observed."""
        flips, k = self.means.shape
        skipped, empty = np.broadcast_to(np.asarray(beyond), k), np.isnan(self.means).sum(0)
        inside = (skipped >= empty) & (skipped < flips)
        columns = np.arange(k)
        low = self.means[np.where(inside, skipped - empty, 0), columns]
        high = self.means[np.where(inside, flips - 1 - skipped, 0), columns]
        return np.stack([np.where(inside, low, -np.inf), np.where(inside, high, np.inf)], 1)

    def _ordered(self) -> tuple[NDArray[np.intp], Floats]:
        """The tests, largest sum first, and the largest sum [F,K] among each and those after it."""
        order = np.argsort(-self.sums[0], kind="stable")
        return order, np.maximum.accumulate(self.sums[:, order[::-1]], axis=1)[:, ::-1]


def sign_flips(values: ArrayLike, rng: Generator, *, permutations: int = 9999) -> SignFlips:
    """Sign-flip tests of K means over the same n units, with a correction for K tests and intervals that agree.

    All 2ⁿ sign patterns where they are at most ``permutations`` + 1, else that many random ones and the observed one.

    Parameters
    ----------
    values : float [n,K]
        NaN where a quantity was not measured on a unit: the mean is that of the others.
    rng : Generator
    permutations : int
        Random patterns at most.

    Returns
    -------
    SignFlips

    Raises
    ------
    DataError
        Without values, or for fewer than 1 permutation.

    Examples
    --------
    >>> found = sign_flips([[1.0, 1.0], [2.0, -2.0], [4.0, 0.5]], np.random.default_rng(0))
    >>> found.p_value().tolist()
    [0.125, 0.625]
    >>> found.interval([1, 1]).tolist()
    [[1.0, 4.0], [-2.0, 1.0]]
    """
    data = np.asarray(values, float)
    if data.ndim != 2 or 0 in data.shape or permutations < 1:
        raise DataError(f"sign flips need values [n,K] and 1 permutation, got {data.shape} and {permutations}")
    n = len(data)
    if n < 63 and 2**n <= permutations + 1:
        flipped = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        flipped = np.vstack([np.zeros((1, n), np.int8), rng.integers(0, 2, (permutations, n), dtype=np.int8)])
    known, filled = ~np.isnan(data), np.nan_to_num(data)
    subsets, counts = flipped.astype(np.float64) @ filled, flipped.astype(np.float64) @ known
    subsets[np.abs(subsets) <= 1e-10 * np.abs(filled).sum(0)] = 0  # zero but for the order of adding
    means = np.full(subsets.shape, np.nan)
    np.divide(subsets, counts, out=means, where=counts > 0)
    scale = np.sqrt((filled**2).sum(0))
    scale[scale == 0] = 1
    # Rounded, so that sums which differ by the order of adding are equal.
    sums = ((filled.sum(0) / scale).round(11) - 2 * subsets / scale).round(11)
    return SignFlips(sums, np.sort(means, axis=0))


def adjusted_tail(q: ArrayLike, *, level: float = SIGNIFICANT) -> float:
    """Error probability at which every test with q below ``level`` after Benjamini and Hochberg rejects, and no other.

    Intervals of this tail therefore exclude the null value exactly where the test is significant. Their rate of false
    coverage among the significant ones is at most ``level``.

    Parameters
    ----------
    q : array_like
        Q-values of one family.
    level : float
        False discovery rate.

    Returns
    -------
    float
        ``level`` · R / K for R significant of K tests; that of R = 1 where none is.

    References
    ----------
    Benjamini and Yekutieli 2005, False discovery rate adjusted multiple confidence intervals.
    """
    values = np.asarray(q, float)
    return level * max(int((values < level).sum()), 1) / max(int((~np.isnan(values)).sum()), 1)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Q-values: the smallest false discovery rate at which each test would be called a discovery.

    `p` of any shape, taken as one family; NaN stays NaN and is not counted. Holds for independent and for
    positively dependent tests, as concepts that share random sets are.

    Reference: Benjamini and Hochberg 1995.
    """
    values = np.asarray(p, float)
    q, known = np.full(values.shape, np.nan), ~np.isnan(values)
    if known.any():
        from scipy import stats

        q[known] = stats.false_discovery_control(values[known])
    return q


def holm(p: ArrayLike) -> Floats:
    """P-values by which the chance of even one false discovery in the family stays at the level: Holm's step down.

    `p` of any shape, taken as one family; NaN stays NaN and is not counted. Holds under any dependence.

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    values = np.asarray(p, float).ravel()
    known = np.flatnonzero(~np.isnan(values))
    adjusted = np.full(values.size, np.nan)
    order = known[np.argsort(values[known])]
    if len(order):
        adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted.reshape(np.shape(p))


def bootstrap_interval(
    values: ArrayLike, rng: Generator, *, level: float = 0.95, resamples: int = 9999
) -> tuple[float, float]:
    """Lower and upper end of the bias-corrected, accelerated bootstrap interval for the mean of n values.

    For values that are far from normal, such as effects a clip. Too narrow for n below about 15. Equal
    values give an interval of no width; NaN for fewer than 2 values.

    Reference: Efron 1987, Better bootstrap confidence intervals.
    """
    from scipy import stats

    data = np.asarray(values, float)
    if data.ndim != 1:
        raise DataError(f"a bootstrap interval needs values [n], got {data.shape}")
    if len(data) < 2 or np.isnan(data).any():
        return float("nan"), float("nan")
    if not np.ptp(data):
        return float(data[0]), float(data[0])
    batch = max(1, 2**22 // len(data))  # at most 32 MiB of drawn values at a time
    found = stats.bootstrap(
        (data,), np.mean, n_resamples=resamples, batch=batch, confidence_level=level, method="BCa", rng=rng
    ).confidence_interval
    return float(found.low), float(found.high)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation with mid-ranks for ties; 0 when either is constant."""
    from scipy import stats

    x, y = stats.rankdata(a), stats.rankdata(b)
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0


def wilson_interval(count: int, total: int, *, level: float = 0.95) -> tuple[float, float]:
    """Lower and upper end of Wilson's score interval for a share; (0, 1) without any unit.

    Reference: Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    if not total:
        return 0.0, 1.0
    from scipy import stats

    found = stats.binomtest(int(count), int(total)).proportion_ci(confidence_level=level, method="wilson")
    return float(found.low), float(found.high)
