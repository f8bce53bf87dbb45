"""Faithfulness: the class score of the most relevant part of a clip, and the agreement of the map with losses of score.

Letters: f the class probability or another objective, x the clip, U units, r a share of them. "Without" and "only"
are against a baseline, the mean colour by default.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.errors import DataError, ModelError
from voxplain.metrics.call import map_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue, clip_rng
from voxplain.metrics.units import Importance, Unit, ranked_units, unit_labels, unit_values
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["AverageDrop", "Comprehensiveness", "FaithfulnessCorrelation", "IncreaseInConfidence", "Sufficiency"]

RATIOS = (0.01, 0.05, 0.1, 0.2, 0.5)  # ERASER's shares of what is kept or removed


@dataclass(frozen=True)
class Sufficiency:
    """Sufficiency: f(x) − f(only the top r of x), mean over shares r.

    What is lost when only the most relevant units are kept; lower is better. The chance level is that of random units.
    ``details``: ratios, scores (f at each share), whole (f(x)).

    Parameters
    ----------
    ratios : tuple of float
        Shares r, as in ERASER.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    importance : {"mean", "sum"}
        Value of a unit: mean or sum over its voxels.
    chance_orders : int
        Random orders that are evaluated for the chance level; 0: none.
    seed : int
        Of ties and random orders.

    References
    ----------
    DeYoung et al. 2020, ERASER, arXiv 1911.03429

    Examples
    --------
    >>> len(Sufficiency(ratios=(0.1, 0.5))(model, clip, heat).details["scores"])
    2
    """

    ratios: tuple[float, ...] = RATIOS
    unit: Unit = "voxel"
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    chance_orders: int = 0
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        return _top_share(self, model, clip, attribution, removed=False)


@dataclass(frozen=True)
class Comprehensiveness:
    """Comprehensiveness: f(x) − f(x without its top r), mean over shares r.

    What is lost when the most relevant units are hidden; higher is better. All else as `Sufficiency`.

    Parameters
    ----------
    ratios : tuple of float
        Shares r, as in ERASER.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    importance : {"mean", "sum"}
        Value of a unit: mean or sum over its voxels.
    chance_orders : int
        Random orders that are evaluated for the chance level; 0: none.
    seed : int
        Of ties and random orders.

    References
    ----------
    DeYoung et al. 2020, ERASER, arXiv 1911.03429

    Examples
    --------
    >>> len(Comprehensiveness(ratios=(0.1, 0.5))(model, clip, heat).details["scores"])
    2
    """

    ratios: tuple[float, ...] = RATIOS
    unit: Unit = "voxel"
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    chance_orders: int = 0
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        return _top_share(self, model, clip, attribution, removed=True)


def _top_share(
    metric: Sufficiency | Comprehensiveness, model: VideoModel, clip: Clip, attribution: Attribution, *, removed: bool
) -> MetricValue:
    if not metric.ratios or min(metric.ratios) <= 0 or max(metric.ratios) >= 1:
        raise DataError(f"expected ratios above 0 and below 1, got {metric.ratios}; correct them")
    labels, rank = ranked_units(
        clip, attribution.values, metric.unit, metric.importance, smooth=0.0, ordered=1.0, seed=metric.seed
    )
    rng = clip_rng(clip, metric.seed, 1)
    orders = [rank, *(rng.permutation(len(rank)) for _ in range(metric.chance_orders))]
    counts = [max(1, round(r * len(rank))) for r in metric.ratios]
    whole = np.ones(labels.shape, bool)
    tops = ((order < n)[labels] for order in orders for n in counts)
    shown = (mask for part in ([whole], (~m if removed else m for m in tops)) for mask in part)
    scores = masked_scores(model, clip, shown, metric.fill, attribution.column, metric.objective)
    lost = scores[0] - scores[1:].reshape(len(orders), len(counts)).mean(1)
    details = {"ratios": metric.ratios, "scores": scores[1 : 1 + len(counts)], "whole": float(scores[0])}
    return MetricValue(float(lost[0]), float(lost[1:].mean()) if metric.chance_orders else None, details)


@dataclass(frozen=True)
class AverageDrop:
    """Average drop: max(0, p(x) − p(map ∘ x)) / p(x) of one clip; the metric is its mean over clips.

    Lower is better. The map is scaled to 0–1 by its least and greatest value and blends the clip with the baseline; p
    is the class probability. The paper gives per cent, and multiplies the picture. ``details``: whole, masked.

    Parameters
    ----------
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.

    References
    ----------
    Chattopadhyay et al. 2018, Grad-CAM++, arXiv 1710.11063

    Examples
    --------
    >>> 0 <= AverageDrop()(model, clip, heat).value <= 1
    True
    """

    fill: str = "mean"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        whole, masked = _explanation_scores(model, clip, attribution, self.fill)
        drop = max(0.0, whole - masked) / whole if whole > 0 else float("nan")
        return MetricValue(drop, None, {"whole": whole, "masked": masked})


@dataclass(frozen=True)
class IncreaseInConfidence:
    """Increase in confidence: 1 where p(map ∘ x) > p(x), else 0; the metric is its mean over clips.

    Higher is better; map and baseline as in `AverageDrop`.

    Parameters
    ----------
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.

    References
    ----------
    Chattopadhyay et al. 2018, Grad-CAM++, arXiv 1710.11063

    Examples
    --------
    >>> IncreaseInConfidence()(model, clip, heat).value in (0.0, 1.0)
    True
    """

    fill: str = "mean"

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        whole, masked = _explanation_scores(model, clip, attribution, self.fill)
        return MetricValue(float(masked > whole), None, {"whole": whole, "masked": masked})


def _explanation_scores(model: VideoModel, clip: Clip, attribution: Attribution, fill: str) -> tuple[float, float]:
    """Probability of the clip, and of the clip blended by the map."""
    v = attribution.values
    low, span = v.min(), np.ptp(v)
    through = (v - low) / span if span > 0 else np.zeros_like(v)
    if model.task == "regression":
        raise ModelError(
            "expected a class or label, whose probability drops, got a quantity; use insertion or deletion"
        )
    whole, masked = masked_scores(
        model, clip, [np.ones_like(through), through], fill, attribution.column, "probability"
    ).tolist()
    return whole, masked


@dataclass(frozen=True)
class FaithfulnessCorrelation:
    """Faithfulness correlation: Pearson's r of the score's drop without a subset of units and the map's sum in it.

    Over subsets; higher is better, chance level 0; NaN where drops or sums are all equal. One value a clip; the code of
    the video attribution study correlates over its batch by mistake. ``details``: drops and sums [subsets].

    Parameters
    ----------
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    subsets : int, optional
        Random subsets; by default each unit alone (the study: each frame).
    share : float
        Of the units in a random subset.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of the subsets.

    References
    ----------
    Bhatt, Weller and Moura 2020, Evaluating and aggregating feature-based model explanations, arXiv 2005.00631

    Examples
    --------
    >>> FaithfulnessCorrelation()(model, clip, heat).chance
    0.0
    """

    unit: Unit = "frame"
    subsets: int | None = None
    share: float = 0.2
    fill: str = "mean"
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        labels = unit_labels(clip, self.unit)
        sums = unit_values(attribution.values, labels, "sum")
        chosen = self._chosen(len(sums), clip_rng(clip, self.seed))
        nothing = np.zeros(0, np.int64)
        shown = (np.isin(np.arange(len(sums)), units, invert=True)[labels] for units in [nothing, *chosen])
        scores = masked_scores(model, clip, shown, self.fill, attribution.column, self.objective)
        drops, inside = scores[0] - scores[1:], np.array([sums[units].sum() for units in chosen])
        flat = len(drops) < 2 or np.ptp(drops) == 0 or np.ptp(inside) == 0
        value = float("nan") if flat else float(np.corrcoef(drops, inside)[0, 1])
        return MetricValue(value, 0.0, {"drops": drops, "sums": inside})

    def _chosen(self, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        if self.subsets is None:
            return [np.array([u]) for u in range(count)]
        if self.subsets < 2 or not 0 < self.share < 1:
            raise DataError(f"expected 2 subsets or more of a share in 0–1, got {self.subsets} of {self.share}")
        size = min(count - 1, max(1, round(self.share * count)))
        return [rng.choice(count, size, replace=False) for _ in range(self.subsets)]
