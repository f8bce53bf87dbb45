"""What adding and removing concepts proves: the top concepts against every rival, with interval and test.

Letters: V videos, O orders, S steps (q = 0 … Q, then all).
"""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.evaluate import AddRemoveCurves, log_odds_of
from voxplain.errors import DataError
from voxplain.statistics import SIGNIFICANT, sign_flip_test

__all__ = ["OTHERS", "OrderTest", "all_order_tests", "order_test"]

OTHERS = ("random", "least", "matched", "least at equal coverage")  # what the top concepts are compared with


@dataclass(frozen=True)
class OrderTest:
    """Difference of the area under two orders' curves over q = 1 … Q, mean over videos, with a 95 % interval.

    Positive when ``top`` does what is claimed: keeps more when adding, loses more when removing.
    """

    kind: str
    other: str
    measure: str
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0 and p < 0.05; False where there was nothing to compare."""
        return self.p_value < SIGNIFICANT and not self.low <= 0 <= self.high


def order_test(
    steps: AddRemoveCurves, other: str, *, measure: str = "accuracy", samples: int = 2000, seed: int = 0
) -> OrderTest:
    """Top − other (adding) or other − top (removing): paired bootstrap interval over videos, and sign-flip p-value.

    ``other``: least, random, matched (random supervoxels of top's volume), or "least at equal coverage" (both curves
    read against the share of voxels instead of the number of concepts, as far as both reach); ``measure``: accuracy
    or margin. The p-value is two-sided and exact for few videos, where a bootstrap is too sure: n videos give at
    least 2¹⁻ⁿ.
    """
    if other not in OTHERS or measure not in ("accuracy", "log_odds"):
        raise DataError(
            f"expected a order_test with {', '.join(OTHERS)} of accuracy or margin, got {other!r} of {measure!r}; "
            "choose among them"
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
    """Every comparison of one evaluation: both kinds, against every other order, by accuracy and margin."""
    return tuple(
        order_test(steps, other, measure=measure, seed=seed)
        for steps in (adding, removing)
        for other in OTHERS
        for measure in ("accuracy", "log_odds")
    )
