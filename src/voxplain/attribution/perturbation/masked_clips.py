"""Partly hidden clips: cuboids, supervoxels, and the scores of what is visible.

Letters: S pictures made of one clip, T×H×W the grid, M regions. A keep mask is the share of the clip in
each voxel: 1 the clip, 0 the baseline. Pictures are made ``pass_size`` at a time and not kept.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import scores
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel
from voxplain.segment import Segmenter
from voxplain.video import Clip

__all__ = [
    "Corner",
    "Sides",
    "batch_slices",
    "blend",
    "cuboids",
    "one_level",
    "region_labels",
    "region_scores",
    "region_values",
]

# Along t, y, x: a whole number of voxels, or a float from 0 to 1, the share of the clip's side.
Sides = tuple[float, float, float]
Corner = tuple[int, int, int]


def batch_slices(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``count``."""
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


def blend(x: Tensor, hidden: Tensor, keep: Tensor) -> Tensor:
    """Pictures [S,3,T,H,W] of a clip [3,T,H,W] behind keep masks [S,T,H,W], bool or float."""
    k = keep[:, None]
    return torch.where(k, x, hidden) if k.dtype == torch.bool else hidden + k * (x - hidden)


def cuboids(grid: Corner, window: Sides, stride: Sides | None) -> tuple[Corner, list[Corner]]:
    """Size and first corners of the cuboids that cover the grid, the last one of each axis flush with its end.

    ``stride`` None: half a window. Raises DataError on a side that is neither voxels nor a share.
    """
    size = _voxels(grid, window, "window")
    if stride is None:
        step = tuple(max(1, side // 2) for side in size)
    else:
        step = _voxels(grid, stride, "stride")
    if any(d > w for d, w in zip(step, size, strict=True)):
        raise DataError(
            f"expected a stride of at most the window {size}, got {step}; otherwise voxels are never hidden"
        )
    starts = [sorted({*range(0, n - w + 1, d), n - w}) for n, w, d in zip(grid, size, step, strict=True)]
    return size, [(t, y, x) for t, y, x in product(*starts)]


def box(corner: Corner, size: Corner) -> tuple[slice, slice, slice]:
    """The voxels of a cuboid, to index [T,H,W] with."""
    t, y, x = (slice(a, a + w) for a, w in zip(corner, size, strict=True))
    return t, y, x


def _voxels(grid: Corner, sides: Sides, what: str) -> Corner:
    if len(sides) != 3:
        raise DataError(f"expected a {what} along t, y, x, got {sides}; give three numbers")
    found = []
    for n, side in zip(grid, sides, strict=True):
        share = isinstance(side, float)
        if not (0 < side <= 1 if share else side >= 1):
            raise DataError(
                f"expected the sides of the {what} as whole voxels of 1 or more, or as floats above 0 and up to 1, the "
                f"share of the clip's side, got {side}; correct it"
            )
        found.append(min(n, max(1, round(n * side) if share else int(side))))
    return found[0], found[1], found[2]


def region_labels(segmenter: Segmenter, clip: Clip) -> list[np.ndarray]:
    """Labels [T,H,W] from 0 without gaps of each level of a clip's supervoxels; dropped voxels are one region more."""
    return [np.unique(level, return_inverse=True)[1].reshape(level.shape) for level in segmenter(clip).labels]


def one_level(segmenter: Segmenter, clip: Clip, method: str) -> np.ndarray:
    """Labels [T,H,W] of a segmenter that gives one level, so that each voxel is on or off. DataError otherwise."""
    levels = region_labels(segmenter, clip)
    if len(levels) != 1:
        raise DataError(
            f"expected supervoxels of one level for {method}, got {len(levels)} levels; give a segmenter of one level, "
            "such as SLIC(segments=(50,))"
        )
    return levels[0]


def region_scores(
    model: VideoModel,
    x: Tensor,
    hidden: Tensor,
    labels: np.ndarray,
    visible: np.ndarray,
    target: int,
    objective: Objective,
) -> np.ndarray:
    """Scores float64 [S] of a clip [3,T,H,W] in whose picture s the regions ``visible`` bool [S,M] are visible."""
    where = torch.from_numpy(labels).to(x.device)
    on = torch.from_numpy(visible).to(x.device)
    found = []
    for part in batch_slices(len(visible), model.pass_size):
        pictures = blend(x, hidden, on[part][:, where])
        found.append(scores(model, pictures, [target] * len(pictures), objective).cpu())
    return torch.cat(found).double().numpy()


def region_values(labels: np.ndarray, values: np.ndarray) -> Tensor:
    """A value of each region [M] put into its voxels, float32 [T,H,W]."""
    return torch.from_numpy(np.asarray(values, np.float32)[labels])
