"""Multipliers of DeepLIFT for operations with several inputs or outputs that depend on each other.

Letters: x an activation of the clip, x⁰ that of the reference, Δx = x − x⁰, m the multipliers of the output. Each rule
is exact: the multipliers of the inputs times their differences add up to those of the output times its difference.

A product Δ(ab) = Δa·(b + b⁰)/2 + Δb·(a + a⁰)/2, for anything linear in each factor; a softmax is exp(x − L) with
L = log Σ exp(x) under the rescale rule; a layer norm is u·r with u = x − mean(x) and r = 1/σ.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Difference", "layer_norm_rule", "product_rule", "softmax_rule"]

DifferenceRule = Callable[[Tensor], tuple[Tensor, ...]]


class Difference(torch.autograd.Function):
    """``value``, whose backward gives each of the inputs its multiplier by a rule."""

    @staticmethod
    def forward(ctx: Any, rule: DifferenceRule, value: Tensor, *inputs: Tensor) -> Tensor:
        """The value."""
        ctx.rule = rule
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *m: Tensor) -> tuple[Tensor | None, ...]:
        """Multipliers of the inputs."""
        return None, None, *ctx.rule(m[0])


def product_rule(
    run: Callable[[Tensor, Tensor], Tensor], now: tuple[Tensor, Tensor], base: tuple[Tensor, Tensor]
) -> DifferenceRule:
    """Of ``run(a, b)``, linear in each factor."""

    def rule(m: Tensor) -> tuple[Tensor, Tensor]:
        middle = [(x + x0) / 2 for x, x0 in zip(now, base, strict=True)]
        with torch.enable_grad():
            # The derivative with respect to one factor does not depend on it.
            leaves = [x.requires_grad_(True) for x in middle]
            g = torch.autograd.grad(run(*leaves), leaves, m)
        return g[0], g[1]

    return rule


def softmax_rule(x: Tensor, x0: Tensor, dim: int) -> DifferenceRule:
    """Of the softmax of x, with that of the reference x⁰."""

    def rule(m: Tensor) -> tuple[Tensor]:
        s, s0 = x.softmax(dim), x0.softmax(dim)
        # Δs_i = κ_i (Δx_i − ΔL) with L the log of Σ exp(x), Δx_i − ΔL = Δ log s_i; and Σ Δs_i = 0 gives ΔL.
        delta = x.log_softmax(dim) - x0.log_softmax(dim)
        near = ~(delta.abs() > 1e-3)  # also masked scores, whose logarithm is −∞
        kappa = torch.where(near, (s + s0) / 2, (s - s0) / torch.where(near, 1, delta))
        return (kappa * (m - (kappa * m).sum(dim, keepdim=True) / kappa.sum(dim, keepdim=True)),)

    return rule


def layer_norm_rule(x: Tensor, x0: Tensor, axes: tuple[int, ...], weight: Tensor | None, eps: float) -> DifferenceRule:
    """Of the layer norm of x over the last axes, with that of the reference x⁰."""

    def rule(m: Tensor) -> tuple[Tensor]:
        u, u0 = (v - v.mean(axes, keepdim=True) for v in (x, x0))
        deviation, deviation0 = ((v.square().mean(axes, keepdim=True) + eps).sqrt() for v in (u, u0))
        m = m if weight is None else m * weight
        # Δ(1/σ) = −Δσ² / (σ σ⁰ (σ + σ⁰)), Δσ² = mean of (u + u⁰) Δu
        through = (m * (u + u0) / 2).mean(axes, keepdim=True)
        through = through / (deviation * deviation0 * (deviation + deviation0))
        g = m * (1 / deviation + 1 / deviation0) / 2 - through * (u + u0)
        return (g - g.mean(axes, keepdim=True),)

    return rule
