"""Maps of a layer weighted by the gradient of the score there: Grad-CAM and its relatives, in 3D.

Letters: A activations and G = ∂s/∂A of a layer, [N,C,t,h,w]; α weights. The coarse maps [N,t,h,w] are upsampled to
the grid, trilinear.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from voxplain.attribution.cams.map_layer import MapLayer, activations_and_gradients, choose_layer, to_grid
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["GradCAM", "HiResCAM", "LayerCAM", "Pooling", "XGradCAM", "pooled_axes"]

Pooling = Literal["global", "per_frame"]  # of weights: over t, h, w; or over h, w of each temporal slice by itself

AXES: dict[str, tuple[int, ...]] = {"global": (2, 3, 4), "per_frame": (3, 4)}


def pooled_axes(pooling: str) -> tuple[int, ...]:
    """The axes of [N,C,t,h,w] that weights are pooled over. Raises DataError on an unknown pooling."""
    if pooling not in AXES:
        raise DataError(f"expected pooling {' or '.join(AXES)}, got {pooling!r}; choose one")
    return AXES[pooling]


def _maps_of(batch: Batch, layer: str | None, objective: Objective) -> tuple[Tensor, Tensor, MapLayer]:
    chosen = choose_layer(batch, layer)
    a, g = activations_and_gradients(batch.model, batch.x, batch.targets, objective, chosen)
    return a, g, chosen


@dataclass(frozen=True)
class GradCAM:
    """ReLU(Σ_c α_c A_c), α_c the mean of G_c over positions. Selvaraju et al. 2017 (arXiv 1610.02391)."""

    layer: str | None = None  # dotted name; None: the last map before the head
    pooling: Pooling = "global"  # as for images; the study's: "per_frame"
    objective: Objective = "logit"  # the study's networks end in softmax: "probability"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "grad_cam", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        axes = pooled_axes(self.pooling)
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        return to_grid(batch, (g.mean(axes, keepdim=True) * a).sum(1).relu(), layer)


@dataclass(frozen=True)
class XGradCAM:
    """ReLU(Σ_c α_c A_c), α_c = Σ A_c G_c / Σ A_c over positions. Fu et al. 2020 (arXiv 2008.02312)."""

    layer: str | None = None  # dotted name; None: the last map before the head
    pooling: Pooling = "global"
    objective: Objective = "logit"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "xgrad_cam", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        axes = pooled_axes(self.pooling)
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        mass = a.sum(axes, keepdim=True)
        # A channel without activation adds nothing, whatever its weight.
        alpha = (a * g).sum(axes, keepdim=True) / mass.where(mass != 0, 1.0)
        return to_grid(batch, (alpha.where(mass != 0, 0.0) * a).sum(1).relu(), layer)


@dataclass(frozen=True)
class LayerCAM:
    """ReLU(Σ_c ReLU(G_c) A_c), a weight for each position. Jiang et al. 2021 (IEEE TIP, doi 10.1109/TIP.2021.3089943).

    Weights are not pooled, so it also serves earlier layers with finer maps.
    """

    layer: str | None = None  # dotted name; None: the last map before the head
    objective: Objective = "logit"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "layer_cam", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        return to_grid(batch, (g.relu() * a).sum(1).relu(), layer)


@dataclass(frozen=True)
class HiResCAM:
    """ReLU(Σ_c G_c A_c), nothing pooled. Draelos and Carin 2020 (arXiv 2011.08891).

    With ``rectify=False`` and one linear layer above, pooled or not, the coarse map sums to the logit less its bias.
    """

    layer: str | None = None  # dotted name; None: the last map before the head
    rectify: bool = True  # False keeps positions that speak against the target, as negative values
    objective: Objective = "logit"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "hires_cam", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        maps = (g * a).sum(1)
        return to_grid(batch, maps.relu() if self.rectify else maps, layer)
