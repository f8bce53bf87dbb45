"""Random control map."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.errors import DataError

__all__ = ["RandomMap"]


@dataclass(frozen=True)
class RandomMap:
    """Control: an independent standard normal value for each voxel, the same for the same frames and seed.

    Parameters
    ----------
    seed : int
        0 or more.

    Examples
    --------
    >>> RandomMap()(model, clip).shape
    (8, 32, 32)
    """

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.seed < 0:
            raise DataError(f"expected a seed of 0 or more, got {self.seed}; choose another")

    @attribution_call("random")
    def __call__(self, batch: Batch) -> Maps:
        return torch.stack([self._one(clip.frames) for clip in batch.clips])

    def _one(self, frames: np.ndarray) -> Tensor:
        # From what the clip shows, so that two clips get two maps and a clip the same one in any batch or order.
        content = hashlib.sha256(np.ascontiguousarray(frames).tobytes()).digest()
        rng = np.random.default_rng((self.seed, int.from_bytes(content[:16], "big")))
        return torch.from_numpy(rng.standard_normal(frames.shape[:3], dtype=np.float32))
