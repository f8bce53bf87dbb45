"""Integrated gradients: the gradient averaged on the straight line from a baseline to the clip, times the difference.

Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voxplain.attribution.gradients.path import Rule, completeness_gaps, gradients_along, nodes
from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel, stack
from voxplain.video import Clip

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
    """(x−b) ∫₀¹ ∂s/∂x(b + α(x−b)) dα: shares of the voxels in the rise of the score from a baseline b to the clip x.

    Several baselines are averaged. ``details["completeness_gap"]``: how far the signed sum is from s(x) − s(b),
    relative to that difference; more steps make it smaller, unless the difference itself is next to nothing.
    """

    steps: int = 25  # gradients on the line, for each baseline; the study's 25
    baseline: str | tuple[str, ...] = "blur"  # fills of voxplain.perturb; the study's black sees nothing dark
    rule: Rule = (
        "middle"  # the study's "left" misses about ten times as much; ReLU networks gain nothing by higher orders
    )
    objective: Objective = "logit"  # the study's networks end in softmax: "probability"
    channels: Channels = "absolute"  # mean of the absolute values over colours, as in the study; "signed" keeps sums

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "integrated_gradients", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
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
