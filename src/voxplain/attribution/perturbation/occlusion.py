"""Occlusion: how much of the score is lost when a part of the clip is hidden.

Letters: T×H×W the grid. Zeiler and Fergus 2014 (arXiv 1311.2901), with windows in space and time, or supervoxels.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import base_input, scores
from voxplain.attribution.perturbation.masked_clips import (
    Sides,
    batch_slices,
    blend,
    box,
    cuboids,
    region_labels,
    region_scores,
    region_values,
)
from voxplain.model import Objective, VideoModel, stack
from voxplain.segment import SLIC, Segmenter

__all__ = ["Occlusion", "SupervoxelOcclusion"]


@dataclass(frozen=True)
class Occlusion:
    """Occlusion, the mean over the windows on a voxel of s(x) − s(x with the window hidden).

    Windows are cuboids that slide over the clip; the last one along each side is flush with its end. Costs a forward
    pass a window.

    Parameters
    ----------
    window : 3 numbers
        Sides along t, y, x: floats are shares of the clip's side, whole numbers voxels.
    stride : 3 numbers, optional
        Step along t, y, x, given in the same way; by default half a window.
    fill : str
        What hides a voxel: an entry of `FILLS`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The paper takes "probability", which hardly changes near 0 and
        1.

    References
    ----------
    Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv 1311.2901

    Examples
    --------
    >>> Occlusion(window=(0.5, 0.5, 0.5))(model, clip).shape
    (8, 32, 32)
    """

    window: Sides = (0.25, 0.15, 0.15)
    stride: Sides | None = None
    fill: str = "blur"
    objective: Objective = "log_odds"

    @attribution_call("occlusion")
    def __call__(self, batch: Batch) -> Maps:
        full = scores(batch.model, batch.x, batch.targets, self.objective).cpu()
        hidden = base_input(batch.model, stack(batch.clips), self.fill)
        return torch.stack(
            [
                self._one(batch.model, x, h, y, float(s))
                for x, h, y, s in zip(batch.x, hidden, batch.targets, full, strict=True)
            ]
        )

    def _one(self, model: VideoModel, x: Tensor, hidden: Tensor, target: int, full: float) -> Tensor:
        size, corners = cuboids(model.grid, self.window, self.stride)
        total, count = torch.zeros(2, *model.grid, dtype=torch.float64)
        for part in batch_slices(len(corners), model.pass_size):
            keep = torch.ones(len(corners[part]), *model.grid, dtype=torch.bool)
            places = [box(corner, size) for corner in corners[part]]
            for mask, place in zip(keep, places, strict=True):
                mask[place] = False
            pictures = blend(x, hidden, keep.to(x.device))
            left = scores(model, pictures, [target] * len(pictures), self.objective).cpu()
            for place, s in zip(places, left.tolist(), strict=True):
                total[place] += full - s
                count[place] += 1
        return total / count


@dataclass(frozen=True)
class SupervoxelOcclusion:
    """Supervoxel occlusion, s(x) − s(x with the voxel's supervoxel hidden), averaged over the segmenter's levels.

    Voxels that a level dropped count as one region of that level. Costs a forward pass a supervoxel.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the supervoxels; all its levels are used.
    fill : str
        What hides a voxel: an entry of `FILLS`.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Zeiler and Fergus 2014, arXiv 1311.2901 (with windows)

    Examples
    --------
    >>> SupervoxelOcclusion(vx.SLIC(segments=(6,)))(model, clip).shape
    (8, 32, 32)
    """

    segmenter: Segmenter = field(default_factory=SLIC)
    fill: str = "blur"
    objective: Objective = "log_odds"

    @attribution_call("supervoxel_occlusion")
    def __call__(self, batch: Batch) -> Maps:
        hidden = base_input(batch.model, stack(batch.clips), self.fill)
        full = scores(batch.model, batch.x, batch.targets, self.objective).double().cpu().numpy()
        maps, details = [], []
        for clip, x, h, y, s in zip(batch.clips, batch.x, hidden, batch.targets, full, strict=True):
            levels = region_labels(self.segmenter, clip)
            drops = []
            for labels in levels:
                visible = ~np.eye(labels.max() + 1, dtype=bool)
                drops.append(s - region_scores(batch.model, x, h, labels, visible, y, self.objective))
            found = [region_values(labels, drop) for labels, drop in zip(levels, drops, strict=True)]
            maps.append(torch.stack(found).mean(0))
            details.append({"regions": sum(len(drop) for drop in drops)})
        return torch.stack(maps), details
