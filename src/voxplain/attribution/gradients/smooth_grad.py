"""Gradients at noisy copies of a clip: their mean, the mean of their squares, their variance.

Smilkov et al. 2017 (arXiv 1706.03825) for the mean; Hooker et al. 2019 (arXiv 1806.10758) for the squares; Adebayo et
al. 2018 (arXiv 1810.03292) for the variance. Letter: S samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.gradients.path import gradients_along
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

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
    """mean_i ∂s/∂x at x + n_i, n_i normal noise: the gradient without its fluctuations from voxel to voxel."""

    samples: int = 25  # the study's
    std: float = 0.15  # of the noise, in shares of max − min of the clip's input; the study's
    seed: int = 0
    objective: Objective = "logit"  # the study's networks end in softmax: "probability"
    channels: Channels = "absolute"  # "signed" is the study's sum over colours

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "smooth_grad", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        total = torch.zeros_like(batch.x, dtype=torch.float32)
        for g in _noisy_gradients(batch, self.samples, self.std, self.seed, self.objective):
            total += g
        return over_channels(total / self.samples, self.channels)


@dataclass(frozen=True)
class SmoothGradSquared:
    """mean_i (∂s/∂x at x + n_i)²: how strongly a voxel can move the score, in either direction."""

    samples: int = 25
    std: float = 0.15  # of the noise, in shares of max − min of the clip's input
    seed: int = 0
    objective: Objective = "logit"
    channels: Channels = "absolute"  # the mean over colours: squares have no sign

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "smooth_grad_squared", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        total = torch.zeros_like(batch.x, dtype=torch.float32)
        for g in _noisy_gradients(batch, self.samples, self.std, self.seed, self.objective):
            total += g.square()
        return over_channels(total / self.samples, self.channels)


@dataclass(frozen=True)
class VarGrad:
    """mean_i (g_i − ḡ)², g_i the gradient at x + n_i: where the network bends near the clip; 0 for linear networks."""

    samples: int = 25
    std: float = 0.15  # of the noise, in shares of max − min of the clip's input
    seed: int = 0
    objective: Objective = "logit"
    channels: Channels = "absolute"  # the mean over colours: variances have no sign

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "var_grad", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        # Welford's update: the difference of two large means would lose all digits where the variance is small.
        mean, spread = torch.zeros_like(batch.x, dtype=torch.float32), torch.zeros_like(batch.x, dtype=torch.float32)
        for i, g in enumerate(_noisy_gradients(batch, self.samples, self.std, self.seed, self.objective)):
            off = g - mean
            mean += off / (i + 1)
            spread += off * (g - mean)
        return over_channels(spread / self.samples, self.channels)
