"""Insertion and deletion: the class score while the clip is added to, or replaced by, a baseline in the map's order.

With S steps the clip after s deletions in one order is the clip after S − s insertions in the other: deletion "lerf" is
insertion "morf" in reverse, and deletion "morf" is insertion "lerf", so two of the four are enough. Deletion "morf"
favours maps that break the picture (in the video attribution study random maps were best by blocks); insertion "morf"
distinguished methods best.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.curves import Curve, curve, mirrored, unit_steps
from voxplain.errors import DataError
from voxplain.metrics.call import map_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue, clip_rng
from voxplain.metrics.units import Importance, Unit, ranked_units
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["Area", "Deletion", "Insertion", "Order"]

Order = Literal["morf", "lerf"]  # most or least relevant first
Area = Literal["voxels", "steps"]


@dataclass(frozen=True)
class Insertion:
    """Insertion: area under the class score while units of the clip are added to the baseline in the map's order.

    Higher is better with order "morf", lower with "lerf". ``details``: curve, a `Curve` of S+1 points; steps S, at most
    the number of units; start and end score. The chance level is the mean area of random orders.

    Parameters
    ----------
    order : {"morf", "lerf"}
        "morf": most relevant first; "lerf": least relevant first.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    steps : int
        S; 128 in the video attribution study.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`. The study's "fade" is "mean".
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    importance : {"mean", "sum"}
        Value of a unit: mean or sum over its voxels. The study sums over supervoxels.
    area : {"voxels", "steps"}
        Axis of the area: share of voxels, or steps as in the study; they differ for units of unequal size.
    smooth : float
        Standard deviation of a Gaussian over each frame of the map before ranking, in frame heights.
    ordered : float
        Share of the units, most relevant first, whose order counts; the rest is shuffled.
    chance_orders : int
        Random orders that are evaluated for the chance level, each at the cost of another curve; 0: none.
    seed : int
        Of ties and random orders.

    References
    ----------
    Petsiuk, Das and Saenko 2018, RISE, arXiv 1806.07421
    Li et al. 2020, arXiv 2005.00375 (orders and units in video)

    Examples
    --------
    >>> 0 <= Insertion(steps=8)(model, clip, heat).value <= 1
    True
    """

    order: Order = "morf"
    unit: Unit = "voxel"
    steps: int = 64
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    area: Area = "voxels"
    smooth: float = 0.0
    ordered: float = 1.0
    chance_orders: int = 0
    seed: int = 0

    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check the options."""
        _check(self)

    @property
    def higher_is_better(self) -> bool:
        """True for the most relevant first, False for the least."""
        return self.order == "morf"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        return _measure(self, model, clip, attribution, removes=False)


@dataclass(frozen=True)
class Deletion:
    """Deletion: area under the class score while units of the clip are replaced by the baseline in the map's order.

    Lower is better with order "morf", higher with "lerf"; all else as `Insertion`.

    Parameters
    ----------
    order : {"morf", "lerf"}
        "morf": most relevant first; "lerf": least relevant first.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    steps : int
        S; 128 in the video attribution study.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`. The study's "fade" is "mean".
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    importance : {"mean", "sum"}
        Value of a unit: mean or sum over its voxels. The study sums over supervoxels.
    area : {"voxels", "steps"}
        Axis of the area: share of voxels, or steps as in the study; they differ for units of unequal size.
    smooth : float
        Standard deviation of a Gaussian over each frame of the map before ranking, in frame heights.
    ordered : float
        Share of the units, most relevant first, whose order counts; the rest is shuffled.
    chance_orders : int
        Random orders that are evaluated for the chance level, each at the cost of another curve; 0: none.
    seed : int
        Of ties and random orders.

    References
    ----------
    Petsiuk, Das and Saenko 2018, RISE, arXiv 1806.07421

    Examples
    --------
    >>> 0 <= Deletion(steps=8)(model, clip, heat).value <= 1
    True
    """

    order: Order = "morf"
    unit: Unit = "voxel"
    steps: int = 64
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    area: Area = "voxels"
    smooth: float = 0.0
    ordered: float = 1.0
    chance_orders: int = 0
    seed: int = 0

    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check the options."""
        _check(self)

    @property
    def higher_is_better(self) -> bool:
        """False for the most relevant first, True for the least."""
        return self.order == "lerf"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        return _measure(self, model, clip, attribution, removes=True)


def _check(metric: Insertion | Deletion) -> None:
    if metric.order not in ("morf", "lerf") or metric.area not in ("voxels", "steps"):
        raise DataError(
            f"expected order morf or lerf and area voxels or steps, got {metric.order!r} and {metric.area!r}; "
            "correct them"
        )
    if metric.steps < 1 or metric.chance_orders < 0:
        raise DataError(
            f"expected steps of 1 and chance_orders of 0 or more, got {metric.steps} and {metric.chance_orders}; "
            "correct them"
        )


def _measure(
    metric: Insertion | Deletion, model: VideoModel, clip: Clip, attribution: Attribution, *, removes: bool
) -> MetricValue:
    labels, rank = ranked_units(
        clip,
        attribution.values,
        metric.unit,
        metric.importance,
        smooth=metric.smooth,
        ordered=metric.ordered,
        seed=metric.seed,
    )
    rank = rank if metric.order == "morf" else len(rank) - 1 - rank
    run = partial(_curve, metric, model, clip, attribution.column, labels, removes=removes)
    found = run(rank)
    rng = clip_rng(clip, metric.seed, 1)
    chance = [_area(metric, run(rng.permutation(len(rank)))) for _ in range(metric.chance_orders)]
    details = {
        "curve": found,
        "steps": len(found.score) - 1,
        "start": float(found.score[0]),
        "end": float(found.score[-1]),
    }
    return MetricValue(_area(metric, found), float(np.mean(chance)) if chance else None, details)


def _curve(
    metric: Insertion | Deletion,
    model: VideoModel,
    clip: Clip,
    target: int,
    labels: np.ndarray,
    rank: np.ndarray,
    *,
    removes: bool,
) -> Curve:
    steps = min(metric.steps, len(rank))
    # Deletion runs the insertion of the opposite order backwards, so that rounding cannot part the mirror images.
    last = mirrored(unit_steps(len(rank) - 1 - rank, steps), steps) if removes else unit_steps(rank, steps)
    return curve(
        last[labels],
        steps,
        lambda changed: masked_scores(
            model, clip, (~m if removes else m for m in changed), metric.fill, target, metric.objective
        ),
    )


def _area(metric: Insertion | Deletion, found: Curve) -> float:
    return found.auc if metric.area == "voxels" else found.auc_over_steps
