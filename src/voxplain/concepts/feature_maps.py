"""Feature maps over time and space of several layers from one forward pass, also of tokens, with their gradient.

Letters: N clips, C channels, t×h×w positions of a layer, S tokens, T×H×W the network's input, D features, K classes.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from math import prod
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.errors import ModelError
from voxplain.model import OBJECTIVES, Objective, VideoModel
from voxplain.model.copies import copied_from
from voxplain.model.cost import uncounted
from voxplain.model.layers import evaluation_mode, find_layer, first_tensor, record_output, start_gradient
from voxplain.model.map_choice import last_map
from voxplain.model.token_pool import find_pool
from voxplain.model.tokens import Positions, find_positions
from voxplain.model.trace import Trace, trace

__all__ = ["FeatureMaps", "feature_maps", "map_layers"]

Grid = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Feature maps of one forward pass.

    Parameters
    ----------
    logits : float32 [N,K]
    maps : dict of str to float32 [N,C,t,h,w]
        By layer.
    feature : float32 [N,C,t,h,w]
        The last map, or those of parallel streams, one after another on the finest of their grids. Its mean over all
        positions is the model's feature in most networks; in others, such as those with a layer norm behind the mean,
        CAVs are learnt from it instead.
    gradient : float32 [N,D], optional
        Gradient in the space of that mean, as `VideoModel.gradient` gives it where it is the model's feature; None
        where none was asked for.
    """

    logits: Tensor
    maps: dict[str, Tensor]
    feature: Tensor
    gradient: Tensor | None


@torch.no_grad()
def feature_maps(
    model: VideoModel,
    frames: np.ndarray,
    layers: Sequence[str] = (),
    *,
    gradient_of: tuple[int, Objective] | None = None,
) -> FeatureMaps:
    """The maps of clips at some layers, with the gradient of an objective where it is asked for.

    Parameters
    ----------
    model : VideoModel
    frames : uint8 [N,T,H,W,3]
    layers : sequence of str
        By default those of `map_layers`.
    gradient_of : (int, str), optional
        Class and objective, a key of `OBJECTIVES`.

    Returns
    -------
    FeatureMaps

    Raises
    ------
    ModelError
        A layer that is unknown or has no positions in time and space.
    """
    places = map_layers(model.settled(), layers)
    streams = last_maps(model)
    last = streams[-1]
    outputs: dict[str, Tensor] = {}

    def note(name: str, output: object) -> None:
        outputs[name] = first_tensor(output).clone()  # before a module after it writes into it

    with evaluation_mode(model.net), torch.inference_mode(False), ExitStack() as hooks:
        leaf: list[Tensor] = []
        after: list[Tensor] = []
        if gradient_of is not None:  # autograd starts at the last map
            hooks.enter_context(record_output(find_layer(model.net, last.layer), leaf, start_gradient))
            if model.layer != last.layer:
                hooks.enter_context(record_output(find_layer(model.net, model.layer), after))
        for name in {*(p.layer for p in places), *(p.layer for p in streams), model.layer}:
            handle = find_layer(model.net, name).register_forward_hook(lambda _, __, out, name=name: note(name, out))
            hooks.callback(handle.remove)
        logits = model.checked_logits(model.prepare(frames)).float()
        down: list[Tensor | None] = []
        if gradient_of is not None:
            y, objective = gradient_of
            score = OBJECTIVES[objective](logits, y).sum()
            ends = [leaf[0], *after]
            down = list(torch.autograd.grad(score, ends, allow_unused=True)) if score.requires_grad else [None]
            if any(g is None for g in down):
                raise ModelError(
                    f"expected logits that depend on layer {last.layer!r} and after it on {model.layer!r}, got some "
                    "that do not; name another layer"
                )
    missing = [p.layer for p in places if p.layer not in outputs]
    if missing:
        raise ModelError(f"expected layer {missing[0]!r} to run, got no call of it; name one that the forward uses")
    maps = {p.layer: p.map_of(outputs[p.layer].detach()).float() for p in places}
    end = _side_by_side([p.map_of(outputs[p.layer].detach()).float() for p in streams])
    feature = model.feature_of(outputs[model.layer].detach(), len(logits))
    gradient = None
    if down and down[0] is not None and down[-1] is not None:
        if _is_mean(feature, end):
            gradient = model.gradient_of_feature(down[-1].float(), len(logits))
        else:  # of one map: along a change that is the same at every position, as of the mean
            gradient = last.map_of(down[0]).float().sum((2, 3, 4))
    return FeatureMaps(logits.detach(), maps, end, gradient)


def last_maps(model: VideoModel) -> tuple[Positions, ...]:
    """The last map, or those of parallel streams whose means, one after another, are the model's feature.

    A network of two rates or of colours and flow averages each stream and joins the means: the last of its maps alone
    would leave the other stream out. One pass is made for a network, and its result is kept.
    """
    last = map_layers(model)[-1:]
    known = _streams.setdefault(copied_from(model.net), {})
    if (key := _key(model)) not in known:
        streams = () if model.layer in ("", last[0].layer) else _find_streams(model)
        known[key] = streams if len(streams) > 1 else last
    return known[key]


