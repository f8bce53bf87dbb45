"""XRAI in three dimensions: supervoxels chosen one after the other by the integrated gradients in them.

Letters: M candidate regions of all levels, T×H×W the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gradients.integrated_gradients import integrated_gradients
from voxplain.attribution.passes import to_input
from voxplain.attribution.perturbation.masked_clips import region_labels
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, stack
from voxplain.segment import SLIC, Segmenter

__all__ = ["XRAI"]

CANDIDATES = SLIC(segments=(10, 20, 50, 60, 80, 100), sigma=0.8, slico=True)


@dataclass(frozen=True)
class XRAI:
    """XRAI with supervoxels: regions in the order of their mean attribution over voxels not yet selected.

    A region's mean is its value in the map. The attribution is the mean of integrated gradients from a black and from a
    white clip. Voxels left at the end get their own mean. Supervoxels and numbers are those of the video attribution
    study, which does not dilate regions.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the candidates, the supervoxels of all its levels.
    steps : int
        Gradients on the line from each of the two baselines.
    min_voxels : int
        New voxels that a region must add; smaller ones are skipped.
    channels : str
        Reduction over colours, before the mean over baselines and over regions: an entry of `CHANNELS`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. Logits of the nearly black inputs on the line are not
        meaningful, so the study takes probabilities.

    References
    ----------
    Kapishnikov et al. 2019, XRAI: better attributions through regions, arXiv 1906.02825

    Examples
    --------
    >>> XRAI(steps=3)(model, clip).shape
    (8, 32, 32)
    """

    segmenter: Segmenter = CANDIDATES
    steps: int = 25
    min_voxels: int = 50
    channels: Channels = "absolute"
    objective: Objective = "probability"

    def __post_init__(self) -> None:
        """Check the counts."""
        if self.steps < 1 or self.min_voxels < 1:
            raise DataError(f"expected steps and min_voxels of 1 or more, got {self.steps} and {self.min_voxels}")

    @attribution_call("xrai")
    def __call__(self, batch: Batch) -> Maps:
        frames = stack(batch.clips)
        found = torch.zeros(len(frames), *batch.model.grid)
        for colour in (0, 255):
            base = to_input(batch.model, np.full_like(frames, colour)).float()
            shares = integrated_gradients(
                batch.model, batch.x.float(), base, batch.targets, steps=self.steps, objective=self.objective
            )
            found += over_channels(shares, self.channels).cpu() / 2
        maps, details = [], []
        for clip, own in zip(batch.clips, found.double().numpy(), strict=True):
            levels = region_labels(self.segmenter, clip)
            values, order = grown(own, levels, self.min_voxels)
            maps.append(torch.from_numpy(values))
            details.append({"regions": sum(int(level.max()) + 1 for level in levels), "taken": len(order)})
        return torch.stack(maps), details


def grown(own: np.ndarray, levels: Sequence[np.ndarray], least: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Values [T,H,W] of an attribution ``own`` [T,H,W], and the regions taken, (level, label), best first.

    Ties go to the earlier level and label.
    """
    free = np.ones(own.size, bool)
    flat, values = own.ravel(), np.zeros(own.size)
    labels = [level.ravel() for level in levels]
    counts = [level.max() + 1 for level in labels]
    taken: list[tuple[int, int]] = []
    while free.any():
        best, mean = None, -np.inf
        for i, (level, count) in enumerate(zip(labels, counts, strict=True)):
            new = np.bincount(level[free], minlength=count)
            means = np.where(new >= least, np.bincount(level[free], flat[free], count) / np.maximum(new, 1), -np.inf)
            if means.max() > mean:
                best, mean = (i, int(means.argmax())), float(means.max())
        if best is None:
            values[free] = flat[free].mean()
            break
        added = free & (labels[best[0]] == best[1])
        values[added] = mean
        free &= ~added
        taken.append(best)
    return values.reshape(own.shape), taken
