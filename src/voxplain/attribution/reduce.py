"""From colours or feature maps to one value a voxel: channel reduction, upsampling, the scale for display.

Letters: N clips, C channels, T×H×W the network's grid.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from voxplain.errors import DataError

__all__ = ["CHANNELS", "Channels", "display", "over_channels", "upsample"]

Channels = Literal["absolute", "signed", "positive", "negative", "largest"]

CHANNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "absolute": lambda v: v.abs().mean(1),  # the study's "both"
    "signed": lambda v: v.sum(1),  # keeps sums: completeness and conservation hold
    "positive": lambda v: v.clamp(min=0).mean(1),
    "negative": lambda v: (-v).clamp(min=0).mean(1),
    "largest": lambda v: v.abs().amax(1),
}


def over_channels(values: Tensor, how: Channels) -> Tensor:
    """[N,3,T,H,W] to [N,T,H,W]. Raises DataError on an unknown reduction."""
    if how not in CHANNELS:
        raise DataError(f"expected channels among {', '.join(CHANNELS)}, got {how!r}; choose one")
    return CHANNELS[how](values)


def upsample(maps: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Coarse maps [N,t,h,w] to [N,T,H,W], trilinear, cell centres kept in place."""
    return F.interpolate(maps[:, None].float(), size=tuple(grid), mode="trilinear", align_corners=False)[:, 0]


def display(values: np.ndarray, percentile: float = 99.9) -> np.ndarray:
    """A map scaled to 0–1 for pictures: least to 0, the percentile to 1, clipped; constant maps to 0. float32."""
    low, high = float(values.min()), float(np.percentile(values, percentile))
    high = high if high > low else float(values.max())
    if high <= low:
        return np.zeros_like(values, dtype=np.float32)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), dtype=np.float32)
