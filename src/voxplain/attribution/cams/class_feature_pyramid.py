"""Class feature pyramids: from the weights of a class back to the channels, layer by layer, that feed it.

Letters: N clips, C channels, t×h×w the positions of a map, T×H×W the network's grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voxplain.attribution.cams.convolution_chain import Chain, follow
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import upsample
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["ClassFeaturePyramid"]


@dataclass(frozen=True)
class ClassFeaturePyramid:
    """Sum over layers of the activations of the channels that a class depends on, enlarged to the clip.

    Last layer: channels whose weight for the class, scaled from least to largest into 0–1, reaches θ. Every selected
    kernel k then selects the channels j of its own input by the scaled (mean of W_kj)·(mean of A_j), and so on down
    to ``depth``. The selected maps of a layer are summed and divided by their maximum, because activations of
    different layers have no common scale. ``details["channels"]`` holds the selection, last layer first. Networks
    only whose kernels follow one another; a layer that adds or joins branches is refused.
    Stergiou, Kapidis, Kalliatakis et al. 2019 (arXiv 1909.08611).
    """

    depth: int = 3  # layers, counted from the last
    theta: float = 0.6  # 0.55 to 0.65 in the paper, by network

    def __post_init__(self) -> None:
        """Refuse numbers that select nothing."""
        if self.depth < 1 or not 0 <= self.theta <= 1:
            raise DataError(
                f"expected a depth of 1 or more and theta from 0 to 1, got {self.depth} and {self.theta}; correct them"
            )

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "class_feature_pyramid", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        maps, details = [], []
        for x, target in zip(batch.x, batch.targets, strict=True):
            chain = follow(batch.model, x, self.depth)  # one clip at a time: the tape holds every activation
            chosen = self._channels(chain, target)
            total = torch.zeros(batch.model.grid)
            for channels, activation in zip(chosen, chain.maps, strict=True):
                tube = upsample(activation[channels].float().sum(0)[None], batch.model.grid)[0].cpu()
                total += tube / tube.abs().max().clamp(min=1e-12)
            maps.append(total)
            details.append({"channels": [c.tolist() for c in chosen]})
        return torch.stack(maps), details

    def _channels(self, chain: Chain, target: int) -> list[Tensor]:
        """The selected channels of each layer, last layer first."""
        if target >= len(chain.head):
            raise ModelError(f"expected a class index from 0 to {len(chain.head) - 1}, got {target}; choose one")
        chosen = [self._kept(chain.head[target])]
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
