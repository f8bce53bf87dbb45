"""Efficient parameter randomisation: how much more complex a map becomes when the whole network is randomised."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.call import AttributionMethod
from voxplain.attribution.passes import to_input
from voxplain.errors import DataError
from voxplain.metrics.call import method_call
from voxplain.metrics.randomise import copied, redraw, weight_layers
from voxplain.metrics.record import MetricValue
from voxplain.model import Target, VideoModel, stack
from voxplain.video import Clip

__all__ = ["EfficientRandomisation"]


@dataclass(frozen=True)
class EfficientRandomisation:
    """Efficient MPRT: (H(map of the randomised network) − H(map)) / H(map), H the entropy of the values' histogram.

    Higher is better, chance level 0: a map that does not depend on the weights is as complex as before. It needs two
    maps, where `ParameterRandomisation` needs one for each layer, and no similarity of maps, which noise of gradients
    decides. NaN for a map that is constant but for rounding. ``details``: before and after, the entropies in nats.

    Parameters
    ----------
    bins : int
        Of the histogram, from the least to the greatest value of each map.
    seed : int
        Of the new weights.

    References
    ----------
    Hedström et al. 2024, A fresh look at sanity checks for saliency maps, arXiv 2405.02383

    Examples
    --------
    >>> EfficientRandomisation()(model, clip, "cross", vx.Gradient()).chance
    0.0
    """

    bins: int = 100
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["method"]] = "method"

    def __post_init__(self) -> None:
        """Check the field."""
        if self.bins < 2:
            raise DataError(f"expected 2 bins or more, got {self.bins}; correct it")

    @method_call
    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        trial = copied(model)
        for i, name in enumerate(weight_layers(trial, to_input(trial, stack([clip])))):
            redraw(trial.net, name, self.seed * 100_003 + i)
        before, after = (self._entropy(method(m, clip, target).values) for m in (model, trial))
        value = (after - before) / before if before else float("nan")
        return MetricValue(value, 0.0, {"before": before, "after": after})

    def _entropy(self, values: np.ndarray) -> float:
        if np.ptp(values) < 2 * self.bins * np.spacing(np.abs(values).max()):
            return 0.0  # constant but for rounding: no bins of such a width
        counts = np.histogram(values, self.bins)[0]
        shares = counts[counts > 0] / values.size
        return float(max(0.0, -(shares * np.log(shares)).sum()))
