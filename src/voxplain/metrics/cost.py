"""What a method costs: clips through the network forward and backward, and seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from voxplain.attribution.cams.map_layer import looking
from voxplain.errors import ModelError
from voxplain.model.layers import first_tensor

__all__ = ["Cost", "counted"]


@dataclass
class Cost:
    """Clips that passed the network forward and backward while it was counted, and seconds."""

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@contextmanager
def counted(net: nn.Module) -> Iterator[Cost]:
    """Count the passes of a network inside the block; it gives the same outputs and is left as it was.

    A backward pass counts when a gradient reaches the network's output. Copies of the network made inside the block
    are not counted, nor is the pass that finds a map layer, which a network needs once for all clips.
    """
    cost = Cost()

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if module is not net or looking():  # a copy has this hook, too
            return
        try:
            z: Tensor = first_tensor(output)
        except ModelError:
            return
        cost.forwards += len(z)
        if z.requires_grad:
            z.register_hook(lambda g: _add(cost, len(g)))

    handle = net.register_forward_hook(after, with_kwargs=True)
    start = time.perf_counter()
    try:
        yield cost
    finally:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        cost.seconds = time.perf_counter() - start
        handle.remove()


def _add(cost: Cost, clips: int) -> None:
    cost.backwards += clips
