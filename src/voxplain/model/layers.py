"""One layer of a network: find it, record its output, start a gradient at it."""

import copy
import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from voxplain.errors import ModelError

__all__ = [
    "Pool",
    "clip_rows",
    "evaluation_mode",
    "find_layer",
    "first_tensor",
    "pool_features",
    "pooled_gradient",
    "record_output",
    "replace_first",
    "start_gradient",
]

Pool = bool | Literal["class_token", "last"]


def find_layer(net: nn.Module, name: str) -> nn.Module:
    """The sub-module with a dotted name; ModelError, with similar names, where there is none."""
    modules = dict(net.named_modules())
    if name in modules and name:
        return modules[name]
    near = difflib.get_close_matches(name, list(modules), n=3, cutoff=0.3) or [n for n in modules if n][-3:]
    raise ModelError(
        f"expected the dotted name of a layer, got {name!r}; did you mean {', '.join(map(repr, near))}? "
        "`voxplain doctor` lists all layers"
    )


def first_tensor(output: Any) -> Tensor:
    """The logits in a network's output: a tensor, a tuple or list, a dict, or an object with ``.logits``.

    A layer's output is read the same way: the first tensor in it. Raises ModelError where there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, dict):
        if isinstance(output.get("logits"), Tensor):
            return output["logits"]
        output = list(output.values())
    if isinstance(output, tuple | list):
        for item in output:
            if isinstance(item, Tensor):
                return item
    raise ModelError(
        f"expected an output with a tensor of logits, got {type(output).__name__}; "
        "return a tensor, a tuple, a dict or an object with .logits"
    )


def replace_first(output: Any, new: Tensor) -> Any:
    """The same kind of output with ``first_tensor`` of it replaced; the original is not changed."""
    old = first_tensor(output)
    if output is old:
        return new
    if isinstance(output, dict):  # also the outputs of transformers, whose attributes follow their items
        changed = copy.copy(output)
        for key, value in output.items():
            if value is old:
                changed[key] = new
        return changed
    if isinstance(output, tuple | list):
        items = [new if item is old else item for item in output]
        return output._make(items) if hasattr(output, "_make") else type(output)(items)
    renewed = copy.copy(output)
    renewed.logits = new
    return renewed


def pool_features(activation: Tensor, pool: Pool, axis: int | None = None, prefix: int = 0) -> Tensor:
    """[N,C,…] or tokens [N,S,D] to [N,D], by ``pool``.

    True: the mean over positions, without ``prefix`` tokens before them; "class_token": the first token; "last": the
    last step or token; False: everything flattened. ``axis`` is the channels' axis; None: the last of three (tokens),
    otherwise the second (maps).
    """
    if activation.ndim == 2 or not pool:
        return activation.flatten(1)
    positions = channels_second(activation, axis).flatten(2)
    if pool is True:
        return positions[:, :, prefix:].mean(2)
    return positions[:, :, 0 if pool == "class_token" else -1]


def pooled_gradient(gradient: Tensor, pool: Pool, axis: int | None = None, prefix: int = 0) -> Tensor:
    """The derivative along a change of what `pool_features` gives: for the mean, the sum over positions; [N,D]."""
    if gradient.ndim == 2 or not pool or pool is not True:
        return pool_features(gradient, pool, axis)
    return channels_second(gradient, axis).flatten(2)[:, :, prefix:].sum(2)


def clip_rows(rows: Tensor, clips: int, *, total: bool = False) -> Tensor:
    """Rows [N,D] of clips from rows [N·T,D] of their frames: the mean, or the ``total``; rows of clips as they are."""
    if len(rows) == clips:
        return rows
    by_clip = rows.unflatten(0, (clips, -1))
    return by_clip.sum(1) if total else by_clip.mean(1)


def channels_second(activation: Tensor, axis: int | None = None) -> Tensor:
    """A layer's output with its channels moved to axis 1."""
    axis = (2 if activation.ndim == 3 else 1) if axis is None else axis
    if not -activation.ndim < axis < activation.ndim or axis == 0:
        raise ModelError(
            f"expected channel_axis inside the layer's output {tuple(activation.shape)}, got {axis}; "
            "give the axis that holds the channels, 1 for [N,C,T,H,W], 4 for [N,T,H,W,C]"
        )
    return activation.movedim(axis, 1)


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards leaves every module's training flag as it was, also after an error."""
    training = [m for m in net.modules() if m.training]
    try:
        net.eval()
        yield
    finally:
        for module in training:
            module.training = True


def start_gradient(activation: Tensor) -> Tensor:
    """A leaf with the same values from which on autograd records: what comes before costs no memory.

    For `record_output` inside ``torch.no_grad()``, whose exit switches recording off again.
    """
    torch.set_grad_enabled(True)
    return activation.detach().clone().requires_grad_(True)


@contextmanager
def record_output(
    module: nn.Module, recorded: list[Tensor], take: Callable[[Tensor], Tensor] = torch.clone
) -> Iterator[None]:
    """Put ``take`` of the module's output into ``recorded`` during the block; of several calls the last counts.

    The module after it gets a copy, so that an in-place ReLU, or one on a tensor that shares its memory, cannot
    overwrite what was recorded, and gradients with respect to it exist.
    """

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        recorded[:] = [take(first_tensor(output))]
        return replace_first(output, recorded[0].clone())

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
