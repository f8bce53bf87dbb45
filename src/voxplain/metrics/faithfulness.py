"""How much of the class score the map's best part holds, and whether what it values is what the network loses.

Letters: f the class probability or another objective, x the clip, U units, r a share of them. "Without" and "only"
are against a base, the mean colour unless said otherwise.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.errors import DataError
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue, Needs, check_pair, clip_rng
from voxplain.metrics.units import Importance, Unit, ranked_units, unit_labels, unit_values
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["AverageDrop", "Comprehensiveness", "FaithfulnessCorrelation", "IncreaseInConfidence", "Sufficiency"]

RATIOS = (0.01, 0.05, 0.1, 0.2, 0.5)  # ERASER's shares of what is kept or removed


@dataclass(frozen=True)
class Sufficiency:
    """f(x) − f(only the top r of x), mean over shares r: what is lost when only the best part is shown.

    Lower is better; the chance, with ``chance_orders``, is that of random units. DeYoung et al. 2020, ERASER
    (arXiv 1911.03429). ``details``: ratios, scores (f of each part), whole (f(x)).
    """

    ratios: tuple[float, ...] = RATIOS
    unit: Unit = "voxel"
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    chance_orders: int = 0  # random orders that are measured for the chance
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Needs] = "map"

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip. Raises DataError when map and clip differ in grid."""
        return _top_share(self, model, clip, attribution, removed=False)


@dataclass(frozen=True)
class Comprehensiveness:
    """f(x) − f(x without its top r), mean over shares r: what is lost when the best part is hidden.

    Higher is better; all else as `Sufficiency`.
    """

    ratios: tuple[float, ...] = RATIOS
    unit: Unit = "voxel"
    fill: str = "mean"
    objective: Objective = "probability"
    importance: Importance = "mean"
    chance_orders: int = 0
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "map"

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip. Raises DataError when map and clip differ in grid."""
        return _top_share(self, model, clip, attribution, removed=True)


def _top_share(
    metric: Sufficiency | Comprehensiveness, model: VideoModel, clip: Clip, attribution: Attribution, *, removed: bool
) -> MetricValue:
    check_pair(clip, attribution)
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
    scores = masked_scores(model, clip, shown, metric.fill, attribution.target, metric.objective)
    lost = scores[0] - scores[1:].reshape(len(orders), len(counts)).mean(1)
    details = {"ratios": metric.ratios, "scores": scores[1 : 1 + len(counts)], "whole": float(scores[0])}
    return MetricValue(float(lost[0]), float(lost[1:].mean()) if metric.chance_orders else None, details)


@dataclass(frozen=True)
class AverageDrop:
    """max(0, p(x) − p(map ∘ x)) / p(x) of one clip, a share: its mean over clips is the average drop.

    Lower is better. The map is scaled to 0–1 by its least and greatest value and blends the clip with the base;
    p is the class probability. Chattopadhyay et al. 2018, Grad-CAM++ (arXiv 1710.11063), which gives per cent and
    multiplies the picture. ``details``: whole, masked.
    """

    fill: str = "mean"

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Needs] = "map"

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip. Raises DataError when map and clip differ in grid."""
        whole, masked = _explanation_scores(model, clip, attribution, self.fill)
        drop = max(0.0, whole - masked) / whole if whole > 0 else float("nan")
        return MetricValue(drop, None, {"whole": whole, "masked": masked})


@dataclass(frozen=True)
class IncreaseInConfidence:
    """1 where p(map ∘ x) > p(x), else 0: its mean over clips is the (rate of) increase in confidence.

    Higher is better; map, base and reference as in `AverageDrop`.
    """

    fill: str = "mean"

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "map"

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip. Raises DataError when map and clip differ in grid."""
        whole, masked = _explanation_scores(model, clip, attribution, self.fill)
        return MetricValue(float(masked > whole), None, {"whole": whole, "masked": masked})


def _explanation_scores(model: VideoModel, clip: Clip, attribution: Attribution, fill: str) -> tuple[float, float]:
    """Probability of the clip, and of the clip seen through the map."""
    check_pair(clip, attribution)
    v = attribution.values
    low, span = v.min(), np.ptp(v)
    through = (v - low) / span if span > 0 else np.zeros_like(v)
    whole, masked = masked_scores(
        model, clip, [np.ones_like(through), through], fill, attribution.target, "probability"
    ).tolist()
    return whole, masked


@dataclass(frozen=True)
class FaithfulnessCorrelation:
    """Pearson correlation, over subsets of units, of the score's drop without a subset and the map's sum in it.

    Higher is better, chance 0; NaN where drops or sums are all the same. ``subsets`` None: one unit at a time, every
    unit once (the study: one frame at a time). Else that many random subsets of ``share`` of the units. Bhatt, Weller
    and Moura 2020 (arXiv 2005.00631). One value a clip; the study's code correlates over its batch by mistake.
    ``details``: drops and sums [subsets].
    """

    unit: Unit = "frame"
    subsets: int | None = None  # random subsets; None: each unit alone
    share: float = 0.2  # of the units in a random subset
    fill: str = "mean"
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Needs] = "map"

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip. Raises DataError when map and clip differ in grid."""
        check_pair(clip, attribution)
        labels = unit_labels(clip, self.unit)
        sums = unit_values(attribution.values, labels, "sum")
        chosen = self._chosen(len(sums), clip_rng(clip, self.seed))
        nothing = np.zeros(0, np.int64)
        shown = (np.isin(np.arange(len(sums)), units, invert=True)[labels] for units in [nothing, *chosen])
        scores = masked_scores(model, clip, shown, self.fill, attribution.target, self.objective)
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
