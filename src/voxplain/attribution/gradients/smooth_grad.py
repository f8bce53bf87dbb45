"""Gradients at noisy copies of a clip: their mean, the mean of their squares, their variance.

Smilkov et al. 2017 (arXiv 1706.03825) for the mean; Hooker et al. 2019 (arXiv 1806.10758) for the squares; Adebayo et
al. 2018 (arXiv 1810.03292) for the variance. Letter: S samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gradients.path import gradients_along
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective

__all__ = ["SmoothGrad", "SmoothGradSquared", "VarGrad", "noise"]


def noise(shape: tuple[int, ...], seed: int, sample: int) -> Tensor:
    """Standard normal noise of one sample, float32 on the CPU: the same for every clip, so batches change nothing."""
    return torch.from_numpy(np.random.default_rng((seed, sample)).standard_normal(shape, dtype=np.float32))


def _noisy_gradients(batch: Batch, samples: int, std: float, seed: int, objective: Objective) -> Iterator[Tensor]:
    """S gradients [N,3,T,H,W] at x + noise; ``std`` in shares of each clip's range, max − min of x."""
    if samples < 1 or std < 0:
        raise DataError(f"expected 1 sample or more and a std of 0 or more, got {samples} and {std}")
    x = batch.x.float()
    low, high = x.flatten(1).amin(1), x.flatten(1).amax(1)
    scale = (std * (high - low)).view(-1, 1, 1, 1, 1)
    points = (x + scale * noise(tuple(x.shape[1:]), seed, i).to(x.device) for i in range(samples))
    return gradients_along(batch.model, points, batch.targets, objective)


@dataclass(frozen=True)
class SmoothGrad:
    """SmoothGrad, the mean gradient over noisy copies of the clip, mean_i ∂s/∂x at x + n_i.

    The noise is normal; averaging removes the fluctuations of the gradient from voxel to voxel.

    Parameters
    ----------
    samples : int
        Noisy copies; 25 in the video attribution study.
    std : float
        Of the noise, as a share of max − min of the clip's input; 0.15 in the study.
    seed : int
        Of the random draws.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum. The study takes "signed".

    References
    ----------
    Smilkov et al. 2017, SmoothGrad, arXiv 1706.03825

    Examples
    --------
    >>> SmoothGrad(samples=3)(model, clip).shape
    (8, 32, 32)
    """

    samples: int = 25
    std: float = 0.15
    seed: int = 0
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("smooth_grad")
    def __call__(self, batch: Batch) -> Maps:
        total = torch.zeros_like(batch.x, dtype=torch.float32)
        for g in _noisy_gradients(batch, self.samples, self.std, self.seed, self.objective):
            total += g
        return over_channels(total / self.samples, self.channels)


@dataclass(frozen=True)
class SmoothGradSquared:
    """Squared SmoothGrad, mean_i (∂s/∂x at x + n_i)².

    Mean squared gradient over noisy copies of the clip: how strongly a voxel can change the score, in either direction.

    Parameters
    ----------
    samples : int
        Noisy copies.
    std : float
        Of the noise, as a share of max − min of the clip's input.
    seed : int
        Of the random draws.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; squares have no sign.

    References
    ----------
    Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks, arXiv 1806.10758

    Examples
    --------
    >>> SmoothGradSquared(samples=3)(model, clip).shape
    (8, 32, 32)
    """

    samples: int = 25
    std: float = 0.15
    seed: int = 0
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("smooth_grad_squared")
    def __call__(self, batch: Batch) -> Maps:
        total = torch.zeros_like(batch.x, dtype=torch.float32)
        for g in _noisy_gradients(batch, self.samples, self.std, self.seed, self.objective):
            total += g.square()
        return over_channels(total / self.samples, self.channels)


@dataclass(frozen=True)
class VarGrad:
    """VarGrad, the variance of the gradient over noisy copies of the clip, mean_i (g_i − ḡ)².

    g_i is the gradient at x + n_i. The value is high where the network is not linear near the clip, and 0 for a linear
    network.

    Parameters
    ----------
    samples : int
        Noisy copies.
    std : float
        Of the noise, as a share of max − min of the clip's input.
    seed : int
        Of the random draws.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; variances have no sign.

    References
    ----------
    Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292

    Examples
    --------
    >>> VarGrad(samples=3)(model, clip).shape
    (8, 32, 32)
    """

    samples: int = 25
    std: float = 0.15
    seed: int = 0
    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("var_grad")
    def __call__(self, batch: Batch) -> Maps:
        # Welford's update: the difference of two large means would lose all digits where the variance is small.
        mean, spread = torch.zeros_like(batch.x, dtype=torch.float32), torch.zeros_like(batch.x, dtype=torch.float32)
        for i, g in enumerate(_noisy_gradients(batch, self.samples, self.std, self.seed, self.objective)):
            off = g - mean
            mean += off / (i + 1)
            spread += off * (g - mean)
        return over_channels(spread / self.samples, self.channels)
