"""Linear approximation: activation times gradient at any layer, summed over channels.

Olah et al. 2018 (Distill, The Building Blocks of Interpretability, doi 10.23915/distill.00010); the video attribution
study uses it at the input.
"""

from dataclasses import dataclass

from voxplain.attribution.call import Batch, Maps, attribution_call, layer_alias
from voxplain.attribution.cams.map_layer import activations_and_gradients, choose_layer, to_grid
from voxplain.attribution.passes import gradient
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.model import Objective

__all__ = ["LinearApproximation"]


@layer_alias
@dataclass(frozen=True)
class LinearApproximation:
    """Linear approximation, Σ_c A_c · ∂s/∂A_c at a layer A, upsampled to the grid.

    The first-order contribution of each position to the score. At the input this is `InputXGradient` before the
    absolute value is taken: colours of unlike sign cancel.

    Parameters
    ----------
    layer : str, optional
        Dotted name of a layer with a map over space; by default the input, as in the video attribution study.
        `target_layer` is accepted as well.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Applied to the sum over channels: an entry of `CHANNELS`; "signed" keeps it.

    References
    ----------
    Olah et al. 2018, The building blocks of interpretability, doi 10.23915/distill.00010

    Examples
    --------
    >>> LinearApproximation()(model, clip).shape
    (8, 32, 32)
    """

    layer: str | None = None
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("linear_approximation")
    def __call__(self, batch: Batch) -> Maps:
        if self.layer is None:
            a, g = batch.x.float(), gradient(batch.model, batch.x, batch.targets, self.objective)
            return over_channels((a * g).sum(1, keepdim=True), self.channels), [{"layer": "input"} for _ in batch.clips]
        layer = choose_layer(batch, self.layer)
        a, g = activations_and_gradients(batch.model, batch.x, batch.targets, self.objective, layer)
        return to_grid(batch, over_channels((a * g).sum(1, keepdim=True), self.channels), layer)
