"""Gradients of the class score with respect to the input, plain and times the input.

Simonyan et al. 2013 (arXiv 1312.6034); Shrikumar et al. 2016 (arXiv 1605.01713) for the product.
"""

from dataclasses import dataclass

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import gradient
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.model import Objective

__all__ = ["Gradient", "InputXGradient"]


@dataclass(frozen=True)
class Gradient:
    """Gradient of the class score with respect to the input, ∂s/∂x.

    A large value means that a small change of the voxel changes the score s strongly.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Simonyan, Vedaldi and Zisserman 2013, Deep inside convolutional networks, arXiv 1312.6034

    Examples
    --------
    >>> Gradient()(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("gradient")
    def __call__(self, batch: Batch) -> Maps:
        return over_channels(gradient(batch.model, batch.x, batch.targets, self.objective), self.channels)


@dataclass(frozen=True)
class InputXGradient:
    """Input times gradient, x·∂s/∂x.

    The first-order contribution of each voxel to the score s, relative to an input of zeros (the mean colour).

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Shrikumar et al. 2016, Not just a black box, arXiv 1605.01713

    Examples
    --------
    >>> InputXGradient()(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("input_x_gradient")
    def __call__(self, batch: Batch) -> Maps:
        g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(batch.x.float() * g, self.channels)