@torch.no_grad()
def _find_streams(model: VideoModel) -> tuple[Positions, ...]:
    """Layers whose means make up the feature, for each part the last that has it; none where they do not."""
    means: list[tuple[Positions, Tensor]] = []
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
    feature: list[Tensor] = []

    def note(place: Positions, output: object) -> None:
        with suppress(RuntimeError):  # a module that runs several times has the places in its last call
            means.append((place, place.map_of(first_tensor(output)).float().mean((2, 3, 4))[0]))

    with evaluation_mode(model.net), uncounted(), ExitStack() as hooks:
        hooks.enter_context(record_output(find_layer(model.net, model.layer), feature))
        for place in _found[copied_from(model.net)][_key(model)].values():
            hook = find_layer(model.net, place.layer).register_forward_hook(lambda _, __, out, p=place: note(p, out))
            hooks.callback(hook.remove)
        model.raw(model.prepare(noise))
    whole = model.feature_of(feature[0], 1)[0] if feature else torch.zeros(0)
    found: list[Positions] = []
    start = 0
    while start < len(whole):
        rest = whole[start:]
        fits = (
            (p, len(m))
            for p, m in reversed(means)
            if len(m) <= len(rest)
            and torch.allclose(m, rest[: len(m)], rtol=0.02, atol=1e-4 * float(whole.abs().max()))
        )
        fit = next(fits, None)
        if fit is None:
            return ()
        found.append(fit[0])
        start += fit[1]
    return tuple(found)


def _side_by_side(maps: Sequence[Tensor]) -> Tensor:
    """Maps [N,C_i,t_i,h_i,w_i] as one [N,ΣC_i,t,h,w] on the finest grid."""
    size = [max(m.shape[axis] for m in maps) for axis in (2, 3, 4)]
    return torch.cat([m if list(m.shape[2:]) == size else F.interpolate(m, size) for m in maps], 1)


def _key(model: VideoModel) -> tuple[object, ...]:
    names = tuple(n for n, _ in model.net.named_modules())
    return (model.layer, model.channel_axis, model.tokens, model.layout, model.grid, names)


# By network: streams that were found before; an entry is dropped with its network.
_streams: WeakKeyDictionary[nn.Module, dict[object, tuple[Positions, ...]]] = WeakKeyDictionary()
# By network: layers that were found before; an entry is dropped with its network.
_found: WeakKeyDictionary[nn.Module, dict[object, dict[str, Positions]]] = WeakKeyDictionary()


def map_layers(model: VideoModel, layers: Sequence[str] = ()) -> tuple[Positions, ...]:
    """The layers ``layers``, or else the last of every resolution but the finest, as far as the model's layer.

    Resolutions are those below the input's: the ends of a convolutional network's stages, and the last of the blocks
    of a transformer, whose tokens have the positions of a map before them (the embedding of patches). One pass is
    made for a network, and its result is kept.

    Parameters
    ----------
    model : VideoModel
    layers : sequence of str
        Dotted names.

    Returns
    -------
    tuple of Positions
        In the order in which the layers run; the last is the nearest to the head.

    Raises
    ------
    ModelError
        A layer that is unknown or has no positions in time and space, and a network without such a layer.
    """
    for name in layers:
        find_layer(model.net, name)
    key = _key(model)
    known = _found.setdefault(copied_from(model.net), {})
    if key not in known:
        noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
        with uncounted():
            known[key] = _positions(model, trace(model.net, model.prepare(noise), model.raw))
    places = known[key]
    if not places:
        raise ModelError(
            f"expected a network with maps over time and space [N,C,t,h,w], or tokens in the positions of such a map, "
            f"before {model.layer!r}, found none in {model.name}; choose the embedder crops"
        )
    for name in layers:
        if name not in places:
            near = ", ".join(repr(p.layer) for p in _ends(places, model.grid))
            raise ModelError(
                f"expected a layer with positions in time and space [N,C,t,h,w], got {name!r}; name another, such as "
                f"{near}"
            )
    return tuple(places[name] for name in layers) or _ends(places, model.grid)


def _positions(model: VideoModel, found: Trace) -> dict[str, Positions]:
    """The layers with positions as far as the model's layer, in the order of their calls.

    Tokens that no longer reach the logits, as behind the last attention with a class token, are left out, and so are
    layers with steps in time only, such as a recurrent one, where there are maps before them.
    """
    calls = found.calls
    until = max((i for i, call in enumerate(calls) if call.name == model.layer), default=len(calls) - 1)
    places: dict[str, Positions] = {}
    for call in calls[: until + 1]:
        place = find_positions(model, call) if call.name else None
        if place is not None:
            places.pop(call.name, None)
            places[call.name] = place
    if any(prod(place.grid[1:]) > 1 for place in places.values()):
        places = {name: place for name, place in places.items() if prod(place.grid[1:]) > 1}
    final = next(reversed(places.values()), None)
    if final is None or final.tokens is None:
        return places
    if model.pool is True and not final.frames and _is_pooled(model, final):
        return places
    whole = last_map(model, found)
    if whole is None or whole.name not in places:
        return places
    names = list(places)
    return {name: places[name] for name in names[: names.index(whole.name) + 1]}


def _is_pooled(model: VideoModel, final: Positions) -> bool:
    """Whether the logits depend on more than one of the final tokens.

    They do where the model's layer is of these tokens and their mean its feature. A layer after them may have been
    given the class token alone, without tokens by which the model could show that.
    """
    return model.layer == final.layer or find_pool(replace(model, layer=final.layer)) is True


def _ends(places: dict[str, Positions], grid: Grid) -> tuple[Positions, ...]:
    ends: dict[Grid, Positions] = {}
    for place in places.values():
        if place.grid[1] < grid[1] or len(places) == 1:
            ends.pop(place.grid, None)  # grids in the order in which they were last seen
            ends[place.grid] = place
    found = list(ends.values()) or list(places.values())[-1:]
    return tuple(found[1:] or found)


def _is_mean(feature: Tensor, values: Tensor) -> bool:
    """Whether the model's feature is the map's mean over its positions, up to the rounding of bf16."""
    mean = values.mean((2, 3, 4))
    return feature.shape == mean.shape and torch.allclose(feature, mean, rtol=0.02, atol=1e-3)
