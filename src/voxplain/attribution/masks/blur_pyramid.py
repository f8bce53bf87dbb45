"""Clips perturbed more where a mask is lower: blur through a pyramid of levels, or a fade to the mean colour.

Letters: N clips, M masked clips, L levels, T×H×W the network's grid. Masks are float [M,T,H,W] in 0–1: 1 keeps a voxel,
0 perturbs it fully. Lengths in pixels are for 112 rows and grow with the number of rows.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from voxplain.errors import DataError

__all__ = [
    "PERTURBATIONS",
    "Perturb",
    "Perturbation",
    "blend",
    "blur_levels",
    "gaussian_blur",
    "perturbation",
    "pixels",
]

Perturbation = Literal["blur", "fade"]
Perturb = Callable[[Tensor, Sequence[int]], Tensor]
REFERENCE_ROWS = 112  # rows of the video study's clips, for which its lengths in pixels are given


def pixels(at_112_rows: float, rows: int) -> float:
    """A length given for 112 rows, in pixels of a clip with that many rows."""
    return at_112_rows * rows / REFERENCE_ROWS


def _smoothing(size: int, sigma: float, like: Tensor) -> Tensor:
    """[size,size] matrix of a Gaussian of half-width 4σ whose sum is 1, zeros beyond the edge."""
    width = math.ceil(4 * sigma)
    steps = torch.arange(-width, width + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    offset = torch.arange(size)[:, None] - torch.arange(size)[None]
    band = kernel[(offset + width).clamp(0, 2 * width)] * (offset.abs() <= width)
    return band.to(like.device, like.dtype)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """[…,H,W] smoothed by a 2D Gaussian of ``sigma`` pixels, cut at 4σ, zeros beyond the edge; σ 0 gives ``x``."""
    if sigma <= 0:
        return x
    h, w = x.shape[-2:]
    return _smoothing(h, sigma, x) @ x @ _smoothing(w, sigma, x)


def blur_levels(x: Tensor, levels: int, sigma: float) -> Tensor:
    """[L,N,3,T,H,W]: ``x`` from blurred with ``sigma`` pixels (level 0) to unchanged, σ falling linearly."""
    return torch.stack([gaussian_blur(x, sigma * (1 - level / (levels - 1))) for level in range(levels)])


def blend(pyramid: Tensor, mask: Tensor, clips: Sequence[int]) -> Tensor:
    """[M,3,T,H,W]: each voxel between the two levels around (L−1)·mask, linearly; differentiable in the mask.

    ``pyramid`` [L,N,3,T,H,W]; ``clips``: the number of the clip of each mask.
    """
    top = len(pyramid) - 1
    out = []
    for m, clip in zip(mask * top, clips, strict=True):
        below = m.detach().floor().clamp(0, top - 1).long()
        at = below[None, None].expand(1, *pyramid.shape[2:])
        low, high = pyramid[:, clip].gather(0, at)[0], pyramid[:, clip].gather(0, at + 1)[0]
        out.append(torch.lerp(low, high, m - below))  # exact at both ends: a mask of 1 gives the clip to the bit
    return torch.stack(out)


def _blur(x: Tensor, levels: int, sigma: float) -> Perturb:
    pyramid = blur_levels(x.float(), levels, pixels(sigma, x.shape[3]))
    return lambda mask, clips: blend(pyramid, mask, clips)


def _fade(x: Tensor, levels: int, sigma: float) -> Perturb:
    # Between levels input·level the pyramid is linear in the mask: the same as a product, at any number of levels.
    return lambda mask, clips: x.float()[list(clips)] * mask[:, None]


# Name → from inputs [N,3,T,H,W], levels and blur (σ in pixels at 112 rows) to a function of masks and their clips.
PERTURBATIONS: dict[str, Callable[[Tensor, int, float], Perturb]] = {"blur": _blur, "fade": _fade}


def perturbation(x: Tensor, name: str, levels: int = 8, sigma: float = 20.0) -> Perturb:
    """The function that perturbs clips ``x`` [N,3,T,H,W] by masks. Raises DataError on an unknown name."""
    if name not in PERTURBATIONS:
        raise DataError(f"expected a perturbation among {', '.join(PERTURBATIONS)}, got {name!r}; choose one")
    if levels < 2 or sigma <= 0:
        raise DataError(f"expected 2 levels or more and a blur above 0 pixels, got {levels} and {sigma}; raise them")
    return PERTURBATIONS[name](x, levels, sigma)
