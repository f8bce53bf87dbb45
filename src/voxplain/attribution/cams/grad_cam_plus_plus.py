"""Grad-CAM++: positions weighted by second and third derivatives, for several instances of a class in one clip.

Chattopadhyay et al. 2018 (arXiv 1710.11063). Letters: A activations and g = ∂s/∂A of a layer, [N,C,t,h,w].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from voxplain.attribution.cams.grad_cam import Pooling, pooled_axes
from voxplain.attribution.cams.map_layer import activations_and_gradients, choose_layer, to_grid
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["GradCAMPlusPlus"]


@dataclass(frozen=True)
class GradCAMPlusPlus:
    """ReLU(Σ_c w_c A_c), w_c = Σ α·ReLU(g), α = g² / (2g² + g³ ΣA), sums over positions.

    This closed form holds for exp(s) where s is linear in the layer's map up to a piecewise linear head. The factor
    exp(s) of the paper's gradients scales the whole map of a clip and is left out.
    """

    layer: str | None = None  # dotted name; None: the last map before the head
    pooling: Pooling = "global"
    objective: Objective = "logit"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "grad_cam_plus_plus", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        axes = pooled_axes(self.pooling)
        layer = choose_layer(batch, self.layer)
        a, g = activations_and_gradients(batch.model, batch.x, batch.targets, self.objective, layer)
        # Divided by g²: gradients of 1e-5 are common, and their squares and cubes next to a constant would vanish.
        below = 2 + g * a.sum(axes, keepdim=True)
        alpha = (1 / below.where(below != 0, 1.0)).where((below != 0) & (g != 0), 0.0)
        weights = (alpha * g.relu()).sum(axes, keepdim=True)
        return to_grid(batch, (weights * a).sum(1).relu(), layer)
