"""Tests of a ranking on held-out videos: the top concepts against every other order, with interval and p-value.

Letters: V videos, O orders, S steps (q = 0 … Q, then all).
"""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.evaluate import AddRemoveCurves, log_odds_of
from voxplain.errors import DataError
from voxplain.record_html import fields_table
from voxplain.statistics import SIGNIFICANT, sign_flip_test

__all__ = ["OTHERS", "OrderTest", "all_order_tests", "order_test"]

OTHERS = ("random", "least", "matched", "least at equal coverage")  # what the top concepts are compared with


@dataclass(frozen=True)
class OrderTest:
    """Difference between the curves of the top concepts and another order, mean over videos.

    Parameters
    ----------
    kind : str
        "adding" or "removing".
    other : str
        One of `OTHERS`.
    measure : str
        "accuracy" (0 to 1) or "log_odds"; "output" of a quantity, in its own unit.
    difference : float
        Mean over the steps q = 1 … Q; positive where it supports the ranking: the top concepts keep more when added,
        and lose more when removed. NaN where there is nothing to compare.
    low, high : float
        95 % bootstrap interval over videos.
    p_value : float
        Two-sided sign-flip test over videos.
    """

    kind: str
    other: str
    measure: str
    difference: float
    low: float
    high: float
    p_value: float

    _repr_html_ = fields_table

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0 and p < 0.05; False where there was nothing to compare."""
        return self.p_value < SIGNIFICANT and not self.low <= 0 <= self.high


def order_test(
    steps: AddRemoveCurves, other: str, *, measure: str = "accuracy", samples: int = 2000, seed: int = 0
) -> OrderTest:
    """Top − other (adding) or other − top (removing): paired bootstrap interval over videos, and sign-flip p-value.

    Parameters
    ----------
    steps : AddRemoveCurves
    other : str
        "random", "least", "matched" (random supervoxels of top's volume), or "least at equal coverage" (both curves
        against the share of voxels instead of the number of concepts, as far as both reach).
    measure : str
        "accuracy" or "log_odds"; "output" is the only one of a quantity.
    samples : int
        Bootstrap draws.
    seed : int
        Seed of the bootstrap and of the sign flips.

    Returns
    -------
    OrderTest
        The p-value is two-sided and exact for few videos, where a bootstrap is overconfident: for n videos it is at
        least 2¹⁻ⁿ.

    Raises
    ------
    DataError
        For an unknown order or measure.
    """
    if other not in OTHERS or measure not in _measures(steps):
        raise DataError(
            f"expected an order test with {', '.join(OTHERS)} of {' or '.join(_measures(steps))}, got {other!r} of "
            f"{measure!r}; choose one of each"
        )
    gain = _gains(steps, other, measure) * (1 if steps.kind == "adding" else -1)
    gain = gain[~np.isnan(gain)]
    if not len(gain):
        return OrderTest(steps.kind, other, measure, *[float("nan")] * 4)
    rng = np.random.default_rng(seed)
    means = gain[rng.integers(len(gain), size=(samples, len(gain)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    p = sign_flip_test(gain, rng, permutations=4095)
    return OrderTest(steps.kind, other, measure, float(gain.mean()), float(low), float(high), p)


def _measures(steps: AddRemoveCurves) -> tuple[str, ...]:
    return ("output",) if steps.quantity else ("accuracy", "log_odds")


def _gains(steps: AddRemoveCurves, other: str, measure: str) -> np.ndarray:
    """Top − other of each video, mean over the steps q = 1 … Q, [V]; NaN where there is nothing to compare."""
    values = steps.right().astype(float) if measure == "accuracy" else steps.log_odds()
    picked = steps.by_order(values)
    if other == "least at equal coverage":
        reach = steps.by_order(steps.coverage)
        return np.array(
            [
                _between(reach["top"][v], picked["top"][v], reach["least"][v], picked["least"][v])
                for v in range(len(steps.truth))
            ]
        )
    if other == "matched":
        rival = (
            steps.matched_right.astype(float)
            if measure == "accuracy"
            else log_odds_of(steps.matched, steps.truth[:, None])
        )
    else:
        rival = picked[other]
    return (picked["top"] - rival)[:, 1:-1].mean(1)


def _between(x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray) -> float:
    """Mean difference of two curves y(x) over the coverage that both reach by step Q; straight between steps."""
    end = min(x[-2], other_x[-2])
    if end <= 0:
        return float("nan")
    places = np.linspace(0, end, 21)[1:]
    return float((np.interp(places, x[:-1], y[:-1]) - np.interp(places, other_x[:-1], other_y[:-1])).mean())


def all_order_tests(adding: AddRemoveCurves, removing: AddRemoveCurves, *, seed: int = 0) -> tuple[OrderTest, ...]:
    """Every comparison of one evaluation: both kinds, with every other order, by every measure."""
    return tuple(
        order_test(steps, other, measure=measure, seed=seed)
        for steps in (adding, removing)
        for other in OTHERS
        for measure in _measures(steps)
    )
