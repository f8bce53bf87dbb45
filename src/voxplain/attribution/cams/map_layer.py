"""The layer that class activation mapping takes its maps from, and the maps: activations and gradients [N,C,t,h,w].

Letters: N clips, C channels, t×h×w the layer's positions, T×H×W the network's grid. Layers that work on frames one by
one, [N·T,C,h,w] or T calls of [N,C,h,w], are folded back to clips.
"""

from collections.abc import Hashable
from dataclasses import replace
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from voxplain.attribution.call import Batch, Details
from voxplain.attribution.passes import forward, recording, score
from voxplain.attribution.reduce import upsample
from voxplain.attribution.streams import OneStream
from voxplain.errors import ModelError
from voxplain.model import Objective, VideoModel, stack
from voxplain.model.cost import uncounted
from voxplain.model.layers import channels_second, find_layer, record_output, start_gradient
from voxplain.model.map_choice import MapLayer, head_call, last_map, last_map_apart, map_layer
from voxplain.model.tokens import Tokens
from voxplain.model.trace import Trace, trace

__all__ = [
    "MapLayer",
    "activations",
    "activations_and_gradients",
    "choose_layer",
    "fold",
    "head_call",
    "to_grid",
    "traced",
]

# Layers that were chosen before; an entry is dropped with its network.
_chosen_layers: WeakKeyDictionary[nn.Module, dict[Hashable, MapLayer]] = WeakKeyDictionary()


def traced(batch: Batch) -> Trace:
    """The recorded calls of one pass of the first clip."""
    with recording(batch.model.net):
        return trace(batch.model.net, batch.model.prepare(stack(batch.clips[:1])), batch.model.raw)


def choose_layer(batch: Batch, layer: str | None, found: Trace | None = None) -> MapLayer:
    """The layer named, or else the last before the head whose output has more than one position in space.

    That is `last_map`. Without a trace ``found``, a few passes are made for a network, whatever the clips, and their
    result is kept; they are no cost of a map. Raises ModelError on an unknown name, and where a network has no such
    map.
    """
    model = batch.model
    if layer is not None:
        find_layer(model.net, layer)
    if found is not None:
        return _choose(batch, layer, found)
    own = _chosen_layers.setdefault(model.net, {})
    # A module that was replaced is another one, and so is the network that it is a part of.
    built = tuple((name, id(m)) for name, m in model.net.named_modules())
    stream = getattr(model.pathways, "stream", None)  # with the others held, its own maps carry all that depends on it
    key = (layer, model.layer, model.channel_axis, model.tokens, model.layout, model.grid, stream, hash(built))
    if key not in own:
        with uncounted():
            own[key] = _choose(batch, layer, traced(batch))
    return own[key]


def _choose(batch: Batch, layer: str | None, found: Trace) -> MapLayer:
    if layer is not None:
        return map_layer(batch.model, found, layer)
    chosen, pathways = last_map(batch.model, found), batch.model.pathways
    if chosen is None and isinstance(pathways, OneStream):
        # A stream that reaches another one on its way, as the fast one of SlowFast does: the end of its own layers.
        others = [replace(batch.model, pathways=other) for other in pathways.others()]
        chosen = last_map_apart(batch.model, found, others)
    if chosen is None:
        raise ModelError(
            f"expected a layer with a map over space, [N,C,t,h,w], or tokens in such positions, on which all logits "
            f"depend, got none in {batch.model.name}{_advice(batch.model)}, or use a method that works at the input"
        )
    return chosen


def _advice(model: VideoModel) -> str:
    if model.pathways is not None:
        return (
            ", a network of several streams; explain each with stream_maps (attribute --streams), name one stream's "
            "layer as layer=…"
        )
    return (
        " (several streams, or tokens whose positions are not known?); name one as layer=…, give "
        "tokens=Tokens(grid=(t, h, w)) to VideoModel"
    )


