"""Meaningful perturbation: the smallest smooth mask whose perturbation destroys the class.

Letters: N clips, T×H×W the network's grid, h×w the mask's parameters a frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.masks.blur_pyramid import Perturbation, perturbation, pixels
from voxplain.attribution.masks.clip_by_clip import clip_by_clip, deletion_map
from voxplain.attribution.masks.mask_descent import Adam, check_field, check_probability, descend, network_loss
from voxplain.attribution.masks.mask_losses import total_variation
from voxplain.attribution.passes import score
from voxplain.model import Objective, VideoModel

__all__ = ["MeaningfulPerturbation"]


@dataclass(frozen=True)
class MeaningfulPerturbation:
    """Meaningful perturbation: minimise λ1·‖1−m‖₁ + λ2·Σ|∇m|^β + s(x⊗m); the map is 1 − m.

    The map is what has to be removed for the score s to fall. x⊗m = m·x + (1−m)·(x blurred), m [T,h,w] enlarged to H×W
    bilinearly. Norms are sums over a frame's parameters, as for images, and means over frames; ∇ runs over time too.
    Each iteration shifts the clip by a few pixels, the same for all clips (edges wrap), so that the mask cannot follow
    single pixels. One backward pass an iteration.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The weights below are for scores between 0 and 1.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        300 in the paper.
    sparsity : float
        λ1.
    smoothness : float
        λ2.
    beta : float
        β.
    cells : int
        h, parameters in a column; w in proportion.
    blur : float
        σ in pixels at 112 rows.
    jitter : float
        Largest shift in pixels at 112 rows; the paper's 4 at 224.
    learning_rate : float
        Of Adam.
    seed : int
        Of the shifts.

    References
    ----------
    Fong and Vedaldi 2017, Interpretable explanations of black boxes by meaningful perturbation, arXiv 1704.03296

    Examples
    --------
    >>> MeaningfulPerturbation(iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "probability"
    perturbation: Perturbation = "blur"
    iterations: int = 300
    sparsity: float = 1e-4
    smoothness: float = 1e-2
    beta: float = 3.0
    cells: int = 28
    blur: float = 20.0
    jitter: float = 2.0
    learning_rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_field(self.iterations >= 1, "1 iteration or more", self.iterations)
        check_field(self.beta >= 1, "beta of 1 or more", self.beta)
        check_field(self.cells >= 1, "1 cell or more", self.cells)
        check_field(self.jitter >= 0, "jitter of 0 pixels or more", self.jitter)

    @attribution_call("meaningful_perturbation")
    def __call__(self, batch: Batch) -> Maps:
        check_probability(batch.model)
        return clip_by_clip(batch, self._one)

    def _one(self, model: VideoModel, x: Tensor, target: int) -> tuple[Tensor, Details]:
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
            perturbed = torch.roll(perturb(drawn(parameters), running), shifts[iteration], (3, 4))
            value = network_loss(model, perturbed, [target], lambda z, y: score(z, y, self.objective))
            return penalty(parameters) + value

        found, used = descend(
            torch.ones(1, frames, *shape, device=x.device), loss, self.iterations, Adam(self.learning_rate)
        )
        with torch.no_grad():
            mask, left = drawn(found), float(penalty(found))
        values, facts = deletion_map(model, x, target, perturb, mask, used[0])
        return values, {**facts, "penalty": left}

    def _shifts(self, rows: int) -> list[tuple[int, int]]:
        """Rows and columns to shift by in every iteration."""
        reach = math.floor(pixels(self.jitter, rows))
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randint(-reach, reach + 1, (self.iterations, 2), generator=generator).tolist()
        return [(down, right) for down, right in drawn]
