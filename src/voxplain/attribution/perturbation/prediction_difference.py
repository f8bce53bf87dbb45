"""Prediction difference analysis: the change of the prediction when the content of a window is not known.

Letters: W windows, R samples of a window's content, K classes, T×H×W the grid.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import logits, score, scores
from voxplain.attribution.perturbation.masked_clips import Corner, Sides, batch_slices, box, cuboids
from voxplain.errors import DataError
from voxplain.model import VideoModel

__all__ = ["PredictionDifference"]

TRIES = 64  # places drawn for each that is used


@dataclass(frozen=True)
class PredictionDifference:
    """Prediction difference analysis, the weight of evidence log₂ odds(y|x) − log₂ odds(y|x without a window).

    The mean over the windows on a voxel. The window's content is replaced by R samples and the probabilities are
    averaged, p(y|x without it) = Σ_r p(y|x, window = r) / R; they are Laplace-corrected, p ← (pN+1)/(N+K). The paper
    draws samples from a Gaussian over small patches fitted to a data set; here a window is filled with what is in other
    places of the same clip, disjoint from it.

    Parameters
    ----------
    window : 3 numbers
        Sides along t, y, x: floats are shares of the clip's side, whole numbers voxels.
    stride : 3 numbers, optional
        Step along t, y, x, given in the same way; by default half a window.
    samples : int
        R, forward passes a window (676 windows by default); 10 in the paper.
    sampling : {"conditional", "marginal"}
        "conditional": from neighbours at most one window away; "marginal": from any place.
    laplace : int
        N; in the paper the number of training pictures, about a million for ImageNet.
    seed : int
        Of the random draws.

    References
    ----------
    Zintgraf, Cohen, Adel and Welling 2017, Visualizing deep neural network decisions, arXiv 1702.04595

    Examples
    --------
    >>> PredictionDifference((0.25, 0.25, 0.25), (0.25, 0.25, 0.25), samples=1)(model, clip).shape
    (8, 32, 32)
    """

    window: Sides = (0.25, 0.15, 0.15)
    stride: Sides | None = (0.25, 0.075, 0.075)
    samples: int = 4
    sampling: Literal["conditional", "marginal"] = "conditional"
    laplace: int = 1_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.samples < 1 or self.laplace < 1 or self.seed < 0:
            raise DataError(
                "expected samples and laplace of 1 or more and a seed of 0 or more, got "
                f"{self.samples}, {self.laplace} and {self.seed}; correct them"
            )
        if self.sampling not in ("conditional", "marginal"):
            raise DataError(f"expected sampling to be conditional or marginal, got {self.sampling!r}; choose one")

    @attribution_call("prediction_difference")
    def __call__(self, batch: Batch) -> Maps:
        size, corners = cuboids(batch.model.grid, self.window, self.stride)
        rng = np.random.default_rng(self.seed)
        # The same places for every clip: one draw for each window.
        sources = [places(batch.model.grid, size, corner, self.sampling, self.samples, rng) for corner in corners]
        z = logits(batch.model, batch.x)
        known = self._log_odds(score(z, batch.targets, "probability"), z.shape[1])
        maps = []
        for x, y, full in zip(batch.x, batch.targets, known.tolist(), strict=True):
            left = self._log_odds(self._without(batch.model, x, y, size, corners, sources), z.shape[1])
            total, count = torch.zeros(2, *batch.model.grid, dtype=torch.float64)
            for corner, value in zip(corners, left.tolist(), strict=True):
                total[box(corner, size)] += full - value
                count[box(corner, size)] += 1
            maps.append(total / count)
        return torch.stack(maps)

    def _without(
        self, model: VideoModel, x: Tensor, y: int, size: Corner, corners: list[Corner], sources: list[list[Corner]]
    ) -> Tensor:
        """p(y|x without it) of each window, [W]."""
        pairs = [(corner, source) for corner, found in zip(corners, sources, strict=True) for source in found]
        found = []
        for part in batch_slices(len(pairs), model.pass_size):
            pictures = x.repeat(len(pairs[part]), 1, 1, 1, 1)
            for picture, (corner, source) in zip(pictures, pairs[part], strict=True):
                picture[(slice(None), *box(corner, size))] = x[(slice(None), *box(source, size))]
            found.append(scores(model, pictures, [y] * len(pictures), "probability").cpu())
        return torch.cat(found).reshape(len(corners), self.samples).mean(1)

    def _log_odds(self, p: Tensor, classes: int) -> Tensor:
        if classes == 1:  # a quantity in its own unit
            return p.double()
        corrected = (p.double() * self.laplace + 1) / (self.laplace + classes)
        return (torch.log(corrected) - torch.log1p(-corrected)) / math.log(2)


def places(
    grid: Corner, size: Corner, corner: Corner, sampling: str, samples: int, rng: np.random.Generator
) -> list[Corner]:
    """First corners of ``samples`` windows disjoint from the one at ``corner``; near ones where conditional.

    Raises DataError where no other window fits beside it.
    """
    at, wide, last = np.array(corner), np.array(size), np.array(grid) - np.array(size)
    if sampling == "conditional":
        beside = [(a, to) for a in range(3) for to in (at[a] - wide[a], at[a] + wide[a]) if 0 <= to <= last[a]]
        apart = rng.integers(np.maximum(0, at - wide), np.minimum(last, at + wide) + 1, (samples if beside else 0, 3))
        for row, pick in zip(apart, rng.integers(len(beside) or 1, size=len(apart)), strict=True):
            row[beside[pick][0]] = beside[pick][1]  # clear of the window along one side
    else:
        drawn = rng.integers(0, last + 1, (TRIES * samples, 3))
        apart = drawn[(np.abs(drawn - at) >= wide).any(1)]
    if not len(apart):
        raise DataError(
            f"expected a window beside which another fits, got {size} of {grid} at {corner}; "
            "make it smaller, at most a third of the clip along one side"
        )
    chosen = apart[np.arange(samples) % len(apart)].tolist()
    return [(t, y, x) for t, y, x in chosen]
