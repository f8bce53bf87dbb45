"""Find gates that no module and no node of autograd's graph shows: x · (x > 0), and values picked by a comparison.

A value that is computed from the clip without a gradient, such as x > 0, is called derived. Where one decides about
values that have a gradient, rules for activations do not see the activation.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from voxplain.errors import ModelError

__all__ = ["RefuseDerivedGates"]

# They read no more than the shape and the type of a tensor.
SHAPE_ONLY = frozenset(["zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"])
# Of their first argument they read the values, of others no more than shape and type.
FIRST_ONLY = frozenset(["to", "type_as", "expand_as", "view_as", "reshape_as"])


class RefuseDerivedGates(TorchFunctionMode):
    """While on, an operation that joins a derived value with one that has a gradient raises ModelError."""

    def __init__(self, network: str) -> None:
        """For one pass of the network of that name."""
        super().__init__()
        self.network = network
        self.derived: dict[int, Tensor] = {}  # keeps the tensors, because an id is used again once its tensor is freed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        read = args[:1] if name in FIRST_ONLY else (*args, *kwargs.values())
        tensors = [] if name in SHAPE_ONLY or name.startswith("new_") else _tensors(read)
        live = any(t.requires_grad for t in tensors)
        derived = any(id(t) in self.derived and not t.requires_grad for t in tensors)
        if live and derived and torch.is_grad_enabled():
            raise ModelError(
                f"expected activations that are modules or functions of PyTorch, got a gate that {self.network} "
                f"computes from its own values (in {name}, as x * (x > 0) does); use nn.ReLU, or another method"
            )
        out = func(*args, **kwargs)
        if live or derived:
            self.derived |= {id(t): t for t in _tensors((out,)) if not t.requires_grad}
        return out


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found
