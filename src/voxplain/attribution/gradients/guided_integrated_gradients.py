"""Guided integrated gradients: a path from the baseline that changes the least sensitive voxels first.

Kapishnikov et al. 2021 (arXiv 2106.09788). Letters: N clips, S steps, α ∈ [0,1] how far a value has come from its
baseline to the clip.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gradients.path import completeness_gaps
from voxplain.attribution.passes import base_input, gradient, scores
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, stack

__all__ = ["GuidedIG"]


def _advance(
    alpha: np.ndarray, distance: np.ndarray, size: np.ndarray, *, low: float, high: float, left: float, fraction: float
) -> np.ndarray:
    """α of one clip after a step, all float64 [D]: the values with the smallest |gradient| ``size`` move first.

    ``distance`` |x−b|; α stays in ``low`` … ``high``; at the end Σ distance·(1−α) is ``left``. Each round moves the
    lowest ``fraction`` of all values, those not yet at ``high``, until that is reached.
    """
    alpha = np.maximum(alpha, low)
    gap = float(distance @ (1 - alpha)) - left
    free = np.flatnonzero((alpha < high) & (distance > 0))
    count = max(int(fraction * len(alpha)), 1)
    while gap > 0 and len(free):
        rank = min(count, len(free)) - 1
        low_enough = size[free] <= np.partition(size[free], rank)[rank]  # with all that are equally low
        chosen, free = free[low_enough], free[~low_enough]
        room = float(distance[chosen] @ (high - alpha[chosen]))
        share = min(gap / room, 1.0) if room > 0 else 1.0
        alpha[chosen] += share * (high - alpha[chosen])
        gap -= share * room
    return alpha


@dataclass(frozen=True)
class GuidedIG:
    """Guided integrated gradients, Σ ∂s/∂x · Δx along a path that changes the least sensitive voxels first.

    Each of S steps reduces the L1 distance to the clip by 1/S of the whole, through the values with the lowest |∂s/∂x|.
    ``details["completeness_gap"]`` is how far the signed sum is from s(x) − s(b), relative to that difference. More
    steps need not reduce it: where the path runs along the edge between two linear regions, choosing by the gradient
    before a step favours the smaller one; a smaller ``max_distance`` does reduce it.

    Parameters
    ----------
    steps : int
        Gradients; 200 in the authors' code.
    fraction : float
        Share of all values that may change together; 0.25 in the paper, and 1 gives integrated gradients.
    max_distance : float
        Largest distance of α from the straight line's; as in the authors' code.
    rule : {"trapezoid", "left"}
        "trapezoid", or the authors' "left", whose gap is several times as large.
    baseline : str
        An entry of `FILLS`. With the authors' black, dark voxels get no attribution.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Kapishnikov et al. 2021, Guided integrated gradients, arXiv 2106.09788

    Examples
    --------
    >>> GuidedIG(steps=5)(model, clip).shape
    (8, 32, 32)
    """

    steps: int = 200
    fraction: float = 0.25
    max_distance: float = 0.02
    rule: Literal["trapezoid", "left"] = "trapezoid"
    baseline: str = "blur"
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("guided_ig")
    def __call__(self, batch: Batch) -> Maps:
        if self.rule not in ("trapezoid", "left"):
            raise DataError(f"expected rule trapezoid or left, got {self.rule!r}; choose one")
        if self.steps < 1 or not 0 < self.fraction <= 1 or not 0 <= self.max_distance <= 1:
            raise DataError(
                "expected 1 step or more, a fraction in (0,1] and a max_distance in [0,1], got "
                f"{self.steps}, {self.fraction} and {self.max_distance}"
            )
        base = base_input(batch.model, stack(batch.clips), self.baseline).float()
        x = batch.x.float()
        values = self._along_path(batch, x, base)
        rise = scores(batch.model, x, batch.targets, self.objective)
        rise = rise - scores(batch.model, base, batch.targets, self.objective)
        details = [{"completeness_gap": gap} for gap in completeness_gaps(values, rise)]
        return over_channels(values, self.channels), details

    def _along_path(self, batch: Batch, x: Tensor, base: Tensor) -> Tensor:
        """Signed values [N,3,T,H,W]. Where to go is settled on the CPU in float64: choices then hang on no device."""
        start = base.double().flatten(1).cpu().numpy()
        difference = x.double().flatten(1).cpu().numpy() - start
        distance = np.abs(difference)
        alpha, values, taken = np.zeros_like(start), np.zeros_like(start), np.zeros_like(start)
        later = 0.5 if self.rule == "trapezoid" else 0.0  # the share of the gradient after a step
        for step in range(self.steps + bool(later)):
            at = torch.from_numpy((start + alpha * difference).astype(np.float32)).view_as(x).to(x.device)
            g = gradient(batch.model, at, batch.targets, self.objective).flatten(1).double().cpu().numpy()
            values += later * taken * g
            now = min((step + 1) / self.steps, 1.0)
            low, high = max(now - self.max_distance, 0.0), min(now + self.max_distance, 1.0)
            for i, d in enumerate(distance):
                left = float(d.sum()) * (1 - now)
                moved = _advance(alpha[i], d, np.abs(g[i]), low=low, high=high, left=left, fraction=self.fraction)
                taken[i] = (moved - alpha[i]) * difference[i]
                alpha[i] = moved
            values += (1 - later) * taken * g
        return torch.from_numpy(values.astype(np.float32)).view_as(x)
