"""LIME and KernelSHAP: a linear model of the score over supervoxels that are shown or hidden.

Letters: M supervoxels, S samples (coalitions) z bool [S,M], 1 where a supervoxel is shown; T×H×W the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import base_input
from voxplain.attribution.perturbation.masked_clips import one_level, region_scores, region_values
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel, stack
from voxplain.segment import SLIC, Segmenter
from voxplain.video import Clip

__all__ = ["LIME", "KernelSHAP"]

REGIONS = SLIC(segments=(50,))


@dataclass(frozen=True)
class LIME:
    """Coefficients of a ridge regression of the score on which supervoxels are shown, samples near the clip first.

    Half of the supervoxels are shown in a sample, drawn one by one; its weight is exp(−d²/width²), d the cosine
    distance of z to the whole clip. Ribeiro, Singh and Guestrin 2016 (arXiv 1602.04938); numbers of its image code.
    """

    segmenter: Segmenter = REGIONS  # of one level
    samples: int = 1000  # forwards, one of them of the whole clip
    width: float = 0.25  # of the kernel, in cosine distance
    alpha: float = 1.0  # weight of the ridge penalty
    fill: str = "blur"  # what hides a voxel: mean, grey, black, blur
    objective: Objective = "logit"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that no fit can be made with."""
        if self.samples < 2 or self.width <= 0 or self.alpha < 0 or self.seed < 0:
            raise DataError(
                "expected 2 samples or more, a width above 0, alpha and seed of 0 or more, got "
                f"{self.samples}, {self.width}, {self.alpha} and {self.seed}; correct them"
            )

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "lime", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        found = []
        for clip, x, h, y in _clips(batch, self.fill):
            labels = one_level(self.segmenter, clip, "LIME")
            z = np.random.default_rng(self.seed).random((self.samples, labels.max() + 1)) < 0.5
            z[0] = True
            s = region_scores(batch.model, x, h, labels, z, y, self.objective)
            weights, r2 = self._fit(z, s)
            found.append((region_values(labels, weights), {"regions": len(weights), "r2": r2}))
        return torch.stack([m for m, _ in found]), [d for _, d in found]

    def _fit(self, z: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, float]:
        from sklearn.linear_model import Ridge

        distance = 1 - np.sqrt(z.mean(1))  # 1 − cos(z, 1): a dot product of k, norms √k and √M
        weight = np.exp(-(distance**2) / self.width**2)
        fit = Ridge(alpha=self.alpha).fit(z.astype(np.float64), s, sample_weight=weight)
        spread = np.average((s - np.average(s, weights=weight)) ** 2, weights=weight)
        return fit.coef_, float(fit.score(z, s, sample_weight=weight)) if spread > 0 else 1.0


@dataclass(frozen=True)
class KernelSHAP:
    """Shapley values of the supervoxels in the game v(z) = s(clip with the supervoxels z shown).

    The weighted regression whose solution they are, with Σφ = s(clip) − s(everything hidden) kept exactly. Where all
    2^M coalitions are within ``samples`` they are enumerated and the values exact; otherwise sizes are drawn from the
    Shapley kernel and each coalition comes with its complement. Lundberg and Lee 2017 (arXiv 1705.07874); paired
    draws from Covert and Lee 2021 (arXiv 2012.01536).
    """

    segmenter: Segmenter = REGIONS  # of one level
    samples: int = 1000  # forwards at most
    fill: str = "blur"  # what hides a voxel: mean, grey, black, blur
    objective: Objective = "logit"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be drawn with."""
        if self.samples < 2 or self.seed < 0:
            raise DataError(
                f"expected 2 samples or more and a seed of 0 or more, got {self.samples} and {self.seed}; correct them"
            )

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "kernel_shap", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
        found = []
        for clip, x, h, y in _clips(batch, self.fill):
            labels = one_level(self.segmenter, clip, "KernelSHAP")
            z, weight = coalitions(int(labels.max()) + 1, self.samples, np.random.default_rng(self.seed))
            v = region_scores(batch.model, x, h, labels, z, y, self.objective)
            values = shapley_regression(z[2:], v[2:], weight, empty=v[0], full=v[1])
            detail = {
                "regions": len(values),
                "exact": bool(2 ** len(values) <= self.samples),
                "empty": float(v[0]),
                "full": float(v[1]),
            }
            found.append((region_values(labels, values), detail))
        return torch.stack([m for m, _ in found]), [d for _, d in found]


def _clips(batch: Batch, fill: str) -> Any:
    hidden = base_input(batch.model, stack(batch.clips), fill)
    return zip(batch.clips, batch.x, hidden, batch.targets, strict=True)


def coalitions(regions: int, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """At most ``samples`` coalitions bool [S,M], the empty and the full one first, and the weights [S−2] of the rest.

    All 2^M where they fit, weighted by the Shapley kernel (M−1) / (C(M,k)·k·(M−k)), k the number shown; otherwise
    pairs of a draw from it and its complement, of equal weight.
    """
    ends = np.array([[False] * regions, [True] * regions])
    sizes = np.arange(1, regions)
    if regions < samples.bit_length():  # 2^M ≤ samples
        rest = np.array(list(product((False, True), repeat=regions)), bool)[1:-1].reshape(-1, regions)
        kernel = np.array([(regions - 1) / (comb(regions, k) * k * (regions - k)) for k in sizes.tolist()])
        return np.concatenate([ends, rest]), kernel[rest.sum(1) - 1] if len(rest) else np.zeros(0)
    chance = 1 / (sizes * (regions - sizes))
    shown = rng.choice(sizes, (samples - 2) // 2, p=chance / chance.sum())
    order = rng.random((len(shown), regions)).argsort(1).argsort(1)
    drawn = order < shown[:, None]
    rest = np.stack([drawn, ~drawn], 1).reshape(-1, regions)
    return np.concatenate([ends, rest]), np.ones(len(rest))


def shapley_regression(z: np.ndarray, v: np.ndarray, weight: np.ndarray, *, empty: float, full: float) -> np.ndarray:
    """φ [M] that minimises Σ w (v(z) − empty − z·φ)² with Σφ = full − empty.

    Raises DataError where the coalitions leave φ open.
    """
    regions = z.shape[1]
    # The last value follows from the others, which turns the constraint into a plain least-squares problem.
    rest, last = z[:, :-1].astype(np.float64), z[:, -1:].astype(np.float64)
    root = np.sqrt(weight)[:, None]
    left, right = root * (rest - last), root[:, 0] * (v - empty - last[:, 0] * (full - empty))
    phi, _, rank, _ = np.linalg.lstsq(left, right, rcond=None)
    if rank < regions - 1:
        raise DataError(
            f"expected enough samples to tell {regions} supervoxels apart, got {len(z) + 2}; "
            f"give {8 * regions} or more, or fewer supervoxels"
        )
    return np.append(phi, full - empty - phi.sum())
