"""Rate-distortion maps by Frank–Wolfe: the voxels that keep the score when all others are noise.

Letters: T×H×W the network's grid, V voxels, s [T,H,W] the relevance of each voxel in 0–1, n noise, x the clip.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.masks.clip_by_clip import clip_by_clip
from voxplain.attribution.masks.mask_descent import check_field, network_loss
from voxplain.attribution.passes import score, scores
from voxplain.model import Objective, VideoModel

__all__ = ["RateDistortion"]


@dataclass(frozen=True)
class RateDistortion:
    """Rate-distortion explanation: mean over rates k of the s that minimises E[(f(x) − f(s·x + (1−s)·n))²], Σs ≤ k·V.

    Found by Frank–Wolfe: each iteration moves s a part 2/(t+2) of the way to the corner of the allowed set that the
    gradient points to, which is 1 in the k·V voxels of most negative gradient and 0 elsewhere (0 where the gradient is
    not negative). So s is sparse without a penalty, and the mean over rates orders all voxels. n has independent
    normal values around the mean colour. One backward pass a sample and iteration.

    Parameters
    ----------
    rates : tuple of float
        k, shares of the voxels that may be kept.
    iterations : int
        Of Frank–Wolfe, for each rate.
    samples : int
        Draws of the noise an iteration.
    noise : float
        Standard deviation of n in those of the normalised input.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of the noise.

    References
    ----------
    Macdonald, Wäldchen, Hauch and Kutyniok 2019, A rate-distortion framework for explaining neural network decisions,
        arXiv 1905.11092
    Macdonald, Besançon and Pokutta 2022, Interpretable neural networks with Frank–Wolfe: sparse relevance maps and
        relevance orderings, arXiv 2110.08105

    Examples
    --------
    >>> RateDistortion(rates=(0.1,), iterations=2, samples=1)(model, clip).shape
    (8, 32, 32)
    """

    rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    iterations: int = 30
    samples: int = 4
    noise: float = 1.0
    objective: Objective = "log_odds"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        rates = len(self.rates) > 0 and all(0 < k < 1 for k in self.rates)
        check_field(rates, "rates between 0 and 1, one or more", self.rates)
        check_field(min(self.iterations, self.samples) >= 1, "1 iteration and 1 sample or more", self)
        check_field(self.noise >= 0, "noise of 0 or more", self.noise)

    @attribution_call("rate_distortion")
    def __call__(self, batch: Batch) -> Maps:
        return clip_by_clip(batch, self._one)

    def _one(self, model: VideoModel, x: Tensor, target: int) -> tuple[Tensor, Details]:
        """The map [1,T,H,W] of one clip [1,3,T,H,W], and the last distortion at each rate."""
        aim = scores(model, x, [target], self.objective).to(x.device)
        orders, distortions = [], []
        for k in self.rates:
            generator = torch.Generator().manual_seed(self.seed)
            kept = max(1, round(k * x[0, 0].numel()))
            s = torch.zeros(1, *x.shape[2:], device=x.device)
            for t in range(self.iterations):
                distortion, slope = self._distortion(model, x, s, target, aim, generator)
                s = frank_wolfe_step(s, slope, kept, t)
            orders.append(s)
            distortions.append(distortion)
        return torch.stack(orders).mean(0), {"rates": list(self.rates), "distortions": distortions}

    def _distortion(
        self, model: VideoModel, x: Tensor, s: Tensor, target: int, aim: Tensor, generator: torch.Generator
    ) -> tuple[float, Tensor]:
        """Mean over draws of (f(x) − f(s·x + (1−s)·n))², and its gradient with respect to s."""
        leaf = s.clone().requires_grad_(True)
        total: Tensor = torch.zeros(1, device=x.device)
        for _ in range(self.samples):
            n = self.noise * torch.randn(x.shape, generator=generator).to(x.device)
            mixed = leaf[:, None] * x + (1 - leaf[:, None]) * n
            total = total + network_loss(model, mixed, [target], lambda z, y: (score(z, y, self.objective) - aim) ** 2)
        mean = total.sum() / self.samples
        (slope,) = torch.autograd.grad(mean, leaf)
        return float(mean.detach()), slope


def frank_wolfe_step(s: Tensor, slope: Tensor, kept: int, iteration: int) -> Tensor:
    """The next point: s and the best corner of {0 ≤ v ≤ 1, Σv ≤ kept} for that slope, by the usual weights."""
    corner = torch.zeros_like(s).flatten()
    order = torch.sort(slope.flatten(), stable=True).indices[:kept]  # ties go to the first
    corner[order] = (slope.flatten()[order] < 0).to(s)
    part = 2 / (iteration + 2)
    return s + part * (corner.view_as(s) - s)
