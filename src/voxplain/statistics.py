"""Statistics of several packages: paired tests, corrections for many tests, bootstrap, rank correlation.

Letters: n values, one an independent unit such as a clip.
"""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import DataError

__all__ = [
    "SIGNIFICANT",
    "Floats",
    "Side",
    "benjamini_hochberg",
    "bootstrap_interval",
    "holm",
    "sign_flip_test",
    "spearman",
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
