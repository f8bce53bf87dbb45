"""The layer that class activation mapping takes its maps from, and the maps: activations and gradients [N,C,t,h,w].

Letters: N clips, C channels, t×h×w the layer's positions, T×H×W the network's grid. Layers that work on frames one by
one, [N·T,C,h,w] or T calls of [N,C,h,w], are folded back to clips.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from voxplain.attribution.call import Batch, Details
from voxplain.attribution.passes import forward, recording, score
from voxplain.attribution.reduce import upsample
from voxplain.errors import ModelError
from voxplain.model import Objective, VideoModel, stack
from voxplain.model.cost import uncounted
from voxplain.model.layer_choice import PASSING, PER_POSITION, POOLING
from voxplain.model.layers import channels_second, find_layer, record_output, start_gradient
from voxplain.model.trace import Call, Trace, trace

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

NO_MAPS = (*PASSING, *POOLING, nn.Softmax)  # they pass on, coarsen or weigh; the map is what came before


@dataclass(frozen=True)
class MapLayer:
    """A layer with a map: its dotted name and the axis of its channels."""

    name: str
    axis: int


# Layers that were chosen before; an entry is dropped with its network.
_chosen_layers: WeakKeyDictionary[nn.Module, dict[Hashable, MapLayer]] = WeakKeyDictionary()


def traced(batch: Batch) -> Trace:
    """The recorded calls of one pass of the first clip."""
    with recording(batch.model.net):
        return trace(batch.model.net, batch.model.prepare(stack(batch.clips[:1])), batch.model.raw)


def head_call(found: Trace, classes: int) -> int | None:
    """Index of the last call of a linear layer or convolution with a channel for each class."""
    for i in reversed(range(len(found.calls))):
        module = found.calls[i].module
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == classes:
            return i
    return None


def choose_layer(batch: Batch, layer: str | None, found: Trace | None = None) -> MapLayer:
    """The layer named, or else the last before the head whose output has more than one position in space.

    Pools and dropout are skipped, as are modules that run several times in a pass (other than once a frame). Without
    a trace ``found``, one pass is made for a network, whatever the clips, and its result is kept; it is no cost of a
    map. Raises ModelError on an unknown name, and where a network has no such map, as those of tokens.
    """
    model = batch.model
    if layer is not None:
        find_layer(model.net, layer)
    if found is not None:
        return _choose(batch, layer, found)
    own = _chosen_layers.setdefault(model.net, {})
    # A module that was replaced is another one, and so is the network that it is a part of.
    built = tuple((name, id(m)) for name, m in model.net.named_modules())
    key = (layer, model.layer, model.channel_axis, model.layout, model.grid, hash(built))
    if key not in own:
        with uncounted():
            own[key] = _choose(batch, layer, traced(batch))
    return own[key]


def _choose(batch: Batch, layer: str | None, found: Trace) -> MapLayer:
    if layer is not None:
        own = [call for call in found.calls if call.name == layer and len(call.shape) > 3]
        return MapLayer(layer, _channel_axis(batch.model, found, own[-1]) if own else 1)
    head = head_call(found, found.output.shape[1])
    chosen = _last_map(batch.model, found, found.calls[:head] if head else found.calls)
    if chosen is None:
        raise ModelError(
            f"expected a layer with a map over space, [N,C,t,h,w], got none in {batch.model.name} (a network of "
            "tokens?); name one as layer=…, or use a method that works at the input"
        )
    return chosen


def _last_map(model: VideoModel, found: Trace, calls: list[Call]) -> MapLayer | None:
    counts, norms = found.counts, 0
    for call in reversed(calls):
        if len(call.shape) == 3 and call.shape[1] > 1 and isinstance(call.module, nn.LayerNorm):
            norms += 1
        if norms > 1:  # what follows works on tokens; a map before them is only the embedding of patches
            return None
        folded = len(call.shape) == 4 and call.shape[0] in (1, model.grid[0])
        if isinstance(call.module, NO_MAPS) or not (folded or len(call.shape) == 5):
            continue
        axis = _channel_axis(model, found, call)
        name = _name(calls, call, counts, model.grid[0])
        if name and prod([size for i, size in enumerate(call.shape) if i not in (0, axis)][-2:]) > 1:
            return MapLayer(name, axis)
    return None


def _name(calls: list[Call], call: Call, counts: Counter[str], frames: int) -> str | None:
    """The shortest name of a module that gave this very tensor and runs once, or once a frame; None without one."""
    times = (1, frames) if len(call.shape) == 4 else (1,)
    same = [c.name for c in calls if c.value == call.value and not isinstance(c.module, NO_MAPS)]
    return min((n for n in same if counts[n] in times), key=lambda n: n.count("."), default=None)


def _channel_axis(model: VideoModel, found: Trace, own: Call) -> int:
    """The axis of the channels in a layer's map: the model's own, otherwise inferred from the modules in the layer."""
    dims = len(own.shape)
    feature = next((c for c in reversed(found.calls) if c.name == model.layer), own)
    # The model's axis is that of its own layer, and is not meant for a map with another number of axes.
    if model.channel_axis is not None and len(feature.shape) == dims:
        return model.channel_axis % dims
    inside = [c for c in found.calls if c.name == own.name or c.name.startswith(own.name + ".")]
    if any(isinstance(c.module, PER_POSITION) and c.shape[-1:] == own.shape[-1:] for c in inside if len(c.shape) > 3):
        return dims - 1
    # Frames that were folded into the batch, [T,C,h,w], and have been unfolded, [1,T,C,h,w].
    unfolded = dims == 5 and any(c.shape == own.shape[1:] for c in found.calls)
    return 2 if unfolded else 1


def fold(calls: list[Tensor], layer: MapLayer, n: int, frames: int) -> Tensor | None:
    """Outputs of a layer's calls as [N,C,t,h,w]; None where only one clip at a time can be folded for certain."""
    if not calls:
        raise ModelError(f"expected layer {layer.name!r} to run, got no call of it; name one that the forward uses")
    first = calls[0]
    shape = tuple(first.shape)
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
        tokens = " (tokens?)" if len(shape) == 3 else ""
        raise ModelError(
            f"expected a map [{n},C,t,h,w], or [{n}·T,C,h,w] of frames, from layer {layer.name!r}, got "
            f"{shape}{tokens}; name another layer"
        )
    if prod(maps.shape[2:]) < 2:
        raise ModelError(
            f"expected a map of more than one position from layer {layer.name!r}, got {shape}; name one before pooling"
        )
    return maps


def activations(model: VideoModel, x: Tensor, layer: MapLayer) -> tuple[Tensor, Tensor]:
    """Maps float32 [N,C,t,h,w] of inputs [N,3,T,H,W], at most ``batch_size`` of them, and the logits [N,K]."""
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
    """Maps A and ∂s/∂A, s the objective, both float32 [N,C,t,h,w], of at most ``batch_size`` inputs [N,3,T,H,W]."""
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
