"""Grad-CAM++: positions weighted by second and third derivatives, for several instances of a class in one clip.

Chattopadhyay et al. 2018 (arXiv 1710.11063). Letters: A activations and g = ∂s/∂A of a layer, [N,C,t,h,w].
"""

from dataclasses import dataclass

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.grad_cam import Pooling, pooled_axes
from voxplain.attribution.cams.map_layer import activations_and_gradients, choose_layer, to_grid
from voxplain.model import Objective

__all__ = ["GradCAMPlusPlus"]


@layer_alias
@dataclass(frozen=True)
class GradCAMPlusPlus:
    """Grad-CAM++, ReLU(Σ_c w_c A_c) with w_c = Σ α·ReLU(g), α = g² / (2g² + g³ ΣA), sums over positions.

    This closed form holds for exp(s) where s is linear in the layer's map up to a piecewise linear head. The factor
    exp(s) of the paper's gradients scales the whole map of a clip and is left out.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.
    pooling : {"global", "per_frame"}
        As in `GradCAM`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Chattopadhyay et al. 2018, Grad-CAM++, arXiv 1710.11063

    Examples
    --------
    >>> GradCAMPlusPlus()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    pooling: Pooling = "global"
    objective: Objective = "logit"

    @attribution_call("grad_cam_plus_plus")
    def __call__(self, batch: Batch) -> Maps:
        axes = pooled_axes(self.pooling)
        layer = choose_layer(batch, self.layer)
        a, g = activations_and_gradients(batch.model, batch.x, batch.targets, self.objective, layer)
        # Divided by g²: gradients of 1e-5 are common, and their squares and cubes next to a constant would vanish.
        below = 2 + g * a.sum(axes, keepdim=True)
        alpha = (1 / below.where(below != 0, 1.0)).where((below != 0) & (g != 0), 0.0)
        weights = (alpha * g.relu()).sum(axes, keepdim=True)
        return to_grid(batch, (weights * a).sum(1).relu(), layer)
