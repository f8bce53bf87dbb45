"""Smooth masks from few parameters: a smooth maximum of bumps around the points of a coarse grid.

Letters: M masks, T frames, h×w parameters a frame, H×W pixels, H'×W' pixels with a margin on every side, s the step
of the coarse grid in pixels. Fong, Patrick, Vedaldi 2019, "Understanding Deep Networks via Extremal Perturbations and
Smooth Masks" (arXiv 1910.08485).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.masks.blur_pyramid import pixels
from voxplain.errors import DataError

__all__ = ["MaskGenerator", "SmoothMask"]


@dataclass(frozen=True)
class SmoothMask:
    """How smooth masks are made of parameters; lengths in pixels at 112 rows.

    Parameters
    ----------
    step : float
        From one parameter to the next; scaled down with the rows, never up (7 at 224 rows too in the video attribution
        study).
    sigma : float
        Of the bump around a parameter, and the margin; scaled with the rows (23 at 224 in the study).
    coldness : float
        Of the smooth maximum.

    References
    ----------
    Fong, Patrick and Vedaldi 2019, Understanding deep networks via extremal perturbations and smooth masks, arXiv
        1910.08485
    """

    step: float = 7.0
    sigma: float = 11.0
    coldness: float = 20.0

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        if min(self.step, self.sigma, self.coldness) <= 0:
            raise DataError(f"expected step, sigma and coldness above 0, got {self}; raise them")

    def generator(self, rows: int, columns: int) -> "MaskGenerator":
        """The generator for frames of that size."""
        step = max(1, round(min(self.step, pixels(self.step, rows))))
        return MaskGenerator(rows, columns, step, pixels(self.sigma, rows), self.coldness)


@dataclass(frozen=True)
class MaskGenerator:
    """Parameters [M,T,h,w] to masks [M,T,H',W'] in 0–1, with h = ⌈H/s⌉ and H' = H + 2·round(σ).

    Each pixel u is the softmax-weighted maximum over its (2R+1)² nearest grid points i, R = 1 + ⌈σ/s⌉, of
    v_i = parameter_i·k(d(u,i)): Σ_i v_i·e^{c·v_i} / Σ_i e^{c·v_i}, with the kernel k(d) = exp(−2·max(d/σ − 0.5, 0)²)
    and the coldness c. Points outside the grid count as parameters of 0. The grid is centred on the frame (in the
    authors' code it begins at the first pixel), so that a mirrored mask belongs to mirrored parameters. Because the
    maximum is soft, parameters of 1 everywhere give 0.974 to 1, not 1.
    """

    rows: int
    columns: int
    step: int  # pixels from one parameter to the next
    sigma: float  # pixels
    coldness: float = 20.0

    @property
    def margin(self) -> int:
        """Pixels added on every side."""
        return round(self.sigma)

    @property
    def parameters(self) -> tuple[int, int]:
        """h, w: parameters a frame."""
        return math.ceil(self.rows / self.step), math.ceil(self.columns / self.step)

    @property
    def padded(self) -> tuple[int, int]:
        """H', W': pixels of a mask with its margin."""
        return self.rows + 2 * self.margin, self.columns + 2 * self.margin

    @property
    def radius(self) -> int:
        """R: grid points to each side of the nearest that a pixel depends on."""
        return 1 + math.ceil(self.sigma / self.step)

    def __call__(self, parameters: Tensor) -> Tensor:
        """Masks [M,T,H',W'] of parameters [M,T,h,w]; differentiable."""
        return _SmoothMaximum.apply(parameters, self)

    def crop(self, masks: Tensor) -> Tensor:
        """[M,T,H',W'] to [M,T,H,W]: without the margin."""
        m = self.margin
        return masks[..., m : m + self.rows, m : m + self.columns]

    def axis(self, size: int) -> "Axis":
        """How an axis of ``size`` pixels with its margin is covered by cells."""
        points, s = math.ceil(size / self.step), self.step
        first = (size - 1 - s * (points - 1)) / 2  # place of the first grid point: the grid is centred
        start = math.ceil(first - s / 2)  # the first pixel of the first point's cell
        before = max(0, math.ceil((start + self.margin) / s))
        cells = math.ceil((size + self.margin - start) / s) + before
        return Axis(points, before, cells, before * s - start - self.margin, tuple(start + r - first for r in range(s)))


@dataclass(frozen=True)
class Axis:
    """Cells along an axis. A cell is the s pixels nearest to one grid point; every cell has the same kernel."""

    points: int  # grid points
    before: int  # cells before the first grid point
    cells: int  # all of them
    surplus: int  # pixels of the first cell that lie outside
    places: tuple[float, ...]  # of the pixels of a cell, from its grid point


# Inside, pixels are ordered [s·s places in a cell, M,T, P×Q cells]: a place fixes the kernel, so that all arithmetic
# runs along whole arrays with one factor.
def _windows(g: MaskGenerator, parameters: Tensor) -> Iterator[tuple[Tensor, Tensor, tuple[slice, slice]]]:
    """For every neighbour: its parameter at each cell [M,T,P,Q], the kernel by place [s·s], and its cells in `_pad`."""
    wide = _pad(g, parameters)
    tall, broad = g.axis(g.rows).cells, g.axis(g.columns).cells
    side = 2 * g.radius + 1
    for i, kernel in enumerate(_kernels(g, parameters.device, parameters.dtype)):
        at = slice(i // side, i // side + tall), slice(i % side, i % side + broad)
        yield wide[:, :, at[0], at[1]].contiguous(), kernel, at


@lru_cache(maxsize=8)
def _kernels(g: MaskGenerator, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[(2R+1)², s·s]: the kernel between each neighbour and each place in a cell."""
    y, x = (torch.tensor(g.axis(size).places, dtype=torch.float64) for size in (g.rows, g.columns))
    away = g.step * torch.arange(-g.radius, g.radius + 1, dtype=torch.float64)
    down, right = y - away[:, None], x - away[:, None]  # [2R+1,s]
    distance = torch.hypot(down[:, None, :, None], right[None, :, None, :])
    kernel = torch.exp(-2 * (distance / g.sigma - 0.5).clamp(min=0) ** 2)
    return kernel.flatten(2).flatten(0, 1).to(device, dtype)


def _pad(g: MaskGenerator, parameters: Tensor) -> Tensor:
    """Zeros around the parameters, for the cells of the margin and the window around each."""
    sides = []
    for axis in (g.axis(g.columns), g.axis(g.rows)):
        sides += [g.radius + axis.before, g.radius + axis.cells - axis.before - axis.points]
    return F.pad(parameters, sides)


class _SmoothMaximum(torch.autograd.Function):
    """The smooth maximum, one neighbour at a time: no tensor of all neighbours is ever kept, forward or backward."""

    @staticmethod
    def forward(ctx: Any, parameters: Tensor, g: MaskGenerator) -> Tensor:
        (m, t), cells = parameters.shape[:2], (g.axis(g.rows).cells, g.axis(g.columns).cells)
        total, weights = parameters.new_zeros(2, g.step**2, m, t, *cells)
        for value, kernel, _ in _windows(g, parameters):
            v = value * (g.coldness * kernel)[:, None, None, None, None]  # c·v_i of the formula
            e = v.exp()
            total.addcmul_(v, e)
            weights.add_(e)
        ratio = total.div_(weights)
        ctx.save_for_backward(parameters, ratio, weights)
        ctx.generator = g
        return _to_pixels(g, ratio) / g.coldness

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        parameters, ratio, weights = ctx.saved_tensors
        g: MaskGenerator = ctx.generator
        share = _from_pixels(g, grads[0]).div_(weights)
        beside = 1 - ratio
        wide = torch.zeros_like(_pad(g, parameters))
        for value, kernel, (down, right) in _windows(g, parameters):
            v = value * (g.coldness * kernel)[:, None, None, None, None]
            e = v.exp()
            # ∂mask/∂v_i = e^{c·v_i}·(1 + c·(v_i − mask)) / Σ e^{c·v}, and ∂v_i/∂parameter_i is the kernel.
            slope = v.add_(beside).mul_(e).mul_(share)
            wide[:, :, down, right] += (kernel @ slope.flatten(1)).view_as(value)
        top, left = g.radius + g.axis(g.rows).before, g.radius + g.axis(g.columns).before
        h, w = g.parameters
        return wide[:, :, top : top + h, left : left + w].contiguous(), None


def _to_pixels(g: MaskGenerator, places: Tensor) -> Tensor:
    """[s·s,M,T,P,Q] to [M,T,H',W'], without the pixels that only complete the cells."""
    _, m, t, p, q = places.shape
    top, left = g.axis(g.rows).surplus, g.axis(g.columns).surplus
    h, w = g.padded
    flat = places.view(g.step, g.step, m, t, p, q).permute(2, 3, 4, 0, 5, 1).reshape(m, t, p * g.step, q * g.step)
    return flat[:, :, top : top + h, left : left + w]


def _from_pixels(g: MaskGenerator, grad: Tensor) -> Tensor:
    """The adjoint of `_to_pixels`."""
    (m, t, h, w), s = grad.shape, g.step
    rows, columns = g.axis(g.rows), g.axis(g.columns)
    right, below = columns.cells * s - columns.surplus - w, rows.cells * s - rows.surplus - h
    flat = F.pad(grad, (columns.surplus, right, rows.surplus, below))
    return (
        flat.view(m, t, rows.cells, s, columns.cells, s)
        .permute(3, 5, 0, 1, 2, 4)
        .reshape(s * s, m, t, rows.cells, columns.cells)
    )
