"""Control map of motion: differences between neighbouring frames."""

from dataclasses import dataclass

import numpy as np
import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.errors import DataError

__all__ = ["MotionEnergy", "motion"]


@dataclass(frozen=True)
class MotionEnergy:
    """Control: mean absolute difference to the previous and the next frame, over colours, slightly blurred.

    In grey levels. The first and the last frame have one of the two differences; a clip of one frame has no motion.

    Parameters
    ----------
    sigma : float
        Of the Gaussian blur of each frame, as a share of its height; 0: none.

    Examples
    --------
    >>> MotionEnergy()(model, clip).min() >= 0
    True
    """

    sigma: float = 0.02

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if self.sigma < 0:
            raise DataError(f"expected sigma of 0 or more, got {self.sigma}; correct it")

    @attribution_call("motion_energy")
    def __call__(self, batch: Batch) -> Maps:
        return torch.stack([torch.from_numpy(self._one(clip.frames)) for clip in batch.clips])

    def _one(self, frames: np.ndarray) -> np.ndarray:
        from scipy import ndimage

        width = self.sigma * frames.shape[1]
        return np.asarray(ndimage.gaussian_filter(motion(frames), (0, width, width), mode="reflect"))


def motion(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame [T,H,W,3] uint8 to its neighbours in time, float32 [T,H,W]."""
    if len(frames) == 1:
        return np.zeros(frames.shape[:3], np.float32)
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean(3)
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    return np.asarray((before + after) / 2, dtype=np.float32)
