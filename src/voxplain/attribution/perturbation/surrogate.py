"""LIME and KernelSHAP: a linear model of the score over supervoxels that are visible or hidden.

Letters: M supervoxels, S samples (coalitions) z bool [S,M], 1 where a supervoxel is visible; T×H×W the grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import base_input
from voxplain.attribution.perturbation.masked_clips import one_level, region_scores, region_values
from voxplain.errors import DataError
from voxplain.model import Objective, stack
from voxplain.segment import SLIC, Segmenter
from voxplain.video import Clip

__all__ = ["LIME", "KernelSHAP"]

REGIONS = SLIC(segments=(50,))


@dataclass(frozen=True)
class LIME:
    """LIME: coefficients of a ridge regression of the score on which supervoxels are visible.

    Half of the supervoxels are visible in a sample, drawn one by one; its weight is exp(−d²/width²), d the cosine
    distance to the whole clip. The numbers are those of the authors' code for images.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the supervoxels, of one level.
    samples : int
        Forward passes, one of them of the whole clip.
    width : float
        Of the kernel, in cosine distance.
    alpha : float
        Weight of the ridge penalty.
    fill : str
        What hides a voxel: an entry of `FILLS`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    seed : int
        Of the random draws.

    References
    ----------
    Ribeiro, Singh and Guestrin 2016, "Why should I trust you?", arXiv 1602.04938

    Examples
    --------
    >>> LIME(vx.SLIC(segments=(6,)), samples=30)(model, clip).shape
    (8, 32, 32)
    """

    segmenter: Segmenter = REGIONS
    samples: int = 1000
    width: float = 0.25
    alpha: float = 1.0
    fill: str = "blur"
    objective: Objective = "logit"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.samples < 2 or self.width <= 0 or self.alpha < 0 or self.seed < 0:
            raise DataError(
                "expected 2 samples or more, a width above 0, alpha and seed of 0 or more, got "
                f"{self.samples}, {self.width}, {self.alpha} and {self.seed}; correct them"
            )

    @attribution_call("lime")
    def __call__(self, batch: Batch) -> Maps:
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
    """Kernel SHAP: Shapley values of the supervoxels in the game v(z) = s(clip with the supervoxels z visible).

    A weighted regression whose solution they are, with Σφ = s(clip) − s(everything hidden) exactly. Where all 2^M
    coalitions are within ``samples`` they are enumerated and the values exact; otherwise sizes are drawn from the
    Shapley kernel and each coalition is paired with its complement.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the supervoxels, of one level.
    samples : int
        Forward passes at most.
    fill : str
        What hides a voxel: an entry of `FILLS`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    seed : int
        Of the random draws.

    References
    ----------
    Lundberg and Lee 2017, A unified approach to interpreting model predictions, arXiv 1705.07874
    Covert and Lee 2021, Improving KernelSHAP, arXiv 2012.01536 (paired draws)

    Examples
    --------
    >>> KernelSHAP(vx.SLIC(segments=(4,)), samples=64)(model, clip).shape
    (8, 32, 32)
    """

    segmenter: Segmenter = REGIONS
    samples: int = 1000
    fill: str = "blur"
    objective: Objective = "logit"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.samples < 2 or self.seed < 0:
            raise DataError(
                f"expected 2 samples or more and a seed of 0 or more, got {self.samples} and {self.seed}; correct them"
            )

    @attribution_call("kernel_shap")
    def __call__(self, batch: Batch) -> Maps:
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


def _clips(batch: Batch, fill: str) -> Iterator[tuple[Clip, Tensor, Tensor, int]]:
    hidden = base_input(batch.model, stack(batch.clips), fill)
    return zip(batch.clips, batch.x, hidden, batch.targets, strict=True)


def coalitions(regions: int, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """At most ``samples`` coalitions bool [S,M], the empty and the full one first, and the weights [S−2] of the rest.

    All 2^M where they fit, weighted by the Shapley kernel (M−1) / (C(M,k)·k·(M−k)), k the visible ones; otherwise
    pairs of a draw from it and its complement, of equal weight.
    """
    ends = np.array([[False] * regions, [True] * regions])
    sizes = np.arange(1, regions)
    if regions < samples.bit_length():  # 2^M ≤ samples
        rest = np.array(list(product((False, True), repeat=regions)), bool)[1:-1].reshape(-1, regions)
        kernel = np.array([(regions - 1) / (comb(regions, k) * k * (regions - k)) for k in sizes.tolist()])
        return np.concatenate([ends, rest]), kernel[rest.sum(1) - 1] if len(rest) else np.zeros(0)
    chance = 1 / (sizes * (regions - sizes))
    sizes_drawn = rng.choice(sizes, (samples - 2) // 2, p=chance / chance.sum())
    order = rng.random((len(sizes_drawn), regions)).argsort(1).argsort(1)
    drawn = order < sizes_drawn[:, None]
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
            f"expected enough samples for {regions} supervoxels, got {len(z) + 2}; "
            f"give {8 * regions} or more, or fewer supervoxels"
        )
    return np.append(phi, full - empty - phi.sum())
