"""Class feature pyramids: from the weights of a class back to the channels, layer by layer, that feed it.

Letters: N clips, C channels, t×h×w the positions of a map, T×H×W the network's grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.cams.convolution_chain import Chain, follow
from voxplain.attribution.reduce import upsample
from voxplain.errors import DataError
from voxplain.model.target import column_weights

__all__ = ["ClassFeaturePyramid"]


@dataclass(frozen=True)
class ClassFeaturePyramid:
    """Class feature pyramids: activations of the channels that a class depends on, summed over layers.

    In the last layer, the channels whose weight for the class, scaled to 0–1, reaches θ are selected. Every selected
    kernel k then selects the channels j of its own input by the scaled (mean of W_kj)·(mean of A_j), and so on down to
    ``depth``. The selected maps of a layer are summed and divided by their maximum, because activations of different
    layers have no common scale. ``details["channels"]`` holds the selection, last layer first. For networks whose
    convolutions follow one another; raises ModelError for branches.

    Parameters
    ----------
    depth : int
        Layers, counted from the last.
    theta : float
        Threshold; 0.55 to 0.65 in the paper, by network.

    References
    ----------
    Stergiou, Kapidis, Kalliatakis et al. 2019, Class feature pyramids for video explanation, arXiv 1909.08611

    Examples
    --------
    >>> ClassFeaturePyramid(depth=2)(model, clip).shape
    (8, 32, 32)
    """

    depth: int = 3
    theta: float = 0.6

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.depth < 1 or not 0 <= self.theta <= 1:
            raise DataError(
                f"expected a depth of 1 or more and theta from 0 to 1, got {self.depth} and {self.theta}; correct them"
            )

    @attribution_call("class_feature_pyramid")
    def __call__(self, batch: Batch) -> Maps:
        maps, details = [], []
        for x, target in zip(batch.x, batch.targets, strict=True):
            chain = follow(batch.model.widened(), x, self.depth)  # one clip at a time: the tape holds every activation
            row = torch.from_numpy(column_weights(batch.model, target, len(chain.head))).to(chain.head.device)
            chosen = self._channels(chain, row @ chain.head)
            total = torch.zeros(batch.model.grid)
            for channels, activation in zip(chosen, chain.maps, strict=True):
                tube = upsample(activation[channels].float().sum(0)[None], batch.model.grid)[0].cpu()
                total += tube / tube.abs().max().clamp(min=1e-12)
            maps.append(total)
            details.append({"channels": [c.tolist() for c in chosen]})
        return torch.stack(maps), details

    def _channels(self, chain: Chain, weights: Tensor) -> list[Tensor]:
        """The selected channels of each layer, last layer first; ``weights`` [C] of the score in the last one."""
        chosen = [self._kept(weights)]
        for kernel, below in zip(chain.kernels, chain.maps[1:], strict=True):
            strength = below.float().flatten(1).mean(1)
            rows = [self._kept(kernel[k] * strength) for k in chosen[-1].tolist()]
            chosen.append(torch.cat(rows).unique())
        return chosen

    def _kept(self, values: Tensor) -> Tensor:
        """Indices of the values that, scaled into 0–1, reach θ; the paper's division by their sum cancels there."""
        spread = values.max() - values.min()
        scaled = (values - values.min()) / spread if spread > 0 else torch.ones_like(values)
        return torch.nonzero(scaled >= self.theta).flatten()
