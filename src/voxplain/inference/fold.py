"""Fold batch norm into the convolution or linear layer before it, in any network.

In evaluation batch norm is one multiplication and one addition a channel, which the layer before it can do with other
weights: y = (w·x + b − m)·g/√(v + ε) + β = w'·x + b'. Which layers may be folded is
observed in one pass, not read from code.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from voxplain.errors import ModelError
from voxplain.inference.operations import OperationObserver
from voxplain.model import Frames, VideoModel
from voxplain.model.layers import evaluation_mode, find_layer

__all__ = ["copied", "fold", "fold_batch_norm"]

# Exact types: a class of one's own may do anything in its forward.
_LINEAR: dict[type, int] = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}  # axes of a batch of outputs
_NORMS: tuple[type, ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def copied(net: nn.Module) -> nn.Module:
    """A deep copy of a network, in evaluation mode, whose weights take no gradient. ModelError when it has none."""
    try:
        duplicate = copy.deepcopy(net)
    except Exception as error:  # whatever a network's own parts raise
        raise ModelError(
            f"expected a network that can be copied, got {type(error).__name__} from copy.deepcopy: {error}; "
            "keep open files, locks and computed tensors out of it"
        ) from None
    return duplicate.eval().requires_grad_(False)


@dataclass(eq=False)
class _Uses(OperationObserver):
    """Inside which modules the operations of a pass read the tensors that are of interest."""

    inside: list[nn.Module] = field(default_factory=list)
    readers: dict[int, set[nn.Module | None]] = field(default_factory=dict)  # by id; whose ids are in it stays alive

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        reader = self.inside[-1] if self.inside else None
        for value in tree_leaves((args, kwargs or {})):
            if isinstance(value, Tensor) and id(value) in self.readers:
                self.readers[id(value)].add(reader)
        return func(*args, **(kwargs or {}))


@dataclass(eq=False)
class _Pass:
    """What one pass showed: calls of each module, who made and who took each tensor."""

    uses: _Uses = field(default_factory=_Uses)
    calls: Counter[nn.Module] = field(default_factory=Counter)
    made: dict[int, nn.Module] = field(default_factory=dict)  # id of an output → the linear layer
    took: dict[nn.Module, Tensor] = field(default_factory=dict)  # batch norm → its input
    shown: set[int] = field(default_factory=set)  # ids of outputs of the network and of the recorded layer
    kept: list[Any] = field(default_factory=list)  # alive to the end of the pass, so that ids stay unique

    def before(self, module: nn.Module, inputs: Any) -> None:
        self.uses.inside.append(module)
        if type(module) in _NORMS and inputs and isinstance(inputs[0], Tensor):
            self.took[module] = inputs[0]

    def after(self, module: nn.Module, _: Any, output: Any) -> None:
        self.uses.inside.pop()
        self.calls[module] += 1
        if type(module) in _LINEAR and isinstance(output, Tensor):
            self.kept.append(output)
            self.made[id(output)] = module
            self.uses.readers[id(output)] = set()

    def show(self, *output: Any) -> None:
        self.kept.append(output)
        self.shown |= {id(v) for v in tree_leaves(output)}


@contextmanager
def _hooked(net: nn.Module, seen: _Pass, layer: nn.Module) -> Iterator[None]:
    with ExitStack() as hooks:
        for module in net.modules():
            for handle in (module.register_forward_pre_hook(seen.before), module.register_forward_hook(seen.after)):
                hooks.callback(handle.remove)
        hooks.callback(layer.register_forward_hook(lambda _, __, output: seen.show(output)).remove)
        yield


def _observe(net: nn.Module, x: Tensor, layer: nn.Module) -> _Pass:
    seen = _Pass()
    seen.uses.readers |= {id(v): set() for v in [*net.parameters(), *net.buffers()]}
    with torch.no_grad(), _hooked(net, seen, layer), seen.uses:
        seen.show(net(x))
    return seen


def _changed_from_outside(module: nn.Module) -> bool:
    """Hooks and parametrisations (weight norm, spectral norm) may give a layer other weights than it shows."""
    return any(getattr(module, kind) for kind in _HOOKS) or hasattr(module, "parametrizations")


def _foldable(seen: _Pass, linear: nn.Module, norm: nn.Module, layer: nn.Module, owners: Counter[int]) -> bool:
    """Whether only the batch norm reads the layer's output, and only the layer its weights."""
    value = seen.took[norm]
    own = [*linear.parameters(), *norm.parameters(), *norm.buffers()]
    return (
        seen.calls[linear] == seen.calls[norm] == 1
        and value.ndim == _LINEAR[type(linear)]
        and layer is not linear
        and layer is not norm
        and id(value) not in seen.shown
        and seen.uses.readers[id(value)] <= {norm}
        and getattr(norm, "running_mean", None) is not None
        and all(owners[id(v)] == 1 for v in own)
        and all(seen.uses.readers[id(v)] <= {linear, norm} for v in own)
    )


@torch.no_grad()
def _fold_pair(linear: Any, norm: Any) -> None:
    """Set the linear layer's weights to those of both; computed in float64, so that only the last digit changes."""
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    scale = scale * norm.weight.double() if norm.weight is not None else scale
    shift = norm.bias.double() if norm.bias is not None else torch.zeros_like(scale)
    bias = linear.bias.double() if linear.bias is not None else torch.zeros_like(scale)
    kind = linear.weight.dtype
    weight = linear.weight.double() * scale.view(-1, *[1] * (linear.weight.ndim - 1))
    linear.weight = nn.Parameter(weight.to(kind), requires_grad=False)
    linear.bias = nn.Parameter((shift + (bias - norm.running_mean.double()) * scale).to(kind), requires_grad=False)


def fold_batch_norm(net: nn.Module, x: Tensor, layer: nn.Module) -> list[str]:
    """Fold what can be folded, in place, and return the dotted names of the batch norms that became Identity.

    ``x`` is one prepared clip, ``layer`` the module whose output is recorded; it and the layer before it are unchanged.
    A pair is left alone when either is called more than once, shares weights, has hooks, or when anything else reads
    what lies between them (a residual sum, the network's own output). What Python does with a tensor outside of torch
    is not observed: compare the outputs.
    """
    touched = {m for m in net.modules() if _changed_from_outside(m)}
    seen = _observe(net, x, layer)
    owners = Counter(id(v) for m in net.modules() for v in [*m._parameters.values(), *m._buffers.values()])
    folded: dict[int, nn.Module] = {}
    for norm, value in seen.took.items():
        linear = seen.made.get(id(value))
        if linear is None or {linear, norm} & touched:
            continue
        if _foldable(seen, linear, norm, layer, owners):
            _fold_pair(linear, norm)
            folded[id(norm)] = nn.Identity().eval()
    names = []
    for name, module in [*net.named_modules(remove_duplicate=False)]:
        if id(module) in folded:
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, folded[id(module)])
            names.append(name)
    return names


def fold(model: VideoModel, frames: Frames) -> tuple[nn.Module, list[str]]:
    """A copy of the model's network with batch norm folded, and the names of what was folded.

    The pass that finds the pairs is of the first of ``frames`` uint8 [N,T,H,W,3]. The model is left as it was.
    Raises ModelError when the network cannot be copied.
    """
    net = copied(model.net)
    with evaluation_mode(net):
        return net, fold_batch_norm(net, model.prepare(frames[:1]), find_layer(net, model.layer))
