"""Attention between the tokens of all layers joined to one map: attention rollout, and attention times its gradient.

Letters: S tokens, A_l the attention weights of layer l [heads,S,S], I the identity, R [S,S] the product over layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import forward, recording, score
from voxplain.attribution.reduce import upsample
from voxplain.attribution.relevance.attention_weights import RecordAttention
from voxplain.errors import ModelError
from voxplain.model import Objective, VideoModel
from voxplain.model.tokens import Tokens, token_layout

__all__ = ["AttentionRollout", "GradientWeightedAttention"]


@dataclass(frozen=True)
class AttentionRollout:
    """Attention rollout, R = Π_l (½ I + ½ mean over heads of A_l); upsampled to the grid; no class.

    What the class token, or the mean of all tokens, has read of each token through all layers, if values were equal.
    For networks whose attention compares all tokens of a clip; raises ModelError for others, such as those with
    attention divided into time and space, or in windows.

    References
    ----------
    Abnar and Zuidema 2020, Quantifying attention flow in transformers, arXiv 2005.00928

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.VideoModel(vx.build_net("vit", 3), layer="pool", grid=(8, 32, 32))
    >>> AttentionRollout()(model, clip, 0).shape
    (8, 32, 32)
    """

    @attribution_call("attention_rollout")
    def __call__(self, batch: Batch) -> Maps:
        weights = _recorded(batch, None)[0]
        layers, last, tokens = _of_clip(batch.model, weights)
        means = [a.mean(0) for a in layers]
        joined = _product([(a + torch.eye(len(a), device=a.device)) / 2 for a in means])
        return _map(batch, joined, None if last is None else last.mean(0), tokens)


@dataclass(frozen=True)
class GradientWeightedAttention:
    """Gradient-weighted attention, R = Π_l (I + mean over heads of (∂s/∂A_l ⊙ A_l)⁺) − I; upsampled to the grid.

    For networks whose attention compares all tokens of a clip; raises ModelError for others, such as those with
    attention divided into time and space, or in windows.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.

    References
    ----------
    Chefer, Gur and Wolf 2021, Generic attention-model explainability, arXiv 2103.15679

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.VideoModel(vx.build_net("vit", 3), layer="pool", grid=(8, 32, 32))
    >>> GradientWeightedAttention()(model, clip, 0).details["positions"]
    (4, 4, 4)
    """

    objective: Objective = "logit"

    @attribution_call("gradient_weighted_attention")
    def __call__(self, batch: Batch) -> Maps:
        weights, gradients = _recorded(batch, self.objective)
        weighted = [(a * g).relu() for a, g in zip(weights, gradients, strict=True)]
        layers, last, tokens = _of_clip(batch.model, weighted)
        unit = torch.eye(tokens.count, device=batch.x.device)
        joined = _product([unit + a.mean(0) for a in layers])
        if last is None:
            return _map(batch, joined - unit, None, tokens)
        return _map(batch, joined, last.mean(0), tokens)


def _recorded(batch: Batch, objective: Objective | None) -> tuple[list[Tensor], list[Tensor]]:
    """Attention weights of one pass of the clip in their order, and the gradient of the objective at them."""
    with recording(batch.model.net):
        leaf = batch.x.detach().clone().requires_grad_(True)  # fused kernels hide the weights
        with RecordAttention() as record:
            z = forward(batch.model, leaf.clone())
        gradients: Sequence[Tensor | None] = []
        if objective is not None and record.found:
            total = score(z, batch.targets, objective).sum()
            gradients = torch.autograd.grad(total, record.found, allow_unused=True)
    found = [a.detach().float() for a in record.found]
    return found, [torch.zeros_like(a) if g is None else g.float() for a, g in zip(found, gradients, strict=False)]


def _of_clip(model: VideoModel, weights: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None, Tokens]:
    """Square attention [heads,S,S] between tokens with positions; that of one query on them, if it comes last."""
    square = [a for a in weights if a.shape[-1] == a.shape[-2] and a.shape[:-3].numel() == 1]
    layouts = {a.shape[-1]: token_layout(model, a.shape[-1]) for a in square}
    tokens = next((found for found in layouts.values() if found is not None), None)
    if tokens is None:
        sizes = sorted({f"{a.shape[-2]}×{a.shape[-1]}" for a in weights}) or ["no attention"]
        raise ModelError(
            f"expected attention between all tokens of a clip, whose positions are known, got {', '.join(sizes)} in "
            f"{model.name} (divided or in windows?); give tokens=Tokens(…) to VideoModel, or use another method"
        )
    count = tokens.count
    layers = [a.reshape(-1, count, count) for a in square if a.shape[-1] == count]
    query = [a.reshape(-1, 1, count) for a in weights if tuple(a.shape[-2:]) == (1, count) and count > 1]
    return layers, query[-1] if query else None, tokens


def _product(layers: Sequence[Tensor]) -> Tensor:
    joined = layers[0]
    for layer in layers[1:]:
        joined = layer @ joined
    return joined


def _map(batch: Batch, joined: Tensor, last: Tensor | None, tokens: Tokens) -> Maps:
    """The row of the tokens that the head reads, as a map: the query's, the class token's, or the mean of all."""
    if last is not None:
        row = (last @ joined)[0]
    else:
        row = joined[0] if tokens.prefix else joined.mean(0)
    coarse = tokens.map_of(row[None, :, None])[:, 0]
    return upsample(coarse, batch.model.grid), [{"positions": tokens.grid}]