def fold(calls: list[Tensor], layer: MapLayer, n: int, frames: int) -> Tensor | None:
    """Outputs of a layer's calls as [N,C,t,h,w]; None where only one clip at a time can be folded for certain."""
    if not calls:
        raise ModelError(f"expected layer {layer.name!r} to run, got no call of it; name one that the forward uses")
    first = calls[0]
    shape = tuple(first.shape)
    if layer.tokens is not None and len(calls) == 1 and len(shape) == 3:
        return _fold_tokens(first, layer.tokens, n)
    if len(calls) > 1:
        if len(shape) != 4 or shape[0] != n or len(calls) != frames or any(c.shape != shape for c in calls):
            raise ModelError(
                f"expected layer {layer.name!r} to run once in a pass, or once for each of {frames} frames, got "
                f"{len(calls)} calls; name a layer that runs once"
            )
        maps = torch.stack([channels_second(c, layer.axis) for c in calls], dim=2)
    elif len(shape) == 5 and shape[0] == n:
        maps = channels_second(first, layer.axis)
    elif len(shape) == 4 and shape[0] % n == 0:
        if n > 1 and shape[0] > n:
            return None
        maps = channels_second(first, layer.axis)
        maps = maps.transpose(0, 1)[None] if shape[0] > n else maps[:, :, None]
    else:
        tokens = " (tokens whose positions are not known: give tokens=Tokens(…))" if len(shape) == 3 else ""
        raise ModelError(
            f"expected a map [{n},C,t,h,w], or [{n}·T,C,h,w] of frames, from layer {layer.name!r}, got "
            f"{shape}{tokens}; name another layer"
        )
    if prod(maps.shape[2:]) < 2:
        raise ModelError(
            f"expected a map of more than one position from layer {layer.name!r}, got {shape}; name one before pooling"
        )
    return maps


def _fold_tokens(output: Tensor, tokens: Tokens, n: int) -> Tensor | None:
    """Tokens [N,S,C], or [N·T,S,C] of frames, as maps [N,C,t,h,w]; None for frames of several clips."""
    maps = tokens.map_of(output)
    if len(maps) == n:
        return maps
    return maps[:, :, 0].transpose(0, 1)[None] if n == 1 else None


def activations(model: VideoModel, x: Tensor, layer: MapLayer) -> tuple[Tensor, Tensor]:
    """Maps float32 [N,C,t,h,w] of inputs [N,3,T,H,W], at most ``pass_size`` of them, and the logits [N,K]."""
    calls: list[Tensor] = []

    def keep(a: Tensor) -> Tensor:
        calls.append(a.clone())
        return a

    with recording(model.net), torch.no_grad(), record_output(find_layer(model.net, layer.name), [], keep):
        z = forward(model, x)
    maps = fold(calls, layer, len(x), model.grid[0])
    if maps is None:
        singles = [activations(model, one, layer) for one in x.split(1)]
        return torch.cat([a for a, _ in singles]), torch.cat([z for _, z in singles])
    return maps.float(), z


def activations_and_gradients(
    model: VideoModel, x: Tensor, targets: tuple[int, ...], objective: Objective, layer: MapLayer
) -> tuple[Tensor, Tensor]:
    """Maps A and ∂s/∂A, s the objective, both float32 [N,C,t,h,w], of at most ``pass_size`` inputs [N,3,T,H,W]."""
    calls: list[Tensor] = []

    def keep(a: Tensor) -> Tensor:
        calls.append(start_gradient(a))
        return calls[-1]

    # Recording starts at the layer: what comes before costs no memory.
    with recording(model.net), torch.no_grad(), record_output(find_layer(model.net, layer.name), [], keep):
        z = forward(model, x)
        maps = fold(calls, layer, len(x), model.grid[0])
        total = score(z, targets, objective).sum() if maps is not None else z
        found = torch.autograd.grad(total, calls, allow_unused=True) if maps is not None and total.requires_grad else []
    if maps is None:
        pairs = zip(x.split(1), targets, strict=True)
        singles = [activations_and_gradients(model, one, (y,), objective, layer) for one, y in pairs]
        return torch.cat([a for a, _ in singles]), torch.cat([g for _, g in singles])
    if all(g is None for g in found):
        raise ModelError(
            f"expected logits that depend on layer {layer.name!r}, got no gradient there; name a layer on the way to "
            "the logits, and let the network run with gradients"
        )
    whole = [torch.zeros_like(a) if g is None else g for a, g in zip(calls, found, strict=True)]
    gradients = fold(whole, layer, len(x), model.grid[0])
    assert gradients is not None  # folds as the activations did
    return maps.detach().float(), gradients.float()


def to_grid(batch: Batch, maps: Tensor, layer: MapLayer) -> tuple[Tensor, list[Details]]:
    """Coarse maps [N,t,h,w] upsampled to the grid, and the details that name the layer and its positions."""
    details = {"layer": layer.name, "positions": tuple(maps.shape[1:])}
    return upsample(maps, batch.model.grid), [dict(details) for _ in batch.clips]
