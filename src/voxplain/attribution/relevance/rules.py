"""Relevance rules: how the relevance of a layer's outputs is shared among its inputs.

Letters: x the inputs of a layer, w its weights, b its bias, y_i = Σ_j c_ij + b_i its outputs with the contributions
c_ij = x_j w_ij; r the relevance of the outputs. c⁺ and c⁻ are the positive and negative parts. A rule gives each input
its relevance, for each clip of a batch by itself, and the sum of what the biases get as contributions of their own.

Bach et al. 2015 (doi 10.1371/journal.pone.0130140); Montavon et al. 2017 (arXiv 1512.02479) for z⁺, w² and z^B;
Montavon et al. 2019 (doi 10.1007/978-3-030-28954-6_10) for γ; Zhang et al. 2016 (arXiv 1608.00507) for excitation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from voxplain.errors import ModelError

__all__ = [
    "Affine",
    "Box",
    "Rule",
    "Shares",
    "alpha_beta",
    "epsilon",
    "excitation",
    "excitation_by_colour",
    "flat",
    "gamma",
    "w_square",
    "z_box",
    "z_plus",
]

STABLE = 1e-7  # of a layer's root mean square: keeps quotients finite where contributions all but cancel
TINY = 1e-30  # the least that float32 is divided by


@dataclass(frozen=True, eq=False)
class Affine:
    """A layer y = A(x, w) + b, with A linear in x and in w; sums and averages have no w, as if it were constant."""

    apply: Callable[[Tensor, Tensor | None], Tensor]
    weight: Tensor | None = None
    bias: Tensor | None = None  # broadcasts onto the outputs
    axes: tuple[int, ...] = ()  # of the outputs that share one scale; empty: each output is its own scale

    def to(self, dtype: torch.dtype) -> "Affine":
        """The same layer with weights and bias in another number type."""
        w, b = self.weight, self.bias
        return replace(self, weight=None if w is None else w.to(dtype), bias=None if b is None else b.to(dtype))


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of an input layer: its least and greatest inputs, and 1 where x is of the clip, 0 in padding."""

    low: Tensor
    high: Tensor
    here: Tensor


Shares = tuple[Tensor, float]  # relevance of each input, and of all biases together
Rule = Callable[[Affine, Tensor, Tensor, Box | None], Shares]
Back = Callable[[Tensor], Tensor]


def _at(layer: Affine, x: Tensor, w: Tensor | None) -> tuple[Tensor, Back]:
    """A(x, w), and s ↦ Aᵀ(s, w); for one use."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        z = layer.apply(leaf, w)
    return z.detach(), lambda s: torch.autograd.grad(z, leaf, s)[0]


def _positive(w: Tensor | None) -> Tensor | None:
    return None if w is None else w.clamp(min=0)


def _one_sign(layer: Affine, x: Tensor, sign: int) -> tuple[Tensor, Back]:
    """z_i = Σ_j c_ij^± + b_i^±, and s ↦ Σ_i c_ij^± s_i, for the contributions of one sign."""
    up, down, w = x.clamp(min=0), x.clamp(max=0), layer.weight
    pairs: list[tuple[Tensor, Tensor | None]] = [(up if sign > 0 else down, None)]
    if w is not None:
        pairs = [(up, w.clamp(min=0) if sign > 0 else w.clamp(max=0))]
        if bool((down < 0).any()):
            pairs.append((down, w.clamp(max=0) if sign > 0 else w.clamp(min=0)))
    terms = [(part, *_at(layer, part, weights)) for part, weights in pairs]
    z = torch.stack([value for _, value, _ in terms]).sum(0)
    if layer.bias is not None:
        z = z + (layer.bias.clamp(min=0) if sign > 0 else layer.bias.clamp(max=0))
    return z, lambda s: torch.stack([part * back(s) for part, _, back in terms]).sum(0)


def _per(layer: Affine, r: Tensor, z: Tensor, share: float = STABLE) -> Tensor:
    """r / z, with z moved away from zero by ``share`` of the root mean square of the layer's outputs."""
    scale = z.square().mean(layer.axes, keepdim=True).sqrt() if layer.axes else z.abs()
    quotient = r / (z + torch.where(z < 0, -1.0, 1.0) * (share * scale + TINY))
    # No contributions, no relevance to share: dividing by next to nothing would leak into the neighbours.
    return torch.where(z == 0, 0, quotient)


def _bias(layer: Affine, s: Tensor, sign: int = 0) -> float:
    """Σ_i b_i s_i, or with b_i^±: the biases' relevance for quotients s of relevance and contributions."""
    if layer.bias is None:
        return 0.0
    b = layer.bias.clamp(min=0) if sign > 0 else layer.bias.clamp(max=0) if sign < 0 else layer.bias
    return float((b * s).double().sum())


