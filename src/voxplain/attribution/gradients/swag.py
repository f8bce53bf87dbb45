"""SWAG-V: supervoxels weighted by the average gradient in them.

Letters: N clips, T×H×W the grid. Hartley, Sidorov, Willis and Marshall 2022 (WACV), after SWAG for pictures (WACV
2021); written from their abstracts.
"""

from dataclasses import dataclass

import numpy as np
import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import gradient
from voxplain.attribution.perturbation.masked_clips import region_labels
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import DataError
from voxplain.model import Objective
from voxplain.segment import SLIC, Segmenter

__all__ = ["SWAG"]

REGIONS = SLIC(segments=(300,))


@dataclass(frozen=True)
class SWAG:
    """SWAG-V: mean gradient of a voxel's supervoxel, averaged over the segmenter's levels and smoothed by a Gaussian.

    Written from the abstracts of the two papers.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the supervoxels; all its levels are used.
    sigma : 3 floats
        Of the smoothing along t, y, x, as shares of the sides.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Hartley, Sidorov, Willis and Marshall 2022, SWAG-V, WACV
    Hartley et al. 2021, SWAG, WACV

    Examples
    --------
    >>> SWAG()(model, clip).shape
    (8, 32, 32)
    """

    segmenter: Segmenter = REGIONS
    sigma: tuple[float, float, float] = (0.0, 0.02, 0.02)
    channels: Channels = "absolute"
    objective: Objective = "logit"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if len(self.sigma) != 3 or min(self.sigma) < 0:
            raise DataError(f"expected three widths of 0 or more along t, y, x, got {self.sigma}; correct them")

    @attribution_call("swag_v")
    def __call__(self, batch: Batch) -> Maps:
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
