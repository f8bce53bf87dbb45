"""Linear approximation: activation times gradient at any layer, summed over channels.

Olah et al. 2018 (Distill, The Building Blocks of Interpretability, doi 10.23915/distill.00010); the video attribution
study uses it at the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from voxplain.attribution.cams.map_layer import activations_and_gradients, choose_layer, to_grid
from voxplain.attribution.passes import gradient
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["LinearApproximation"]


@dataclass(frozen=True)
class LinearApproximation:
    """Σ_c A_c · ∂s/∂A_c at a layer A: the first-order share of each position in the score; upsampled to the grid.

    At the input this is InputXGradient before the absolute value is taken: colours of unlike sign cancel.
    """

    layer: str | None = None  # dotted name of a layer with a map over space; None: the input, as in the study
    objective: Objective = "logit"  # the study's networks end in softmax: "probability"
    channels: Channels = "absolute"  # of the sum over channels; "signed" keeps it

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "linear_approximation", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        if self.layer is None:
            a, g = batch.x.float(), gradient(batch.model, batch.x, batch.targets, self.objective)
            return over_channels((a * g).sum(1, keepdim=True), self.channels), [{"layer": "input"} for _ in batch.clips]
        layer = choose_layer(batch, self.layer)
        a, g = activations_and_gradients(batch.model, batch.x, batch.targets, self.objective, layer)
        return to_grid(batch, over_channels((a * g).sum(1, keepdim=True), self.channels), layer)
