"""Relevance through products of activations, softmax and attention, as AttnLRP defines it.

Letters: y = f(a, b), linear in a and in b; r the relevance of y; s the softmax of x. Of a product each factor gets half
of what the ε-rule gives it; a softmax gives R_i = x_i (r_i − s_i Σ_j r_j), and the rest of r is of its constant term,
s − J x with the Jacobian J. With constant attention weights (CP-LRP) the values take all relevance.

Achtibat et al. 2024, AttnLRP (arXiv 2402.05602); Ali et al. 2022 (arXiv 2202.07304) for constant weights and norms.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from voxplain.attribution.relevance.nodes import PassSettings, is_live, made_by, passed
from voxplain.attribution.relevance.rules import STABLE, TINY
from voxplain.errors import ModelError

__all__ = ["ATTENTION", "attention", "attention_scores", "layer_norm", "linear", "multi_head", "product", "softmax"]

Product = Callable[[Tensor, Tensor], Tensor]
WEIGHTS = frozenset({"softmax"})
ATTENTION = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")  # arguments, in their order


def _quotient(r: Tensor, y: Tensor) -> Tensor:
    """r / y in float32 or better, with y moved away from zero by a small share of its root mean square."""
    y = y.to(torch.promote_types(y.dtype, torch.float32))
    epsilon = STABLE * y.square().mean().sqrt() + TINY
    return torch.where(y == 0, 0, r / (y + torch.where(y < 0, -epsilon, epsilon)))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, run: Product) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(a, b)  # and not the product, into which the network may write
        return run(a, b)

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, Tensor, None]:
        a, b = ctx.saved_tensors
        with torch.enable_grad():
            leaves = a.detach().requires_grad_(True), b.detach().requires_grad_(True)
            y = ctx.run(*leaves)
            g = torch.autograd.grad(y, leaves, _quotient(r[0], y.detach()).to(y.dtype))
        return a * g[0] / 2, b * g[1] / 2, None


class _Linear(torch.autograd.Function):
    """``value``, the output of ``run`` and a constant, shared by the ε-rule with ε → 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: PassSettings, run: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
        ctx.settings, ctx.run = settings, run
        ctx.save_for_backward(x, value)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, None, None, None]:
        x, y = ctx.saved_tensors
        quotient = _quotient(r[0], y).to(y.dtype)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(True)
            z = ctx.run(leaf)
            (g,) = torch.autograd.grad(z, leaf, quotient)
        ctx.settings.biases += float(((y - z.detach()) * quotient).double().sum())
        return x * g, None, None, None


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: PassSettings, dim: int) -> Tensor:
        ctx.settings, ctx.dim = settings, dim
        ctx.save_for_backward(x)
        return x.softmax(dim)

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        s = x.softmax(ctx.dim)
        # A masked score is −∞ and its weight 0: it has no share.
        found = torch.where(s > 0, x, 0) * (r[0] - s * r[0].sum(ctx.dim, keepdim=True))
        ctx.settings.constants += float(r[0].double().sum() - found.double().sum())
        return found, None, None


