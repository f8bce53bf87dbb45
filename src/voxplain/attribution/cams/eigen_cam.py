"""Eigen-CAM: the first principal direction of a layer's maps; no gradients, no class.

Muhammad and Yeasin 2020 (arXiv 2008.00299). Letters: A maps [C,P] of P = t·h·w positions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import activations, choose_layer, to_grid

__all__ = ["EigenCAM"]


@layer_alias
@dataclass(frozen=True)
class EigenCAM:
    """Eigen-CAM, v₁ᵀA with v₁ the first left singular vector of the layer's map A; no gradients.

    What the channels have most in common, whatever the target. A is not centred, as in the paper; the sign, which a
    singular vector lacks, is chosen for a positive sum.

    Parameters
    ----------
    layer : str, optional
        Dotted name of the layer; by default the last map before the head. `target_layer` is accepted as well.

    References
    ----------
    Muhammad and Yeasin 2020, Eigen-CAM, arXiv 2008.00299

    Examples
    --------
    >>> EigenCAM()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None

    @attribution_call("eigen_cam")
    def __call__(self, batch: Batch) -> Maps:
        layer = choose_layer(batch, self.layer)
        a, _ = activations(batch.model, batch.x, layer)
        return to_grid(batch, torch.stack([_first(one) for one in a]), layer)


def _first(a: Tensor) -> Tensor:
    """The projection [t,h,w] of maps [C,t,h,w] on their first principal direction."""
    rows = a.double().flatten(1)
    # The smaller of the two Gram matrices: C and P differ by orders of magnitude from layer to layer.
    wide = rows.shape[1] >= rows.shape[0]
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    line = vectors[:, -1] @ rows if wide else vectors[:, -1] * values[-1].clamp(min=0).sqrt()
    line = -line if float(line.sum()) < 0 else line
    return line.float().view(a.shape[1:])
