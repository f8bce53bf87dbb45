"""Meaningful perturbation: the smallest smooth mask whose perturbation destroys the class.

Letters: N clips, T×H×W the network's grid, h×w the mask's parameters a frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.masks.blur_pyramid import Perturbation, perturbation, pixels
from voxplain.attribution.masks.mask_descent import Adam, descend, network_loss, refuse
from voxplain.attribution.masks.mask_losses import total_variation
from voxplain.attribution.passes import logits, recording, score
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["MeaningfulPerturbation"]


@dataclass(frozen=True)
class MeaningfulPerturbation:
    """Minimise λ1·‖1−m‖₁ + λ2·Σ|∇m|^β + s(x⊗m); the map is 1 − m, what had to go for the score s to fall.

    x⊗m = m·x + (1−m)·(x blurred), m [T,h,w] drawn up to H×W bilinearly. Norms are sums over a frame's parameters, as
    for images, and means over frames; ∇ runs over time too. Each iteration shifts the clip by a few pixels, the same
    for all clips (edges wrap), so that the mask cannot follow single pixels. One backward pass an iteration.
    Fong & Vedaldi 2017 (arXiv 1704.03296).
    """

    objective: Objective = "probability"  # the weights below are for scores between 0 and 1
    perturbation: Perturbation = "blur"
    iterations: int = 300  # the paper's
    sparsity: float = 1e-4  # λ1
    smoothness: float = 1e-2  # λ2
    beta: float = 3.0  # β
    cells: int = 28  # h, parameters in a column; w in proportion
    blur: float = 20.0  # σ in pixels at 112 rows
    jitter: float = 2.0  # largest shift in pixels at 112 rows; the paper's 4 at 224
    learning_rate: float = 0.1  # of Adam
    seed: int = 0  # of the shifts

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        refuse(self.iterations >= 1, "1 iteration or more", self.iterations)
        refuse(self.beta >= 1, "beta of 1 or more", self.beta)
        refuse(self.cells >= 1, "1 cell or more", self.cells)
        refuse(self.jitter >= 0, "jitter of 0 pixels or more", self.jitter)

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "meaningful_perturbation", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        maps, details = [], []
        with recording(batch.model.net):
            x = batch.x.float().clone()  # what a caller makes in inference mode can take part in no gradient
            for clip, target in zip(x.split(1), batch.targets, strict=True):
                found, facts = self._one(batch.model, clip, target)
                maps.append(found)
                details.append(facts)
        return torch.cat(maps), details

    def _one(self, model: VideoModel, x: Tensor, target: int) -> tuple[Tensor, dict[str, Any]]:
        """The map [1,T,H,W] of one clip [1,3,T,H,W], and facts about it."""
        frames, rows, columns = x.shape[2:]
        shape = min(rows, self.cells), min(columns, max(1, round(self.cells * columns / rows)))
        perturb = perturbation(x, self.perturbation, 2, self.blur)
        shifts = self._shifts(rows)

        def drawn(parameters: Tensor) -> Tensor:
            return F.interpolate(parameters, size=(rows, columns), mode="bilinear", align_corners=False)

        def penalty(parameters: Tensor) -> Tensor:
            size = (1 - parameters).abs().flatten(1).sum(1)
            return (self.sparsity * size + self.smoothness * total_variation(parameters, self.beta)) / frames

        def loss(parameters: Tensor, running: Sequence[int], iteration: int) -> Tensor:
            shown = torch.roll(perturb(drawn(parameters), running), shifts[iteration], (3, 4))
            value = network_loss(model, shown, [target], lambda z, y: score(z, y, self.objective))
            return penalty(parameters) + value

        found, used = descend(
            torch.ones(1, frames, *shape, device=x.device), loss, self.iterations, Adam(self.learning_rate)
        )
        with torch.no_grad():
            mask = drawn(found)
            before, after = (float(score(logits(model, v), [target], "probability")) for v in (x, perturb(mask, [0])))
        return 1 - mask, {
            "perturbed_area": float((1 - mask).mean()),
            "penalty": float(penalty(found)),
            "probability_before": before,
            "probability_after": after,
            "iterations": used[0],
        }

    def _shifts(self, rows: int) -> list[tuple[int, int]]:
        """Rows and columns to shift by in every iteration."""
        reach = math.floor(pixels(self.jitter, rows))
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randint(-reach, reach + 1, (self.iterations, 2), generator=generator).tolist()
        return [(down, right) for down, right in drawn]