def linear(settings: PassSettings, x: Tensor, run: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    """``value``, an output that is ``run(x)``, linear in x, and a constant; whatever the rule of layers is."""
    return _Linear.apply(x, settings, run, value)


def product(settings: PassSettings, a: Tensor, b: Tensor, run: Product) -> Tensor:
    """``run(a, b)``, linear in each, of two factors that depend on the clip."""
    first, second = made_by(a, WEIGHTS), made_by(b, WEIGHTS)
    if settings.attention or first == second:
        return _Product.apply(a, b, run)
    fixed = (a if first else b).detach()  # attention weights are constants
    value = run(a.detach(), b.detach())
    if first:
        return linear(settings, b, lambda v: run(fixed, v), value)
    return linear(settings, a, lambda v: run(v, fixed), value)


def layer_norm(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Value of layer_norm, whose standard deviation is a constant."""
    given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | kwargs
    x, weight = given["input"], given.get("weight")
    axes = tuple(range(-len(given["normalized_shape"]), 0))
    wide = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    scale = (wide.var(axes, correction=0, keepdim=True) + given.get("eps", 1e-5)).rsqrt().to(x.dtype)
    scale = scale if weight is None else scale * weight
    bare = [v.detach() if isinstance(v, Tensor) else v for v in args]
    value = func(*bare, **{k: v.detach() if isinstance(v, Tensor) else v for k, v in kwargs.items()})
    return linear(settings, x, lambda v: (v - v.mean(axes, keepdim=True)) * scale, value)


def softmax(settings: PassSettings, x: Tensor, dim: int) -> Tensor:
    """The softmax of scores that depend on the clip."""
    if not settings.attention:
        return passed(x, lambda v: v.softmax(dim), "softmax")
    return _Softmax.apply(x, settings, dim)


def attention(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Value of scaled_dot_product_attention: two products with a softmax between."""
    given = dict(zip(ATTENTION, args, strict=False)) | kwargs
    q, k, v = given["query"], given["key"], given["value"]
    scale, mask = attention_scores(q, k, given)
    scores = passed(_matmul(settings, q, k.transpose(-2, -1)), lambda s: s * scale, "mul")
    if mask is not None:
        scores = passed(scores, lambda s: s + mask, "mask")
    weights = softmax(settings, scores, -1) if is_live(scores) else scores.softmax(-1)
    return _matmul(settings, weights, v)


def _matmul(settings: PassSettings, a: Tensor, b: Tensor) -> Tensor:
    if is_live(a) and is_live(b):
        return product(settings, a, b, torch.matmul)
    value = torch.matmul(a.detach(), b.detach())
    if is_live(a):
        return linear(settings, a, lambda v: torch.matmul(v, b), value)
    return linear(settings, b, lambda v: torch.matmul(a, v), value) if is_live(b) else value


def multi_head(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dense: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    attend: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> tuple[Tensor, None]:
    """Value of F.multi_head_attention_forward [S,N,D], and no weights, from linear layers and attention of heads."""
    names: tuple[str, ...] = ("query", "key", "value", "embed_dim", "heads", "w", "b", "bias_k", "bias_v")
    names = (*names, "add_zero_attn", "dropout", "w_out", "b_out")
    given = dict(zip(names, args, strict=False))
    plain = kwargs.get("attn_mask") is None and kwargs.get("key_padding_mask") is None
    separate = kwargs.get("use_separate_proj_weight") or given["bias_k"] is not None or given["add_zero_attn"]
    if not plain or separate or (kwargs.get("training") and given["dropout"]):
        raise ModelError(
            "expected nn.MultiheadAttention without masks, extra biases and separate widths, got others; use a "
            "gradient or perturbation method"
        )
    heads, width = given["heads"], given["embed_dim"]
    parts = []
    biases = given["b"].split(width) if given["b"] is not None else (None, None, None)
    for x, w, b in zip(args[:3], given["w"].split(width), biases, strict=True):
        parts.append(dense(x, w, b).unflatten(2, (heads, -1)).permute(1, 2, 0, 3))
    joined = attend(*parts).permute(2, 0, 1, 3).flatten(2)
    return dense(joined, given["w_out"], given["b_out"]), None


def attention_scores(q: Tensor, k: Tensor, given: dict[str, Any]) -> tuple[float, Tensor | None]:
    """Scale and additive mask of the scores q kᵀ, from the arguments of scaled_dot_product_attention."""
    mask, scale = given.get("attn_mask"), given.get("scale")
    if given.get("enable_gqa") or given.get("dropout_p", 0.0):
        raise ModelError(
            "expected attention with as many key as query heads and without dropout, got another one; use a gradient "
            "or perturbation method"
        )
    if given.get("is_causal"):
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -math.inf)
    return 1 / math.sqrt(q.shape[-1]) if scale is None else scale, mask
