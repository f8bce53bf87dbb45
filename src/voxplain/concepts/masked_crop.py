"""Masked, cropped and resized supervoxel.

Letters: T×H×W the clip, t×h×w the network's grid. Everything is written into arrays allocated once a clip: a new array
a crop would cost as much as the resize. The resize is torch's, in integers by Pillow's scheme, so its bytes do not
depend on the processor (a loop compiled by numba gave the same bytes and was slower).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import interpolate

__all__ = ["CROPS", "Crop", "box_crop", "in_place", "reveal"]

Crop = Callable[[np.ndarray, np.ndarray, torch.Tensor], None]


def box_crop(shown: np.ndarray, box: np.ndarray, out: torch.Tensor) -> None:
    """Crop the supervoxel's bounding box from every frame and resize it (bicubic) into ``out``, as in the papers.

    One box for all frames (the extremes over the supervoxel), so that motion inside the box is kept.
    Frames ``shown`` uint8 [t,H,W,3]; box of t0, t1, y0, y1, x0, x1; ``out`` uint8 [t,h,w,3].
    """
    _, _, y0, y1, x0, x1 = box
    cut = torch.from_numpy(np.ascontiguousarray(shown[:, y0:y1, x0:x1])).permute(0, 3, 1, 2)
    size = (out.shape[1], out.shape[2])
    out.copy_(interpolate(cut, size=size, mode="bicubic", antialias=True).permute(0, 2, 3, 1))


def in_place(shown: np.ndarray, box: np.ndarray, out: torch.Tensor) -> None:
    """Resize the whole masked frame into ``out``: the supervoxel keeps its position and relative size."""
    height, width = shown.shape[1:3]
    box_crop(shown, np.array([*box[:2], 0, height, 0, width]), out)


CROPS: dict[str, Crop] = {"box": box_crop, "in-place": in_place}


def reveal(frames: np.ndarray, own: np.ndarray, shown: np.ndarray) -> None:
    """Copy the voxels in ``own`` bool [T,H,W] from frames to ``shown``, both uint8 [T,H,W,3]."""
    # A pixel as one item of three bytes: 15 times as fast as a mask that is repeated for every colour.
    np.copyto(shown.view("V3")[..., 0], frames.view("V3")[..., 0], where=own)
