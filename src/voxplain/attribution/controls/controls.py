"""Controls: maps that know nothing of the network, which every method must beat.

Letters: N clips, T×H×W the grid. They take a model and a target like any method and use its grid only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.record import Batch, Target, attribute
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["CentrePrior", "FrameConstant", "MotionEnergy", "RandomMap"]


@dataclass(frozen=True)
class RandomMap:
    """A standard normal value for each voxel, the same for the same frames and seed."""

    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a seed that the generator does not take."""
        if self.seed < 0:
            raise DataError(f"expected a seed of 0 or more, got {self.seed}; choose another")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "random", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        return torch.stack([self._one(clip.frames) for clip in batch.clips])

    def _one(self, frames: np.ndarray) -> Tensor:
        # From what the clip shows, so that two clips get two maps and a clip the same one in any batch or order.
        content = hashlib.sha256(np.ascontiguousarray(frames).tobytes()).digest()
        rng = np.random.default_rng((self.seed, int.from_bytes(content[:16], "big")))
        return torch.from_numpy(rng.standard_normal(frames.shape[:3], dtype=np.float32))


@dataclass(frozen=True)
class CentrePrior:
    """exp(−d²/2σ²), d the distance to the clip's centre: where people point cameras, whatever they film."""

    space: float = 0.25  # σ along y and x, as a share of the frame's height and width
    time: float | None = 0.25  # σ along t, as a share of the clip's length; None: the same in every frame

    def __post_init__(self) -> None:
        """Refuse widths that are none."""
        if self.space <= 0 or (self.time is not None and self.time <= 0):
            raise DataError(f"expected widths above 0, got space {self.space} and time {self.time}; correct them")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "centre_prior", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        total = torch.zeros(batch.model.grid, dtype=torch.float64)
        for axis, (n, sigma) in enumerate(zip(batch.model.grid, (self.time, self.space, self.space), strict=True)):
            if sigma is not None:
                away = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / (sigma * n)
                total += (away**2 / 2).reshape([-1 if a == axis else 1 for a in range(3)])
        return torch.exp(-total).expand(len(batch.clips), *batch.model.grid)


@dataclass(frozen=True)
class MotionEnergy:
    """Mean over colours of |x_t − x_{t−1}| and |x_{t+1} − x_t|, grey levels, each frame slightly blurred.

    The first and the last frame have one of the two differences; a clip of one frame has no motion.
    """

    sigma: float = 0.02  # of the Gaussian blur, as a share of the frame's height; 0: none

    def __post_init__(self) -> None:
        """Refuse a width that is none."""
        if self.sigma < 0:
            raise DataError(f"expected sigma of 0 or more, got {self.sigma}; correct it")

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "motion_energy", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        return torch.stack([torch.from_numpy(self._one(clip.frames)) for clip in batch.clips])

    def _one(self, frames: np.ndarray) -> np.ndarray:
        from scipy import ndimage

        width = self.sigma * frames.shape[1]
        return np.asarray(ndimage.gaussian_filter(motion(frames), (0, width, width), mode="reflect"))


@dataclass(frozen=True)
class FrameConstant:
    """The mean motion energy of each frame, the same at all its places: it knows when, and nothing of where."""

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """One clip to an `Attribution`, a sequence to a list; see `attribute` for errors."""
        return attribute(self, "frame_constant", self._maps, model, clip, target)

    def _maps(self, batch: Batch) -> Tensor:
        means = torch.stack([torch.from_numpy(motion(clip.frames)).mean((1, 2)) for clip in batch.clips])
        return means[:, :, None, None].expand(len(means), *batch.model.grid)


def motion(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame [T,H,W,3] uint8 to its neighbours in time, float32 [T,H,W]."""
    if len(frames) == 1:
        return np.zeros(frames.shape[:3], np.float32)
    steps = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean(3)
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    return np.asarray((before + after) / 2, dtype=np.float32)
