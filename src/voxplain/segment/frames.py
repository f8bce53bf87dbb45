"""The protocol of segmenters: a call from a Clip, or its frames as an array, to Supervoxels."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.segment.supervoxels import Supervoxels


class HasFrames(Protocol):
    """Anything that holds uint8 frames [T,H,W,3], such as a Clip."""

    @property
    def frames(self) -> NDArray[np.uint8]:
        """Frames, uint8 [T,H,W,3]."""
        ...


class Segmenter(Protocol):
    """Any call that divides a clip into supervoxels at one or more levels; a plain function qualifies."""

    def __call__(self, clip: HasFrames | NDArray[np.uint8], /) -> Supervoxels:
        """Segment one clip."""
        ...


def frames_of(clip: HasFrames | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frames of a Clip or array, uint8 [T,H,W,3]. Raises DataError on another shape or type."""
    frames = clip if isinstance(clip, np.ndarray) else clip.frames
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or frames.size == 0:
        raise DataError(
            f"Expected uint8 frames [T,H,W,3], got {frames.dtype} {list(frames.shape)}; "
            "convert the video with voxplain.video first."
        )
    return frames
