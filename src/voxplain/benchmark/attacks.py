"""Maps that a metric must not prefer: changed copies of a method's map, and masks of objects.

Letters: T×H×W the grid. A copy keeps what is easy (smoothness, the size of values in each region) and loses what the
method found, or the other way round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.metrics.record import clip_rng
from voxplain.segment import SLIC
from voxplain.video import Clip

__all__ = ["ATTACKS", "MaskMap", "blurred", "permuted"]

BLUR = 0.08  # frame heights: about half of a planted object's radius
REGIONS = 100  # supervoxels requested


def blurred(values: np.ndarray, clip: Clip) -> np.ndarray:
    """Each frame of the map smoothed by a Gaussian, so that it spills over what it marks."""
    from scipy import ndimage

    sigma = BLUR * values.shape[1]
    return np.asarray(ndimage.gaussian_filter(values, (0, sigma, sigma), mode="nearest"), np.float32)


def permuted(values: np.ndarray, clip: Clip) -> np.ndarray:
    """The map with its values exchanged at random inside each supervoxel, so that only their sums are kept."""
    labels = _regions(clip)
    rng, out = clip_rng(clip, 17), values.copy()
    flat, where = out.reshape(-1), labels.reshape(-1)
    order = np.argsort(where, kind="stable")
    for region in np.split(order, np.flatnonzero(np.diff(where[order])) + 1):
        flat[region] = flat[rng.permutation(region)]
    return out


@lru_cache(maxsize=4)
def _regions(clip: Clip) -> np.ndarray:
    """The supervoxel of each voxel, the same for every map of a clip."""
    return SLIC(segments=(REGIONS,))(clip).labels[0]


ATTACKS: dict[str, Callable[[np.ndarray, Clip], np.ndarray]] = {"blurred": blurred, "permuted": permuted}


@dataclass(frozen=True, eq=False)
class MaskMap:
    """Control: a mask as a map, 1 inside and 0 outside; what is true, or what is not, is known on planted clips.

    Parameters
    ----------
    mask : bool [T,H,W]

    Examples
    --------
    >>> MaskMap(np.ones((8, 32, 32), bool))(model, clip).max()
    1.0
    """

    mask: np.ndarray

    @attribution_call("mask", parameters=lambda method: {})
    def __call__(self, batch: Batch) -> Maps:
        return torch.from_numpy(self.mask.astype(np.float32))[None]
