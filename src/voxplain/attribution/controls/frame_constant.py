"""Control map of motion in time, without its place."""

from dataclasses import dataclass

import torch

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.controls.motion_energy import motion

__all__ = ["FrameConstant"]


@dataclass(frozen=True)
class FrameConstant:
    """Control: mean motion energy of each frame, the same at all its pixels.

    It depends on time, not on place.

    Examples
    --------
    >>> float(np.ptp(FrameConstant()(model, clip).values[0]))
    0.0
    """

    @attribution_call("frame_constant")
    def __call__(self, batch: Batch) -> Maps:
        means = torch.stack([torch.from_numpy(motion(clip.frames)).mean((1, 2)) for clip in batch.clips])
        return means[:, :, None, None].expand(len(means), *batch.model.grid)
