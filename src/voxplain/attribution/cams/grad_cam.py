"""Maps of a layer weighted by the gradient of the score there: Grad-CAM and its relatives, in 3D.

Letters: A activations and G = ∂s/∂A of a layer, [N,C,t,h,w]; α weights. The coarse maps [N,t,h,w] are upsampled to
the grid, trilinear.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import MapLayer, activations_and_gradients, choose_layer, to_grid
from voxplain.errors import DataError
from voxplain.model import Objective

__all__ = ["GradCAM", "HiResCAM", "LayerCAM", "Pooling", "XGradCAM", "pooled_axes"]

Pooling = Literal["global", "per_frame"]  # of weights: over t, h, w; or over h, w of each temporal slice separately

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


@layer_alias
@dataclass(frozen=True)
class GradCAM:
    """Grad-CAM, ReLU(Σ_c α_c A_c) with α_c the mean of ∂s/∂A_c over positions; upsampled to the grid.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.
    pooling : {"global", "per_frame"}
        Positions that weights are averaged over: "global" over t, h, w, as for images; "per_frame" over h, w of each
        temporal slice, as in the video attribution study.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".

    References
    ----------
    Selvaraju et al. 2017, Grad-CAM, arXiv 1610.02391

    Examples
    --------
    >>> GradCAM()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    pooling: Pooling = "global"
    objective: Objective = "logit"

    @attribution_call("grad_cam")
    def __call__(self, batch: Batch) -> Maps:
        axes = pooled_axes(self.pooling)
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        return to_grid(batch, (g.mean(axes, keepdim=True) * a).sum(1).relu(), layer)


@layer_alias
@dataclass(frozen=True)
class XGradCAM:
    """XGrad-CAM, ReLU(Σ_c α_c A_c) with α_c = Σ A_c G_c / Σ A_c over positions, G = ∂s/∂A; upsampled to the grid.

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
    Fu et al. 2020, Axiom-based Grad-CAM, arXiv 2008.02312

    Examples
    --------
    >>> XGradCAM()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    pooling: Pooling = "global"
    objective: Objective = "logit"

    @attribution_call("xgrad_cam")
    def __call__(self, batch: Batch) -> Maps:
        axes = pooled_axes(self.pooling)
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        mass = a.sum(axes, keepdim=True)
        # A channel without activation adds nothing, whatever its weight.
        alpha = (a * g).sum(axes, keepdim=True) / mass.where(mass != 0, 1.0)
        return to_grid(batch, (alpha.where(mass != 0, 0.0) * a).sum(1).relu(), layer)


@layer_alias
@dataclass(frozen=True)
class LayerCAM:
    """Layer-CAM, ReLU(Σ_c ReLU(G_c) A_c) with G = ∂s/∂A; upsampled to the grid.

    Weights are not pooled, so that it is also of use at earlier layers with finer maps.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Jiang et al. 2021, LayerCAM, IEEE TIP, doi 10.1109/TIP.2021.3089943

    Examples
    --------
    >>> LayerCAM()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    objective: Objective = "logit"

    @attribution_call("layer_cam")
    def __call__(self, batch: Batch) -> Maps:
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        return to_grid(batch, (g.relu() * a).sum(1).relu(), layer)


@layer_alias
@dataclass(frozen=True)
class HiResCAM:
    """HiResCAM, ReLU(Σ_c G_c A_c) with G = ∂s/∂A, nothing pooled; upsampled to the grid.

    With ``rectify=False`` and one linear layer above, pooled or not, the map before upsampling sums to the logit less
    its bias.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.
    rectify : bool
        Set negative values, positions that lower the score, to 0.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM, arXiv 2011.08891

    Examples
    --------
    >>> HiResCAM()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    rectify: bool = True
    objective: Objective = "logit"

    @attribution_call("hires_cam")
    def __call__(self, batch: Batch) -> Maps:
        a, g, layer = _maps_of(batch, self.layer, self.objective)
        maps = (g * a).sum(1)
        return to_grid(batch, maps.relu() if self.rectify else maps, layer)
