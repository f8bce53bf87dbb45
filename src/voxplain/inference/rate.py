"""Operations of a network, and the largest rate at which this machine computes."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv3d
from torch.utils.flop_counter import flop_registry

from voxplain.inference.operations import OperationObserver
from voxplain.model import VideoModel

__all__ = ["Count", "flops", "peak"]

_CHANNELS = (64, 128, 256, 512)


class Count(OperationObserver):
    """Counts the operations of what runs inside a ``with`` block; a multiplication with its addition counts 2.

    Matrix products and convolutions are counted, which is nearly all; element-wise work is not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation itself, counted by torch's own formula."""
        out, formula = func(*args, **(kwargs or {})), flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.operations += int(formula(*args, **(kwargs or {}), out_val=out))
        return out


def flops(model: VideoModel) -> int:
    """Operations of one clip's forward pass, as `Count` counts them."""
    model.settled()  # by a pass of its own
    with Count() as count:
        model.logits(np.zeros((1, *model.grid, 3), np.uint8), finite=False)
    return count.operations


def _works(device: torch.device, dtype: torch.dtype) -> list[tuple[float, Callable[[], object]]]:
    """Operations and call of a large matrix product and of 3×3×3 convolutions as deep networks have them."""
    n, clips = (8192, 32) if device.type == "cuda" else (1536, 1)
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay as they are

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    a, b = noise(n, n), noise(n, n)
    works: list[tuple[float, Callable[[], object]]] = [(2.0 * n**3, lambda: a @ b)]
    for channels in _CHANNELS:
        side = 28 * 128 // channels
        x = noise(clips, channels, 4, side, side).to(memory_format=torch.channels_last_3d)
        weight = noise(channels, channels, 3, 3, 3).to(memory_format=torch.channels_last_3d)
        operations = 2.0 * clips * 4 * side**2 * 27 * channels**2
        works.append((operations, lambda x=x, weight=weight: conv3d(x, weight, padding=1)))  # type: ignore[misc]
    return works


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds of one call."""
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


@torch.no_grad()
def peak(device: torch.device | str, dtype: torch.dtype, *, seconds: float = 1.0) -> float:
    """The most GFLOP/s that torch reached here in about a second, on the threads it is set to use.

    The best repeat of the best of a matrix product and 3×3×3 convolutions of 64 to 512 channels. A measured figure:
    no two runs give the same, and other load lowers it.
    """
    device, best = torch.device(device), 0.0
    works = _works(device, dtype)
    for operations, work in works:
        work()  # chooses and prepares kernels
        end = time.perf_counter() + seconds / len(works)
        while True:
            best = max(best, operations / _seconds(work, device) / 1e9)
            if time.perf_counter() >= end:
                break
    return best
