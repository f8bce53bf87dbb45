"""XRAI in three dimensions: supervoxels chosen one after the other by the integrated gradients in them.

Letters: M candidate regions of all levels, T×H×W the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.gradients.integrated_gradients import integrated_gradients
from voxplain.attribution.passes import to_input
from voxplain.attribution.perturbation.masked_clips import region_labels
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel, stack
from voxplain.segment import SLIC, Segmenter
from voxplain.video import Clip

__all__ = ["XRAI"]

CANDIDATES = SLIC(segments=(10, 20, 50, 60, 80, 100), sigma=0.8, slico=True)


@dataclass(frozen=True)
class XRAI:
    """Regions in the order of their mean attribution over voxels not yet taken, which is the value they get.

    The attribution is the mean of integrated gradients from a black and from a white clip. Regions that would add
    fewer than ``min_voxels`` are passed over; voxels left at the end get their own mean. Kapishnikov et al. 2019
    (arXiv 1906.02825) for pictures; supervoxels and numbers of the video attribution study, which does not dilate.
    """

    segmenter: Segmenter = CANDIDATES  # candidates are the supervoxels of all its levels
    steps: int = 25  # gradients on the way from each of the two
    min_voxels: int = 50  # new voxels a region must add
    channels: Channels = "absolute"  # over colours, before the mean over baselines and over regions
    objective: Objective = "probability"  # as in the study; logits far from any video, on the way from black, mislead

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        if self.steps < 1 or self.min_voxels < 1:
            raise DataError(f"expected steps and min_voxels of 1 or more, got {self.steps} and {self.min_voxels}")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "xrai", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> tuple[Tensor, list[dict[str, Any]]]:
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
