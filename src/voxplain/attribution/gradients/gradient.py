"""Gradients of the class score with respect to the input, plain and times the input.

Simonyan et al. 2013 (arXiv 1312.6034); Shrikumar et al. 2016 (arXiv 1605.01713) for the product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from voxplain.attribution.passes import gradient
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["Gradient", "InputXGradient"]


@dataclass(frozen=True)
class Gradient:
    """∂s/∂x, s the objective: how strongly an infinitesimal change of a voxel changes the score."""

    objective: Objective = "logit"  # the study's networks end in softmax: "probability"
    channels: Channels = "absolute"  # mean of the absolute values over colours, as in the study

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "gradient", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        return over_channels(gradient(batch.model, batch.x, batch.targets, self.objective), self.channels)


@dataclass(frozen=True)
class InputXGradient:
    """x·∂s/∂x: the first-order share of each voxel in the score, against an input of zeros (the mean colour)."""

    objective: Objective = "logit"
    channels: Channels = "absolute"

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "input_x_gradient", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(batch.x.float() * g, self.channels)
