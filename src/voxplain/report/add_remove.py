"""Accuracy, or the output of a quantity, while concepts are added or removed: mean curves over videos, with bands.

`voxplain.report.plots` draws them with matplotlib, `voxplain.report.charts` as SVG. Letters: V test videos, S steps
(q = 0 … Q, then all concepts).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.statistics import Floats

__all__ = ["ORDERS", "Across", "MeanCurves", "common_limits", "mean_curves"]

Across = Literal["count", "coverage"]

# Label, line and marker of each order, in the order of drawing, the most important last. Lines and markers distinguish
# the curves without colours.
ORDERS = {
    "random": ("random order", "-", ""),
    "matched": ("random regions of top’s volume", "--", "s"),
    "least": ("least concepts first", "-", "v"),
    "top": ("top concepts first", "-", "o"),
}


@dataclass(frozen=True, eq=False)
class MeanCurves:
    """Accuracy, or the output of a quantity, and coverage along adding or removing concepts, means over videos.

    Parameters
    ----------
    kind : str
        "adding" or "removing".
    values, coverage : dict of str to ndarray, float64 [S]
        By order: top, least, random (mean of its draws), matched (random regions of top's volume, at top's coverage).
        The values are accuracies from 0 to 1, or mean outputs of a quantity in its own unit; coverage is from 0 to 1.
    bands : dict of str to (ndarray, ndarray), float64 [S] each
        Lower and upper end of a 95 % range of the values, for the orders that have one.
    draws : int
        Random orders.
    baseline : float
        The value of the unmodified videos.
    chance : float, optional
        1 / number of classes; None for a quantity.
    """

    kind: str
    values: dict[str, Floats]
    coverage: dict[str, Floats]
    bands: dict[str, tuple[Floats, Floats]]
    draws: int
    baseline: float
    chance: float | None

    @property
    def quantity(self) -> bool:
        """Whether the values are outputs in a unit of their own, in place of accuracies."""
        return self.chance is None

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value of an axis that holds all curves, bands and the baseline."""
        if not self.quantity:
            return 0.0, 1.0
        ends = [*self.values.values(), *(end for band in self.bands.values() for end in band)]
        low, high = (float(f([self.baseline, *(f(v) for v in ends)])) for f in (np.nanmin, np.nanmax))
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    @property
    def places(self) -> Floats:
        """Where each step lies against the number of concepts; one place is left empty before "all", as no scale."""
        steps = len(self.values["top"])
        return np.array([*range(steps - 1), steps], float)

    @property
    def step_names(self) -> list[str]:
        """0 … Q and "all"."""
        return [*map(str, range(len(self.values["top"]) - 1)), "all"]

    def axis_label(self, across: Across) -> str:
        """The quantity on the horizontal axis."""
        done = "shown" if self.kind == "adding" else "hidden"
        return f"concepts {done}" if across == "count" else f"voxels {done}, %"

    def across(self, across: Across, order: str) -> Floats:
        """Horizontal positions of an order's steps."""
        return self.places if across == "count" else self.coverage[order]


def common_limits(*curves: MeanCurves) -> tuple[float, float]:
    """Least and greatest value of an axis that several sets of curves share.

    Parameters
    ----------
    *curves : MeanCurves

    Returns
    -------
    (float, float)
        0 and 1 for accuracies.

    Examples
    --------
    >>> rising = MeanCurves("adding", {"top": np.array([-1.5, 3.0])}, {}, {}, 0, 3.5, None)
    >>> falling = MeanCurves("removing", {"top": np.array([3.5, -2.0])}, {}, {}, 0, 3.5, None)
    >>> common_limits(rising, falling)
    (-2.0, 3.5)
    """
    low, high = zip(*(c.limits for c in curves), strict=True)
    return min(low), max(high)


def mean_curves(
    steps: AddRemoveCurves, *, bands: Literal["orders", "videos"] = "orders", samples: int = 2000, seed: int = 0
) -> MeanCurves:
    """The curves of the papers' figures, from the logits of every video, order and step.

    Parameters
    ----------
    steps : AddRemoveCurves
    bands : {"orders", "videos"}
        "orders": the range that holds 95 % of the random orders. "videos": a 95 % bootstrap interval over videos for
        every order, of ``samples`` draws with ``seed``; the same videos at every step.
    """
    measured = steps.log_odds() if steps.quantity else steps.right()
    matched = steps.matched[..., 0] if steps.quantity else steps.matched_right
    by_order = {**steps.by_order(measured), "matched": matched.astype(float)}
    coverage = {name: value.mean(0) for name, value in steps.by_order(steps.coverage).items()}
    drawn = [i for i, name in enumerate(steps.names) if name.startswith("random")]
    if bands == "orders":
        low, high = np.percentile(measured[drawn].mean(1), [2.5, 97.5], axis=0)
        ranges = {"random": (low, high)}
    else:
        ranges = {name: _over_videos(values, samples, seed) for name, values in by_order.items()}
    return MeanCurves(
        steps.kind,
        {name: values.mean(0) for name, values in by_order.items()},
        {**coverage, "matched": coverage["top"]},
        ranges,
        len(drawn),
        steps.baseline(),
        None if steps.quantity else 1 / steps.logits.shape[-1],
    )


def _over_videos(values: Floats, samples: int, seed: int) -> tuple[Floats, Floats]:
    """95 % percentile bootstrap over videos of the mean of [V,S]."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(samples, len(values)))
    low, high = np.percentile(values[drawn].mean(1), [2.5, 97.5], axis=0)
    return low, high
