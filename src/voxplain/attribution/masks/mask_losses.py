"""Losses of masks: a given area, compact lumps, few voxels, smoothness.

Letters: P problems (one mask each), G groups of V voxels whose area is fixed together, T frames, H'×W' pixels with
margin. All losses give one value a problem, [P], and are differentiable in the masks.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.errors import DataError

__all__ = ["CoreCount", "CoreShape", "area_loss", "core_kernel", "core_loss", "core_places", "total_variation"]

CoreShape = Literal["ellipsoid", "cylinder"]
CoreCount = Literal["true", "paper"]


def _largest(values: Tensor, count: int) -> Tensor:
    """[G,V]: 1 for the ``count`` largest values of each row, 0 for others; equal values share what is left equally.

    The authors draw the order of equal values again in every iteration; this is the mean over those draws.
    """
    size = values.shape[1]
    if count <= 0 or count >= size:
        return torch.full_like(values, float(count > 0))
    edge = values.kthvalue(size - count + 1, dim=1, keepdim=True).values
    above, equal = values > edge, values == edge
    left = (count - above.sum(1, keepdim=True)) / equal.sum(1, keepdim=True)
    return above + left * equal


def area_loss(masks: Tensor, areas: Sequence[float]) -> Tensor:
    """Mean over voxels of (sorted values − reference)²: the area·V largest should be 1, the others 0. [P].

    ``masks`` [P,G,V]: with G = T and V = H'·W' every frame gets the area, with G = 1 and V = T·H'·W' the whole volume.
    Fong et al. 2019 (arXiv 1910.08485), Eq. 5; Li et al. 2021 (arXiv 2109.00222) for volumes.
    """
    size = masks.shape[2]
    with torch.no_grad():
        ones = torch.stack([_largest(m, round(a * size)) for m, a in zip(masks, areas, strict=True)])
    # Equal to (value − reference)² where the share of ones is 0 or 1, and to its mean over orders where values tie.
    return (ones * (masks - 1) ** 2 + (1 - ones) * masks**2).mean((1, 2))


def core_kernel(frames: int, size: int, shape: CoreShape) -> Tensor:
    """Binary kernel [frames,size,size]: the voxels inside the ellipsoid, or the cylinder along time, that fits in."""
    if shape not in ("ellipsoid", "cylinder"):
        raise DataError(f"expected a core of ellipsoid or cylinder, got {shape!r}; choose one")
    # One voxel is at the centre; linspace would put it on the rim.
    t, y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (frames, size, size))
    if shape == "cylinder":
        t = np.zeros(frames)
    inside = np.sqrt(t[:, None, None] ** 2 + y[:, None] ** 2 + x**2) <= 1
    if not inside.any():  # a kernel of 2×2 pixels has its four centres outside
        inside[:] = True
    return torch.from_numpy(inside.astype(np.float32))


def core_places(kernel: Tensor, area: float, voxels: int, count: CoreCount) -> int:
    """How many places of the kernel a mask of that area fills: ⌈area·voxels / kernel voxels⌉.

    "paper" counts kernel voxels by the authors' formula, frames·size²·0.5236 (π/6, rounded down), whatever the shape:
    34 to 54 % too many for the ellipsoids of the study, whose centres must lie inside, and too few for cylinders.
    """
    if count not in ("true", "paper"):
        raise DataError(f"expected core_count true or paper, got {count!r}; choose one")
    filled = kernel.sum().item() if count == "true" else int(kernel.numel() * 0.5236)
    return math.ceil(area * voxels / max(1, filled))


def core_loss(masks: Tensor, areas: Sequence[float], kernel: Tensor, count: CoreCount = "true") -> Tensor:
    """The part of the kernel that is filled, at every place: the k best places should be full, the others empty. [P].

    mean of (1 − v)² over the k largest v plus mean of v² over the rest, v = masks [P,T,H',W'] convolved with the
    kernel / its sum, at every frame and every kernel size in space, without padding. Li et al. 2021 (arXiv 2109.00222).
    """
    voxels = masks[0].numel()
    stride = (1, kernel.shape[1], kernel.shape[2])
    weight = (kernel / kernel.sum()).to(masks)[None, None]
    filled = F.conv3d(masks[:, None], weight, stride=stride).flatten(1)
    losses = []
    for v, area in zip(filled, areas, strict=True):
        with torch.no_grad():
            ones = _largest(v[None], core_places(kernel, area, voxels, count))[0]
        zeros = 1 - ones
        full = (ones * (v - 1) ** 2).sum() / ones.sum().clamp(min=1)
        losses.append(full + (zeros * v**2).sum() / zeros.sum().clamp(min=1))
    return torch.stack(losses)


def total_variation(masks: Tensor, beta: float) -> Tensor:
    """Σ |m_i − m_j|^β over neighbours along every axis after the first, [P]; β of 1 or more."""
    axes = [d for d in range(1, masks.ndim) if masks.shape[d] > 1]
    steps = [torch.diff(masks, dim=d).abs().pow(beta).flatten(1).sum(1) for d in axes]
    return torch.stack(steps).sum(0) if steps else masks.flatten(1).sum(1) * 0
