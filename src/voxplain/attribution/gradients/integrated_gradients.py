"""Integrated gradients: the gradient averaged on the straight line from a baseline to the clip, times the difference.

Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gradients.path import Rule, completeness_gaps, gradients_along, nodes
from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel, stack

__all__ = ["IntegratedGradients", "integrated_gradients"]


def integrated_gradients(
    model: VideoModel,
    x: Tensor,
    base: Tensor,
    targets: Sequence[int],
    *,
    steps: int = 25,
    rule: Rule = "middle",
    objective: Objective = "logit",
) -> Tensor:
    """(x−b) · Σ_i w_i ∂s/∂x at b + α_i (x−b): signed values of inputs and baselines [N,3,T,H,W]."""
    at, weights = nodes(rule, steps)
    points = (torch.lerp(base, x, float(a)) for a in at)
    total = torch.zeros_like(x)
    for g, weight in zip(gradients_along(model, points, targets, objective), weights, strict=True):
        total.add_(g, alpha=float(weight))
    return total * (x - base)


@dataclass(frozen=True)
class IntegratedGradients:
    """Integrated gradients, (x−b) ∫₀¹ ∂s/∂x(b + α(x−b)) dα, from a baseline b to the clip x.

    The signed values of all voxels add up to s(x) − s(b) (completeness). ``details["completeness_gap"]`` is how far
    they are from it, relative to that difference; more steps reduce it, unless the difference itself is close to zero.

    Parameters
    ----------
    steps : int
        Gradients on the line, for each baseline; 25 in the video attribution study.
    baseline : str or tuple of str
        An entry of `FILLS`, or several, which are averaged. With the study's black, dark voxels get no attribution.
    rule : str
        Quadrature rule, an entry of `RULES`. The gap of the study's "left" is about ten times that of "middle"; ReLU
        networks gain nothing from higher orders.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, arXiv 1703.01365

    Examples
    --------
    >>> IntegratedGradients(steps=5)(model, clip).shape
    (8, 32, 32)
    """

    steps: int = 25
    baseline: str | tuple[str, ...] = "blur"
    rule: Rule = "middle"
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("integrated_gradients")
    def __call__(self, batch: Batch) -> Maps:
        fills = (self.baseline,) if isinstance(self.baseline, str) else tuple(self.baseline)
        if not fills:
            raise DataError("expected one baseline or more, got none; name a fill, as in baseline='black'")
        x, frames = batch.x.float(), stack(batch.clips)
        values = torch.zeros_like(x)
        rise = scores(batch.model, x, batch.targets, self.objective)
        for fill in fills:
            base = base_input(batch.model, frames, fill).float()
            values += integrated_gradients(
                batch.model, x, base, batch.targets, steps=self.steps, rule=self.rule, objective=self.objective
            ) / len(fills)
            rise = rise - scores(batch.model, base, batch.targets, self.objective) / len(fills)
        details = [{"completeness_gap": gap} for gap in completeness_gaps(values, rise)]
        return over_channels(values, self.channels), details
