"""Eigen-CAM: the first principal direction of a layer's maps; no gradients, no class.

Muhammad and Yeasin 2020 (arXiv 2008.00299). Letters: A maps [C,P] of P = t·h·w positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voxplain.attribution.cams.map_layer import activations, choose_layer, to_grid
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["EigenCAM"]


@dataclass(frozen=True)
class EigenCAM:
    """v₁ᵀA, v₁ the first left singular vector of A: what the channels have most in common, whatever the target.

    A is not centred, as in the paper; the sign, which a singular vector lacks, is that of a positive sum.
    """

    layer: str | None = None  # dotted name; None: the last map before the head

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; ModelError where the layer has no map over space."""
        return attribute(self, "eigen_cam", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
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
