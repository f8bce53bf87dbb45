"""Complexity of a map: how evenly its weight is spread over the voxels. The network takes no part.

Letters: v the absolute values of a map, N voxels, p = v / Σv the share of the weight at each voxel.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.metrics.call import map_call
from voxplain.metrics.record import MetricValue
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["Complexity", "Sparseness"]


@dataclass(frozen=True)
class Complexity:
    """Complexity: entropy of the shares p of a map's weight, −Σ p log p / log N, from 0 to 1.

    Lower is simpler; chance level 1, a uniform map. All weight at one voxel has 0, and k equal voxels log k / log N. A
    simple map need not be true: compare it only between maps that are. NaN for a map of zeros.

    References
    ----------
    Bhatt, Weller and Moura 2020, Evaluating and aggregating feature-based model explanations, arXiv 2005.00631

    Examples
    --------
    >>> 0 <= Complexity()(model, clip, heat).value <= 1
    True
    """

    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        shares = _shares(attribution)
        if not len(shares):
            return MetricValue(float("nan"), 1.0)
        inside = shares[shares > 0]
        entropy = -(inside * np.log(inside)).sum()
        return MetricValue(float(entropy / np.log(len(shares))), 1.0, {"effective_voxels": float(np.exp(entropy))})


@dataclass(frozen=True)
class Sparseness:
    """Sparseness: Gini coefficient of a map's absolute values, from 0 to 1.

    Higher is sparser; chance level 0, a uniform map. All weight at one voxel has 1 − 1/N, and k equal voxels 1 − k/N. A
    sparse map need not be true: compare it only between maps that are. NaN for a map of zeros.

    References
    ----------
    Chalasani et al. 2020, Concise explanations of neural networks using adversarial training, arXiv 1810.06583

    Examples
    --------
    >>> 0 <= Sparseness()(model, clip, heat).value <= 1
    True
    """

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        shares, count = np.sort(_shares(attribution)), attribution.values.size
        if not len(shares):
            return MetricValue(float("nan"), 0.0)
        place = np.arange(1, count + 1)
        return MetricValue(float(((2 * place - count - 1) * shares).sum() / count), 0.0)


def _shares(attribution: Attribution) -> np.ndarray:
    """p of every voxel, float64 [N]; empty for a map of zeros."""
    weight = np.abs(attribution.values.astype(np.float64)).ravel()
    total = weight.sum()
    return weight / total if total else np.zeros(0)
