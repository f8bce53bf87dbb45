"""Class activation mapping in 3D, known as Saliency Tubes: the head's own weights on the maps that it pools.

Zhou et al. 2016 (arXiv 1512.04150); Stergiou et al. 2019 (arXiv 1902.01078) for video. Letters: A maps [N,C,t,h,w],
w the head's weights [K,C].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import MapLayer, activations, choose_layer, head_call, to_grid, traced
from voxplain.errors import ModelError
from voxplain.model.target import column_weights

__all__ = ["CAM"]

# How far the logits computed again may be from the network's, in shares of the largest; coarse types round more.
TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}
COARSE = 0.05

ADVICE = "CAM needs a global average pool and one linear layer as the last steps: use grad_cam for other heads"


@layer_alias
@dataclass(frozen=True)
class CAM:
    """Class activation mapping, Σ_c w_yc A_c, known for video as Saliency Tubes; upsampled to the grid.

    For networks that end in a global average pool and one linear layer (or 1×1×1 convolutions whose outputs are
    averaged), which is checked by computing the logits again from the map; raises ModelError for others. The mean of
    the map before upsampling is the logit less its bias.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the map that is pooled; by default the last map before the head. `target_layer` is accepted as
        well.
    rectify : bool
        Set negative values, positions that lower the score, to 0, as Grad-CAM does.

    References
    ----------
    Zhou et al. 2016, Learning deep features for discriminative localization, arXiv 1512.04150
    Stergiou et al. 2019, Saliency Tubes, arXiv 1902.01078

    Examples
    --------
    >>> CAM()(model, clip).details["head"]
    'head'
    """

    layer: str | None = None
    rectify: bool = False

    @attribution_call("cam")
    def __call__(self, batch: Batch) -> Maps:
        found = traced(batch)
        index = head_call(found, found.output.shape[1])
        if index is None:
            raise ModelError(
                f"expected a last linear layer with an output for each of {found.output.shape[1]} classes, got none; "
                + ADVICE
            )
        head = found.calls[index]
        layer = choose_layer(batch, self.layer, found)
        a, z = activations(batch.model.widened(), batch.x, layer)
        weights = _checked_weights(head.module, a, z, layer, head.name)
        rows = [torch.from_numpy(column_weights(batch.model, y, len(weights))).to(a.device) for y in batch.targets]
        maps = torch.einsum("nc,ncthw->nthw", torch.stack(rows) @ weights, a)
        values, details = to_grid(batch, maps.relu() if self.rectify else maps, layer)
        return values, [{**d, "head": head.name} for d in details]


def _checked_weights(head: nn.Module, a: Tensor, z: Tensor, layer: MapLayer, name: str) -> Tensor:
    """The head's weights [K,C], once they have given the network's logits from the mean of the maps."""
    w, bias = head.get_parameter("weight"), getattr(head, "bias", None)
    weights = w.detach().float().flatten(1)
    if weights.shape[1] != a.shape[1]:
        raise ModelError(
            f"expected {weights.shape[1]} channels from layer {layer.name!r}, as {name!r} takes, got {a.shape[1]}; "
            + ADVICE
        )
    again = a.mean((2, 3, 4)) @ weights.T
    again = again if bias is None else again + bias.detach().float()
    off = float((again - z).abs().max() / z.abs().max().clamp(min=1e-12))
    if off > TOLERANCE.get(w.dtype, COARSE):
        raise ModelError(
            f"expected the logits to be {name!r} of the mean of layer {layer.name!r}, got others ({off:.2g} of the "
            f"largest away); name the map that is pooled as layer=…; {ADVICE}"
        )
    return weights
