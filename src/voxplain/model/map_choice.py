"""The last layer with a map over time and space, or with tokens in such positions, on which all of the logits depend.

It is what class activation mapping takes by default and what the doctor suggests for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.model.cost import uncounted
from voxplain.model.layer_choice import PASSING, POOLING
from voxplain.model.layers import evaluation_mode, find_layer, first_tensor, record_output
from voxplain.model.tokens import Tokens, channel_axis, is_picture, token_layout
from voxplain.model.trace import Call, Trace

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = ["MapLayer", "head_call", "last_map", "last_map_apart", "map_layer"]

NO_MAPS = (*PASSING, *POOLING, nn.Softmax)  # they pass on, coarsen or weigh; the map is what came before
TRIES = 16  # layers whose part in the logits is looked at, from the last, among those whose positions reach them


@dataclass(frozen=True)
class MapLayer:
    """A layer with a map.

    Parameters
    ----------
    name : str
        Dotted.
    axis : int
        Of the channels in a map.
    tokens : Tokens, optional
        Positions of the layer's tokens, of a clip or, where their grid has one step, of each frame; None for maps.
    """

    name: str
    axis: int = 1
    tokens: Tokens | None = None


def head_call(found: Trace, classes: int) -> int | None:
    """Index of the last call of a linear layer or convolution with a channel for each class."""
    for i in reversed(range(len(found.calls))):
        module = found.calls[i].module
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == classes:
            return i
    return None


def last_map(model: "VideoModel", found: Trace) -> MapLayer | None:
    """The last layer before the head whose map or tokens hold all that the logits depend on.

    Pools and dropout are skipped, modules that run several times (other than once a frame), streams beside which there
    are others, and tokens of which less than half reach the logits, as after the last attention with a class token.

    Parameters
    ----------
    model : VideoModel
    found : Trace
        Of a pass of one clip.

    Returns
    -------
    MapLayer or None
    """
    head = head_call(found, found.output.shape[1])
    candidates = list(_candidates(model, found, found.calls[:head] if head else found.calls))
    with uncounted():
        rest = _reaching(model, candidates)[:TRIES]
        while rest:
            layer, *rest = rest
            carries, behind = _carries_all(model, layer, rest)
            if carries:
                return layer
            # What reaches the logits through this layer alone has the same beside it: one try for each stream.
            rest = [other for other in rest if other.name not in behind]
    return None


def last_map_apart(model: "VideoModel", found: Trace, others: Sequence["VideoModel"]) -> MapLayer | None:
    """The last layer before the head whose map depends on the clip, and in none of some other models does.

    Parameters
    ----------
    model : VideoModel
        Of one stream of a network, such that the others are held.
    found : Trace
        Of a pass of one clip.
    others : sequence of VideoModel
        The network with other streams; what they reach is not of this stream alone.

    Returns
    -------
    MapLayer or None
    """
    head = head_call(found, found.output.shape[1])
    candidates = list(_candidates(model, found, found.calls[:head] if head else found.calls))
    names = [layer.name for layer in candidates]
    with uncounted():
        own = _changing(model, names)
        shared = set[str]().union(*(_changing(other, names) for other in others))
    return next((layer for layer in candidates if layer.name in own - shared), None)


@torch.no_grad()
def _changing(model: "VideoModel", names: list[str]) -> set[str]:
    """The layers whose outputs are not the same for two clips, by their sums."""
    passes: list[dict[str, tuple[float, float]]] = [{}, {}]

    def note(_: nn.Module, __: object, output: object, *, name: str, sums: dict[str, tuple[float, float]]) -> None:
        a = first_tensor(output).double()
        sums[name] = (float(a.sum()), float(a.square().sum()))

    for seed, sums in enumerate(passes):
        noise = np.random.default_rng(seed).integers(0, 256, (1, *model.grid, 3), np.uint8)
        with evaluation_mode(model.net), ExitStack() as hooks:
            for name in names:
                hook = partial(note, name=name, sums=sums)
                hooks.callback(find_layer(model.net, name).register_forward_hook(hook).remove)
            model.raw(model.prepare(noise))
    return {name for name in names if passes[0].get(name) != passes[1].get(name)}


def map_layer(model: "VideoModel", found: Trace, name: str) -> MapLayer:
    """A named layer, with the axis of its channels or the positions of its tokens as its last call shows them."""
    own = [call for call in found.calls if call.name == name and len(call.shape) > 2]
    if not own:
        return MapLayer(name)
    return _layer(model, found, own[-1], name) or MapLayer(name, _axis(model, found, own[-1]))


def _candidates(model: "VideoModel", found: Trace, calls: list[Call]) -> Iterator[MapLayer]:
    """Layers with a map or tokens, from the last, each once."""
    counts, seen = found.counts, set[str]()
    for call in reversed(calls):
        if isinstance(call.module, NO_MAPS):
            continue
        name = _name(calls, call, counts, model.grid[0])
        layer = _layer(model, found, call, name) if name and name not in seen else None
        if layer is not None and name:
            seen.add(name)
            yield layer


def _layer(model: "VideoModel", found: Trace, call: Call, name: str) -> MapLayer | None:
    """The layer of a call that has more than one position in space; None for others."""
    shape, frames = call.shape, model.grid[0]
    if len(shape) == 3:
        tokens = token_layout(model, shape[1]) if shape[0] == 1 else None
        if shape[0] == frames > 1:
            tokens = token_layout(model, shape[1], per_frame=True)
        return MapLayer(name, 2, tokens) if tokens is not None and prod(tokens.grid[1:]) > 1 else None
    folded = len(shape) == 4 and shape[0] in (1, frames)
    if not folded and not (len(shape) == 5 and shape[0] == 1):
        return None
    axis = _axis(model, found, call)
    high, wide = [size for i, size in enumerate(shape) if i not in (0, axis)][-2:]
    of_heads = folded and not is_picture((high, wide), model.grid)  # of an attention, each with its tokens
    if of_heads and token_layout(model, wide, per_frame=shape[0] > 1) is not None:
        return None
    return MapLayer(name, axis) if high * wide > 1 else None


def _name(calls: list[Call], call: Call, counts: Counter[str], frames: int) -> str | None:
    """The shortest name of a module that gave this very tensor and runs once, or once a frame; None without one."""
    times = (1, frames) if len(call.shape) == 4 else (1,)
    same = [c.name for c in calls if c.value == call.value and not isinstance(c.module, NO_MAPS)]
    return min((n for n in same if counts[n] in times), key=lambda n: n.count("."), default=None)


def _axis(model: "VideoModel", found: Trace, own: Call) -> int:
    """The axis of the channels in a layer's map: the model's own, otherwise inferred from the modules in the layer."""
    dims = len(own.shape)
    feature = next((c for c in reversed(found.calls) if c.name == model.layer), own)
    # The model's axis is that of its own layer, and is not meant for a map with another number of axes.
    if model.channel_axis is not None and len(feature.shape) == dims:
        return model.channel_axis % dims
    if channel_axis(own.module, own.shape) == dims - 1:
        return dims - 1
    # Frames that were folded into the batch, [T,C,h,w], and have been unfolded, [1,T,C,h,w].
    unfolded = dims == 5 and any(c.shape == own.shape[1:] for c in found.calls)
    return 2 if unfolded else 1


def _reaching(model: "VideoModel", layers: list[MapLayer]) -> list[MapLayer]:
    """The layers without those of tokens of which less than half reach the logits, by one pass.

    In a block after whose attention only the class token counts these are most layers, a dozen or more.
    """
    tokens = [layer.name for layer in layers if layer.tokens is not None]
    if not tokens:
        return layers
    seen: dict[str, list[Tensor]] = {name: [] for name in tokens}
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
    with evaluation_mode(model.net), torch.inference_mode(False), torch.enable_grad(), ExitStack() as hooks:
        for name in tokens:
            hooks.enter_context(record_output(find_layer(model.net, name), seen[name]))
        z = model.raw(model.prepare(noise).requires_grad_(True).clone()).float()
        if not z.requires_grad:
            return layers
        ends = {name: outputs[0] for name, outputs in seen.items() if outputs and outputs[0].requires_grad}
        found = torch.autograd.grad(z.square().sum(), list(ends.values()), allow_unused=True)
    gone = {name for name, g in zip(ends, found, strict=True) if g is None or _share(g) < 0.5}
    return [layer for layer in layers if layer.name not in gone]


def _share(gradient: Tensor) -> float:
    """Share of the tokens that have a gradient."""
    return float((gradient.abs().sum(2) > 0).float().mean())


def _carries_all(model: "VideoModel", layer: MapLayer, others: list[MapLayer]) -> tuple[bool, set[str]]:
    """Whether the logits depend on the clip through this layer alone, and through half of its tokens at least.

    And which of the other layers the logits depend on through this one alone.
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
    seen: list[Tensor] = []
    kept: dict[str, list[Tensor]] = {other.name: [] for other in others}

    def cut(a: Tensor) -> Tensor:
        seen.append(a.detach().clone().requires_grad_(True))
        return seen[-1]

    with evaluation_mode(model.net), torch.inference_mode(False), torch.enable_grad(), ExitStack() as hooks:
        x = model.prepare(noise).requires_grad_(True)
        for name, outputs in kept.items():
            hooks.enter_context(record_output(find_layer(model.net, name), [], _into(outputs)))
        hooks.enter_context(record_output(find_layer(model.net, layer.name), [], cut))
        z = model.raw(x.clone()).float()
        if not z.requires_grad:
            return True, set()  # a network that runs without gradients: methods say so
        ends = [(name, a) for name, outputs in kept.items() for a in outputs if a.requires_grad]
        found = torch.autograd.grad(z.square().sum(), [x, *seen, *(a for _, a in ends)], allow_unused=True)
    beside, inside, after = found[0], found[1 : 1 + len(seen)], found[1 + len(seen) :]
    if beside is not None and bool(beside.any()):
        reached = {name for (name, _), g in zip(ends, after, strict=True) if g is not None}
        return False, {name for name, _ in ends} - reached
    if layer.tokens is None:
        return True, set()
    tokens = [g for g in inside if g is not None]
    return bool(tokens) and _share(tokens[0]) >= 0.5, set()


def _into(outputs: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """A copy of a tensor that is kept in ``outputs``."""

    def keep(a: Tensor) -> Tensor:
        outputs.append(a.clone())
        return outputs[-1]

    return keep
