"""One forward pass of a network, written down: which module ran when, what it gave, what was overwritten."""

import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.layers import evaluation_mode, first_tensor

__all__ = ["Call", "Trace", "trace"]


@dataclass(frozen=True)
class Call:
    """One call of a module; calls are listed in the order in which they end."""

    name: str  # dotted name
    module: nn.Module
    shape: tuple[int, ...]  # of the first tensor of the output; () where there is none
    plain: bool  # the output is a tensor, not a tuple or an object with tensors
    value: int  # number of the tensor: calls that hand on the very same tensor share it
    finite: bool


@dataclass
class Trace:
    """What `trace` found."""

    output: Tensor = field(default_factory=lambda: torch.empty(0))  # the logits, shape as the network gives them
    calls: list[Call] = field(default_factory=list)
    overwritten: dict[str, str] = field(default_factory=dict)  # module → the module ("" = none) that did it

    @property
    def counts(self) -> Counter[str]:
        """How often each module ran."""
        return Counter(call.name for call in self.calls)


@dataclass
class _Known:
    """A tensor that modules gave, held weakly so that a pass needs no more memory than without us."""

    tensor: weakref.ref[Tensor]
    version: int  # torch counts writes into a tensor
    value: int
    names: list[str]


class _Recorder:
    """The hooks of one pass."""

    def __init__(self) -> None:
        self.found = Trace()
        self.known: dict[int, _Known] = {}
        self.values = 0

    def look(self, tensor: Tensor | None, by: str) -> _Known | None:
        """What is known of a tensor; notes the modules whose output has been written into since."""
        known = self.known.get(id(tensor))
        if tensor is None or known is None or known.tensor() is not tensor:
            return None
        if tensor._version == known.version:
            return known
        for name in known.names:
            self.found.overwritten.setdefault(name, by)
        del self.known[id(tensor)]
        return None

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A tensor that changed between two modules was overwritten by code outside of modules."""
        self.look(_tensor([*args, *kwargs.values()]), "")

    def after(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any) -> None:
        """Write down a call."""
        tensor, leaf = _tensor(output), not any(True for _ in module.children())
        # A container's own code may write too; only of a leaf is it certain that the leaf did it.
        self.look(_tensor([*args, *kwargs.values()]), name if leaf else "")
        known = self.look(tensor, name if leaf else "")
        if tensor is None:
            self.found.calls.append(Call(name, module, (), False, -1, True))
            return
        if known is None:
            self.values += 1
            known = _Known(weakref.ref(tensor), tensor._version, self.values, [])
            self.known[id(tensor)] = known
        known.names.append(name)
        finite = bool(torch.isfinite(tensor).all())
        shape = tuple(tensor.shape)
        self.found.calls.append(Call(name, module, shape, output is tensor, known.value, finite))


def _tensor(output: Any) -> Tensor | None:
    try:
        return first_tensor(output)
    except ModelError:
        return None


@torch.no_grad()
def trace(net: nn.Module, x: Tensor) -> Trace:
    """Run a network on a prepared input in evaluation mode, and write down every call."""
    recorder, handles = _Recorder(), []
    try:
        for name, module in net.named_modules():
            if name:

                def after(m: nn.Module, a: Any, k: Any, out: Any, name: str = name) -> None:
                    recorder.after(name, m, a, k, out)

                handles.append(module.register_forward_pre_hook(recorder.before, with_kwargs=True))
                handles.append(module.register_forward_hook(after, with_kwargs=True))
        with evaluation_mode(net):
            recorder.found.output = first_tensor(net(x))
    finally:
        for handle in handles:
            handle.remove()
    return recorder.found
