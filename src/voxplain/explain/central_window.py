"""The central window of a clip, of the network's length, with its supervoxels and their concepts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voxplain.errors import VideoError
from voxplain.model import VideoModel
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["central_window", "fit_grid", "some_frames"]


def central_window(model: VideoModel, clip: Clip) -> Clip:
    """The central window of a clip; itself where it has the network's length. VideoError when it is too short."""
    start, stop = _window(model, clip)
    return replace(clip, frames=clip.frames[start:stop], seconds=clip.seconds[start:stop])


def _window(model: VideoModel, clip: Clip) -> tuple[int, int]:
    """First frame of the central window and the one after its last."""
    if len(clip.frames) < model.grid[0]:
        raise VideoError(
            f"expected a clip of at least {model.grid[0]} frames, got {len(clip.frames)} of {clip.source}; "
            "read it with the model's reader, which loops short videos"
        )
    start = (len(clip.frames) - model.grid[0]) // 2
    return start, start + model.grid[0]


def fit_grid(
    model: VideoModel, clip: Clip, supervoxels: Supervoxels, assigned: np.ndarray
) -> tuple[Clip, Supervoxels, np.ndarray]:
    """A clip, its supervoxels and their concepts within the central window."""
    start, stop = _window(model, clip)
    labels = supervoxels.labels[:, start:stop]
    kept = np.concatenate([np.unique(level[level >= 0]) for level in labels])
    return central_window(model, clip), Supervoxels.from_levels(list(labels)), assigned[kept]


def some_frames(model: VideoModel, clips: Sequence[Clip], most: int) -> np.ndarray:
    """Central windows of at most ``most`` clips, spread over all, uint8 [n,T,H,W,3]."""
    places = np.unique(np.linspace(0, len(clips) - 1, min(most, len(clips))).round().astype(int))
    return np.stack([central_window(model, clips[int(i)]).frames for i in places])
