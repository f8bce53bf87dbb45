"""Accuracy while concepts are added or removed: mean curves over videos with their bands.

`voxplain.report.plots` draws them with matplotlib, `voxplain.report.charts` as SVG. Letters: V test videos, S steps
(q = 0 … Q, then all concepts).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.statistics import Floats

__all__ = ["ORDERS", "Across", "MeanCurves", "mean_curves"]

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
    """Accuracy and coverage along adding or removing concepts, means over videos.

    Parameters
    ----------
    kind : str
        "adding" or "removing".
    accuracy, coverage : dict of str to ndarray, float64 [S]
        By order, from 0 to 1: top, least, random (mean of its draws), matched (random regions of top's volume, at top's
        coverage).
    bands : dict of str to (ndarray, ndarray), float64 [S] each
        Lower and upper end of a 95 % range of the accuracy, for the orders that have one.
    draws : int
        Random orders.
    baseline : float
        Accuracy on the unmodified videos.
    chance : float
        1 / number of classes.
    """

    kind: str
    accuracy: dict[str, Floats]
    coverage: dict[str, Floats]
    bands: dict[str, tuple[Floats, Floats]]
    draws: int
    baseline: float
    chance: float

    @property
    def places(self) -> Floats:
        """Where each step lies against the number of concepts; one place is left empty before "all", as no scale."""
        steps = len(self.accuracy["top"])
        return np.array([*range(steps - 1), steps], float)

    @property
    def step_names(self) -> list[str]:
        """0 … Q and "all"."""
        return [*map(str, range(len(self.accuracy["top"]) - 1)), "all"]

    def axis_label(self, across: Across) -> str:
        """The quantity on the horizontal axis."""
        done = "shown" if self.kind == "adding" else "hidden"
        return f"concepts {done}" if across == "count" else f"voxels {done}, %"

    def across(self, across: Across, order: str) -> Floats:
        """Horizontal positions of an order's steps."""
        return self.places if across == "count" else self.coverage[order]


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
    right = steps.right()
    by_order = {**steps.by_order(right), "matched": steps.matched_right.astype(float)}
    coverage = {name: value.mean(0) for name, value in steps.by_order(steps.coverage).items()}
    drawn = [i for i, name in enumerate(steps.names) if name.startswith("random")]
    if bands == "orders":
        low, high = np.percentile(right[drawn].mean(1), [2.5, 97.5], axis=0)
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
        1 / steps.logits.shape[-1],
    )


def _over_videos(values: Floats, samples: int, seed: int) -> tuple[Floats, Floats]:
    """95 % percentile bootstrap over videos of the mean of [V,S]."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(samples, len(values)))
    low, high = np.percentile(values[drawn].mean(1), [2.5, 97.5], axis=0)
    return low, high
