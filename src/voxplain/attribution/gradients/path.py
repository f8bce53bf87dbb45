"""Integrals of gradients along a path of inputs: where to evaluate, how to pack, how complete the result is.

Letters: N clips, S steps. *Completeness*: along any path from a baseline b to the input x, the signed contributions
of all voxels add up to s(x) − s(b) when the integral is exact.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import gradient
from voxplain.errors import DataError
from voxplain.model import Objective, VideoModel

__all__ = ["RULES", "Rule", "completeness_gaps", "gradients_along", "nodes"]

Rule = Literal["gauss_legendre", "trapezoid", "middle", "left", "right"]
Quadrature = tuple[np.ndarray, np.ndarray]  # positions in [0,1] and weights that add up to 1, float64 [S]


def _gauss_legendre(steps: int) -> Quadrature:
    at, weights = np.polynomial.legendre.leggauss(steps)
    return (at + 1) / 2, weights / 2


def _trapezoid(steps: int) -> Quadrature:
    if steps < 2:
        raise DataError(f"expected 2 steps or more for the trapezoid rule, got {steps}")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


def _riemann(shift: float) -> Callable[[int], Quadrature]:
    return lambda steps: ((np.arange(steps) + shift) / steps, np.full(steps, 1 / steps))


RULES: dict[str, Callable[[int], Quadrature]] = {
    "gauss_legendre": _gauss_legendre,
    "trapezoid": _trapezoid,
    "middle": _riemann(0.5),
    "left": _riemann(0.0),  # the study's: i/S, i = 0 … S−1
    "right": _riemann(1.0),
}


def nodes(rule: str, steps: int) -> Quadrature:
    """Positions and weights of a quadrature rule on [0,1]. Raises DataError on an unknown rule or too few steps."""
    if rule not in RULES:
        raise DataError(f"expected a rule among {', '.join(RULES)}, got {rule!r}; choose one")
    if steps < 1:
        raise DataError(f"expected 1 step or more, got {steps}")
    return RULES[rule](steps)


def gradients_along(
    model: VideoModel, points: Iterable[Tensor], targets: Sequence[int], objective: Objective
) -> Iterator[Tensor]:
    """The gradients [N,3,T,H,W] at each of the points [N,3,T,H,W], in their order.

    As many points go through the network at once as ``pass_size`` allows; points are made only when needed.
    """
    left, n = iter(points), len(targets)
    while group := list(islice(left, max(1, model.pass_size // n))):
        yield from gradient(model, torch.cat(group), list(targets) * len(group), objective).split(n)


def completeness_gaps(values: Tensor, rise: Tensor) -> list[float]:
    """|Σ values − (s(x) − s(b))| / |s(x) − s(b)| of each clip: signed values [N,…] and score differences [N]."""
    off = (values.double().flatten(1).sum(1) - rise.double()).abs()
    # A difference of zero would give infinity, which JSON does not have; a huge gap is as clear.
    return [float(g) for g in off / rise.double().abs().clamp(min=1e-12)]