def epsilon(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None, *, share: float = STABLE) -> Shares:
    """R_j = Σ_i c_ij / (y_i ± ε) · r_i with ε a ``share`` of the root mean square of y; LRP-0 for a share near 0."""
    z, back = _at(layer, x, layer.weight)
    s = _per(layer, r, z if layer.bias is None else z + layer.bias, share)
    return x * back(s), _bias(layer, s)


def gamma(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None, *, share: float) -> Shares:
    """R_j = Σ_i (c_ij + γ c_ij⁺) / Σ_k (c_ik + γ c_ik⁺) · r_i with γ = ``share``; c⁻ in place of c⁺ where y_i < 0."""
    z, back = _at(layer, x, layer.weight)
    z = z if layer.bias is None else z + layer.bias
    up, back_up = _one_sign(layer, x, +1)
    down, back_down = _one_sign(layer, x, -1)
    s = _per(layer, r, z + share * torch.where(z < 0, down, up))
    s_up, s_down = torch.where(z < 0, 0, s), torch.where(z < 0, s, 0)
    biases = _bias(layer, s) + share * (_bias(layer, s_up, +1) + _bias(layer, s_down, -1))
    return x * back(s) + share * (back_up(s_up) + back_down(s_down)), biases


def alpha_beta(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None, *, alpha: float, beta: float) -> Shares:
    """R_j = Σ_i (α c_ij⁺ / Σ_k c_ik⁺ − β c_ij⁻ / Σ_k c_ik⁻) · r_i with α − β = 1.

    An output with contributions of one sign only gives them all its relevance: α and β presume both.
    """
    up, back_up = _one_sign(layer, x, +1)
    down, back_down = _one_sign(layer, x, -1)
    s_up = _per(layer, torch.where(down < 0, alpha, 1.0) * r, up)
    s_down = _per(layer, torch.where(up > 0, beta, -1.0) * r, down)
    return back_up(s_up) - back_down(s_down), _bias(layer, s_up, +1) - _bias(layer, s_down, -1)


def z_plus(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None) -> Shares:
    """R_j = Σ_i c_ij⁺ / (Σ_k c_ik⁺ + b_i⁺) · r_i."""
    z, back = _one_sign(layer, x, +1)
    s = _per(layer, r, z)
    return back(s), _bias(layer, s, +1)


def flat(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None) -> Shares:
    """R_j = Σ_i r_i / n_i, n_i the number of inputs of output i: equal shares."""
    here = torch.ones_like(x) if box is None else box.here
    z, back = _at(layer, here, None if layer.weight is None else torch.ones_like(layer.weight))
    return here * back(_per(layer, r, z)), 0.0


def w_square(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None) -> Shares:
    """R_j = Σ_i w_ij² / Σ_k w_ik² · r_i: whatever the input is."""
    here = torch.ones_like(x) if box is None else box.here
    z, back = _at(layer, here, None if layer.weight is None else layer.weight.square())
    return here * back(_per(layer, r, z)), 0.0


def z_box(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None) -> Shares:
    """R_j = Σ_i (x_j w_ij − l_j w_ij⁺ − h_j w_ij⁻) / Σ_k (x_k w_ik − l_k w_ik⁺ − h_k w_ik⁻) · r_i, l ≤ x ≤ h."""
    w, box = layer.weight, _known(box)
    assert w is not None  # sums and averages have no rule for inputs
    terms = [(x, w), (-box.low, w.clamp(min=0)), (-box.high, w.clamp(max=0))]
    found = [(part, *_at(layer, part, w)) for part, w in terms]
    s = _per(layer, r, torch.stack([z for _, z, _ in found]).sum(0))
    return torch.stack([part * back(s) for part, _, back in found]).sum(0), 0.0


def excitation(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None, *, sign: int = 1) -> Shares:
    """p_j = x_j Σ_i w_ij⁺ p_i / Σ_k w_ik⁺ x_k, no bias; ``sign`` −1: of the dual output, whose weights are −w.

    Negative activations excite nothing.
    """
    x = (x if box is None else x - box.low).clamp(min=0)
    z, back = _at(layer, x, _positive(None if layer.weight is None else sign * layer.weight))
    return x * back(_per(layer, r, z)), 0.0


def excitation_by_colour(layer: Affine, x: Tensor, r: Tensor, box: Box | None = None) -> Shares:
    """Excitation at an input layer, whose colours are measured from black: that makes them positive."""
    return excitation(layer, x, r, _known(box))


def _known(box: Box | None) -> Box:
    if box is None:
        raise ModelError(
            "expected the first layer with weights to take the clip as the model normalises it, got an operation on "
            "the colours before it; normalise by mean and std of VideoModel, or choose another input rule or layer"
        )
    return box
