"""SWAG-V: supervoxels weighted by the average gradient in them.

Letters: N clips, T×H×W the grid. Hartley, Sidorov, Willis and Marshall 2022 (WACV), after SWAG for pictures (WACV
2021); written from their abstracts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import gradient
from voxplain.attribution.perturbation.masked_clips import region_labels
from voxplain.attribution.record import Batch, Target, attribute
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.segment import SLIC, Segmenter
from voxplain.video import Clip

__all__ = ["SWAG"]

REGIONS = SLIC(segments=(300,))


@dataclass(frozen=True)
class SWAG:
    """Mean gradient of a voxel's supervoxel, averaged over the segmenter's levels, then smoothed by a Gaussian."""

    segmenter: Segmenter = REGIONS
    sigma: tuple[float, float, float] = (0.0, 0.02, 0.02)  # of the smoothing along t, y, x, as shares of the sides
    channels: Channels = "absolute"
    objective: Objective = "logit"

    def __post_init__(self) -> None:
        """Refuse widths that are none."""
        if len(self.sigma) != 3 or min(self.sigma) < 0:
            raise DataError(f"expected three widths of 0 or more along t, y, x, got {self.sigma}; correct them")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "swag_v", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        from scipy import ndimage

        g = over_channels(gradient(batch.model, batch.x, batch.targets, self.objective), self.channels)
        width = [s * n for s, n in zip(self.sigma, batch.model.grid, strict=True)]
        maps = []
        for clip, own in zip(batch.clips, g.double().cpu().numpy(), strict=True):
            mean = np.mean([region_means(own, labels) for labels in region_labels(self.segmenter, clip)], 0)
            maps.append(torch.from_numpy(ndimage.gaussian_filter(mean, width, mode="reflect")))
        return torch.stack(maps)


def region_means(own: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each voxel's value [T,H,W] replaced by the mean of its region."""
    flat = labels.ravel()
    return np.asarray((np.bincount(flat, own.ravel()) / np.bincount(flat))[labels])
