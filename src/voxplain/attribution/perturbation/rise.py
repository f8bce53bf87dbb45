"""RISE in three dimensions: the mean of random masks, weighted by the score of the masked clip.

Letters: S samples, t×h×w cells of a mask, T×H×W the grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.perturbation.masked_clips import batch_slices, blend
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel, stack

__all__ = ["RISE", "masks"]


@dataclass(frozen=True)
class RISE:
    """RISE, Σ_m s(x⊙m)·m / Σ_m m: an estimate of the expected score when the voxel is visible.

    A mask is a coarse grid of cells, each kept with probability p, enlarged trilinearly and shifted at random by less
    than a cell. The sum is divided by the sum of the masks drawn, not by S·p, so that it does not count how often a
    voxel happened to be kept. Masks are drawn again for each clip from ``seed`` and never all held in memory.

    Parameters
    ----------
    cells : 3 ints
        Along t, y, x; 7×7 in the paper.
    p : float
        Probability that a cell is kept.
    samples : int
        Masks, a forward pass each; 8000 in the video attribution study.
    fill : str
        What hides a voxel: an entry of `FILLS`. "mean" is zero after normalisation, as in the paper.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    seed : int
        Of the random draws.

    References
    ----------
    Petsiuk, Das and Saenko 2018, RISE, arXiv 1806.07421

    Examples
    --------
    >>> RISE(samples=20)(model, clip).shape
    (8, 32, 32)
    """

    cells: tuple[int, int, int] = (4, 7, 7)
    p: float = 0.5
    samples: int = 2000
    fill: str = "mean"
    objective: Objective = "probability"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if len(self.cells) != 3 or min(self.cells) < 1 or not 0 < self.p < 1 or self.samples < 1 or self.seed < 0:
            raise DataError(
                "expected cells (t, y, x) and samples of 1 or more, p between 0 and 1 and a seed of 0 or more, got "
                f"{self.cells}, {self.samples}, {self.p} and {self.seed}; correct them"
            )

    @attribution_call("rise")
    def __call__(self, batch: Batch) -> Maps:
        hidden = base_input(batch.model, stack(batch.clips), self.fill)
        return torch.stack(
            [self._one(batch.model, x, h, y) for x, h, y in zip(batch.x, hidden, batch.targets, strict=True)]
        )

    def _one(self, model: VideoModel, x: Tensor, hidden: Tensor, target: int) -> Tensor:
        draw = masks(model.grid, self.cells, self.p, np.random.default_rng(self.seed))
        weighted, kept = torch.zeros(2, *model.grid, dtype=torch.float64)
        total = 0.0
        for part in batch_slices(self.samples, model.pass_size):
            keep = torch.stack([next(draw) for _ in range(part.start, part.stop)])
            pictures = blend(x, hidden, keep.to(x.device))
            s = scores(model, pictures, [target] * len(pictures), self.objective).cpu().double()
            weighted += torch.einsum("s,sthw->thw", s, keep.double())
            kept += keep.sum(0, dtype=torch.float64)
            total += float(s.sum())
        # A voxel that no mask keeps gets the mean score.
        return torch.where(kept > 0, weighted / kept.clamp(min=1e-12), total / self.samples)


def masks(
    grid: tuple[int, int, int], cells: tuple[int, int, int], p: float, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Masks float32 [T,H,W] in 0–1 without end: cells t×h×w enlarged to one cell more than the grid, then shifted."""
    count = [min(n, c) for n, c in zip(grid, cells, strict=True)]
    side = [-(-n // c) for n, c in zip(grid, count, strict=True)]
    large = [(c + 1) * s for c, s in zip(count, side, strict=True)]
    while True:
        on = torch.from_numpy(rng.random(count) < p).float()
        shift = [int(rng.integers(s)) for s in side]
        full = F.interpolate(on[None, None], size=large, mode="trilinear", align_corners=False)[0, 0]
        yield full[tuple(slice(a, a + n) for a, n in zip(shift, grid, strict=True))].clone()
