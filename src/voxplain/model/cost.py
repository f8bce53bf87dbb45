"""What a computation costs: clips through the network forward and backward, and seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from voxplain.errors import ModelError
from voxplain.model.layers import first_tensor

__all__ = ["Cost", "counted", "uncounted"]

# Of this thread or task: passes of others are counted meanwhile.
_paused: ContextVar[bool] = ContextVar("_paused", default=False)


@dataclass
class Cost:
    """Passes of a network while it was counted.

    Parameters
    ----------
    forwards, backwards : int
        Clips that passed the network forward and backward.
    seconds : float
        Wall time.
    """

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@contextmanager
def counted(net: nn.Module) -> Iterator[Cost]:
    """Count the passes of a network inside the block; it gives the same outputs and is left as it was.

    A backward pass counts when a gradient reaches the network's output. Passes of copies of the network that are made
    inside the block do not count, nor do passes inside `uncounted`.

    Parameters
    ----------
    net : nn.Module

    Yields
    ------
    Cost
        Complete after the block.

    Examples
    --------
    >>> net = nn.Flatten()
    >>> with counted(net) as cost:
    ...     _ = net(torch.zeros(5, 2))
    >>> cost.forwards
    5
    """
    cost = Cost()

    def backward(gradient: torch.Tensor) -> None:
        cost.backwards += len(gradient)

    def forward(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if module is not net or _paused.get():  # a copy has this hook, too
            return
        try:
            z = first_tensor(output)
        except ModelError:
            return
        cost.forwards += len(z)
        if z.requires_grad:
            z.register_hook(backward)

    handle = net.register_forward_hook(forward, with_kwargs=True)
    start = time.perf_counter()
    try:
        yield cost
    finally:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        cost.seconds = time.perf_counter() - start
        handle.remove()


@contextmanager
def uncounted() -> Iterator[None]:
    """Do not count passes inside the block: those that find out something of a network once, for all clips.

    Examples
    --------
    >>> net = nn.Flatten()
    >>> with counted(net) as cost, uncounted():
    ...     _ = net(torch.zeros(5, 2))
    >>> cost.forwards
    0
    """
    token = _paused.set(True)
    try:
        yield
    finally:
        _paused.reset(token)
