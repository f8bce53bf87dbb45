"""The trace of one forward pass: which modules ran in which order, their outputs, and what was overwritten."""

import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model.layers import evaluation_mode, first_tensor

__all__ = ["Call", "Trace", "trace"]


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Parameters
    ----------
    name : str
        Dotted name of the module.
    module : nn.Module
    shape : tuple of int
        Of the first tensor of the output; empty where there is none.
    plain : bool
        The output is a tensor, not a tuple or an object with tensors.
    value : int
        Number of the tensor; calls that return the same tensor have the same number.
    finite : bool
        No NaN and no infinity in the output.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    plain: bool
    value: int
    finite: bool


@dataclass
class Trace:
    """What `trace` recorded.

    Parameters
    ----------
    output : Tensor
        The logits, in the shape that the network gives them.
    calls : list of Call
        In the order in which the calls end.
    overwritten : dict
        Names of modules whose output was overwritten in place, and of the module that did it, "" for other code.
    """

    output: Tensor = field(default_factory=lambda: torch.empty(0))
    calls: list[Call] = field(default_factory=list)
    overwritten: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        """How often each module ran."""
        return Counter(call.name for call in self.calls)


@dataclass
class _Record:
    """An output of modules, referenced weakly so that a pass needs no more memory than without a trace."""

    tensor: weakref.ref[Tensor]
    version: int  # torch counts writes into a tensor
    value: int
    names: list[str]


class _Recorder:
    """The hooks of one pass."""

    def __init__(self) -> None:
        self.found = Trace()
        self.known: dict[int, _Record] = {}
        self.values = 0

    def current_record(self, tensor: Tensor | None, by: str) -> _Record | None:
        """The record of a tensor; marks the modules whose output has been written into since."""
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
        self.current_record(_tensor([*args, *kwargs.values()]), "")

    def after(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any) -> None:
        """Record a call."""
        tensor, leaf = _tensor(output), not any(True for _ in module.children())
        # A container's own code may write too; only for a leaf is it certain that the leaf did.
        self.current_record(_tensor([*args, *kwargs.values()]), name if leaf else "")
        known = self.current_record(tensor, name if leaf else "")
        if tensor is None:
            self.found.calls.append(Call(name, module, (), False, -1, True))
            return
        if known is None:
            self.values += 1
            known = _Record(weakref.ref(tensor), tensor._version, self.values, [])
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
def trace(net: nn.Module, x: Tensor, run: Callable[[Tensor], Tensor] | None = None) -> Trace:
    """Run a network on a prepared input in evaluation mode, and record every call.

    Parameters
    ----------
    net : nn.Module
        Left as it was found.
    x : float tensor
        Its input.
    run : callable, optional
        From ``x`` to the scores, running the network once; by default the network itself, with one tensor of scores.

    Returns
    -------
    Trace

    Examples
    --------
    >>> found = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), torch.zeros(2, 4))
    >>> [call.name for call in found.calls], found.overwritten
    (['0', '1'], {'0': '1'})
    """
    recorder, handles = _Recorder(), []
    try:
        for name, module in net.named_modules():
            if name:

                def after(m: nn.Module, a: Any, k: Any, out: Any, name: str = name) -> None:
                    recorder.after(name, m, a, k, out)

                handles.append(module.register_forward_pre_hook(recorder.before, with_kwargs=True))
                handles.append(module.register_forward_hook(after, with_kwargs=True))
        with evaluation_mode(net):
            recorder.found.output = run(x) if run else first_tensor(net(x))
    finally:
        for handle in handles:
            handle.remove()
    return recorder.found
