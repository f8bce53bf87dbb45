"""Feature maps over time and space of the layers before the feature layer, from one forward pass.

Letters: N clips, C channels, t×h×w a map's grid, T×H×W the network's input.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import channels_second, evaluation_mode, find_layer, first_tensor, pool_features

__all__ = ["FeatureMaps", "feature_maps"]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Feature maps of one forward pass: ``maps`` float32 [N,C,t,h,w] by layer.

    ``feature`` is the map whose mean over all places is the model's feature; None where that is no mean of a map.
    """

    maps: dict[str, Tensor]
    feature: Tensor | None


@torch.no_grad()
def feature_maps(
    model: VideoModel, frames: Any, layers: Sequence[str] = (), *, run: Callable[[Any], object] | None = None
) -> FeatureMaps:
    """The maps of clips uint8 [N,T,H,W,3] at ``layers``; without any, the last map of every resolution but the finest.

    ``run`` is called with the frames and must run the network on them once, for other results of the same pass.
    Resolutions are those below the input's, before the model's layer: the ends of a convolutional network's stages.
    Raises ModelError for an unknown layer and for one that gives no map over time and space, such as tokens.
    """
    names = {id(find_layer(model.net, name)): name for name in layers}
    found: dict[tuple[int, ...], tuple[str, Tensor]] = {}  # by grid, in the order in which grids were last seen
    chosen: dict[str, Tensor] = {}
    feature: list[Tensor] = []

    def note(name: str, module: torch.nn.Module, output: Any) -> None:
        out = _tensor(output)
        here = None if out is None or out.ndim != 5 else channels_second(out, model.channel_axis)
        if id(module) in names:
            chosen[names[id(module)]] = _require_map(names[id(module)], out, here, found).clone()
        if here is not None and not feature and _is_map(here) and here.shape[3] < model.grid[1]:
            found.pop(tuple(here.shape[2:]), None)
            found[tuple(here.shape[2:])] = (name, here)
        if name == model.layer and out is not None:
            feature[:] = [pool_features(out.float(), model.pool, model.channel_axis)]

    with evaluation_mode(model.net), ExitStack() as hooks:
        for name, module in model.net.named_modules():
            hook = module.register_forward_hook(lambda m, _, output, name=name: note(name, m, output))
            hooks.callback(hook.remove)
        if run is None:
            model.net(model.prepare(frames))
        else:
            run(frames)
    if not found:
        raise ModelError(
            f"expected a network with maps over time and space [N,C,t,h,w] before {model.layer!r}, found none in "
            f"{model.name}; tokens of transformers cannot be pooled, take crops"
        )
    missing = [name for name in layers if name not in chosen]
    if missing:
        raise ModelError(f"expected layer {missing[0]!r} to run, got no call of it; name one that the forward uses")
    last = next(reversed(found.values()))[1].float()
    ends = dict(list(found.values())[1:] or found.values())
    maps = {name: chosen[name] for name in layers} if layers else ends
    return FeatureMaps({name: x.float() for name, x in maps.items()}, last if _is_mean(feature, last) else None)


def _is_mean(feature: list[Tensor], values: Tensor) -> bool:
    """Whether the model's feature is the map's mean over its places, up to the rounding of bf16."""
    mean = values.mean((2, 3, 4))
    return bool(feature) and feature[0].shape == mean.shape and torch.allclose(feature[0], mean, rtol=0.02, atol=1e-3)


def _tensor(output: Any) -> Tensor | None:
    try:
        return first_tensor(output)
    except ModelError:  # a module with another kind of output
        return None


def _is_map(x: Tensor) -> bool:
    return x.ndim == 5 and x.shape[2:].numel() > 1


def _require_map(name: str, out: Tensor | None, here: Tensor | None, found: dict[Any, tuple[str, Tensor]]) -> Tensor:
    if here is None or not _is_map(here):
        near = ", ".join(repr(other) for other, _ in found.values()) or "a convolution's"
        raise ModelError(
            f"expected a map over time and space [N,C,t,h,w] from layer {name!r}, got "
            f"{'no tensor' if out is None else tuple(out.shape)}; name a layer before it, such as {near}"
        )
    return here
