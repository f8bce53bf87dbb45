"""Area between the curves of hiding the least and the most relevant units first, up to a share of the clip."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.curves import curve, unit_steps
from voxplain.errors import DataError
from voxplain.metrics.call import map_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue
from voxplain.metrics.units import Unit, ranked_units
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["AreaBetween"]


@dataclass(frozen=True)
class AreaBetween:
    """Area between curves: mean score without the least relevant units − mean score without the most relevant ones.

    Higher is better, chance level 0. Units are hidden one after another up to the share ``limit`` of them, in both
    orders. With a limit that a network fine-tuned on random masks has seen, and that network as the model
    (`voxplain.benchmark.study.tuned_on_masks` makes it), deletion and insertion stay inside what the network has seen;
    with a limit of 1 it is the whole area between the curves. ``details``: least and most, the two areas.

    Parameters
    ----------
    limit : float
        The largest share of the units that is hidden.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    steps : int
        Of each curve.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of ties.

    References
    ----------
    Schulz et al. 2020, Restricting the flow: information bottlenecks for attribution, arXiv 2001.00396 (the area)
    Zheng et al. 2024, F-Fidelity, arXiv 2410.02970 (the range that a network has seen)

    Examples
    --------
    >>> AreaBetween(steps=4)(model, clip, heat).chance
    0.0
    """

    limit: float = 0.3
    unit: Unit = "block"
    steps: int = 16
    fill: str = "mean"
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if not 0 < self.limit <= 1 or self.steps < 1:
            raise DataError(
                f"expected a limit above 0 and up to 1, and 1 step or more, got {self.limit} and {self.steps}; "
                "correct them"
            )

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        labels, rank = ranked_units(
            clip, attribution.values, self.unit, "mean", smooth=0.0, ordered=1.0, seed=self.seed
        )
        count = max(1, round(self.limit * len(rank)))
        steps = min(self.steps, count)
        areas = {}
        for name, order in (("most", rank), ("least", len(rank) - 1 - rank)):
            when = np.zeros(len(rank), np.int32)
            when[order < count] = unit_steps(order[order < count], steps)
            found = curve(
                when[labels],
                steps,
                lambda hidden: masked_scores(
                    model, clip, (~h for h in hidden), self.fill, attribution.column, self.objective
                ),
            )
            areas[name] = found.auc
        return MetricValue(areas["least"] - areas["most"], 0.0, areas)
