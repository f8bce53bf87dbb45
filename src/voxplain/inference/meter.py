"""Cost of a network's forward passes inside a block: clips, seconds and operations a second."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from voxplain.inference.rate import flops, peak
from voxplain.model import VideoModel
from voxplain.model.layers import first_tensor

__all__ = ["Kind", "Meter", "Rate", "metered", "rates"]


@dataclass(frozen=True)
class Kind:
    """Passes that are alike: the shape of a clip as the network takes it, and the type of its numbers."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass
class Meter:
    """Clips and seconds of every kind of pass. Seconds are those of all threads together."""

    clips: dict[Kind, int] = field(default_factory=dict)
    seconds: dict[Kind, float] = field(default_factory=dict)


@contextmanager
def metered(net: nn.Module) -> Iterator[Meter]:
    """Measure the passes of a network and of all copies of it that are made inside the block.

    Its outputs stay the same. On a GPU the seconds are those until a pass is asked for, not until it is done.
    """
    meter, lock, begun = Meter(), threading.Lock(), threading.local()

    # Plain functions: a copy of the network takes them over as they are, and counts into the same meter.
    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        begun.at = time.perf_counter()

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        seconds = time.perf_counter() - begun.at
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        x = given[0] if given else first_tensor(output)
        kind = Kind(tuple(x.shape[1:]), x.dtype)
        with lock:
            meter.clips[kind] = meter.clips.get(kind, 0) + len(x)
            meter.seconds[kind] = meter.seconds.get(kind, 0.0) + seconds

    handles = [
        net.register_forward_pre_hook(before, with_kwargs=True),
        net.register_forward_hook(after, with_kwargs=True),
    ]
    try:
        yield meter
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Rate:
    """Passes of one kind: ``gflop`` a clip, GFLOP/s reached by all threads together, and the machine's best."""

    kind: Kind
    clips: int
    seconds: float  # wall time, as if all threads had been busy
    gflop: float
    reached: float
    peak: float

    @property
    def share(self) -> float:
        """Of the machine's best, 0–1."""
        return self.reached / self.peak


def rates(meter: Meter, model: VideoModel, threads: int) -> list[Rate]:
    """How fast the passes were on ``threads`` threads, most seconds first; measures the machine's best anew."""
    found, best = [], dict[torch.dtype, float]()
    for kind, seconds in sorted(meter.seconds.items(), key=lambda item: -item[1]):
        height, width = kind.shape[2:]  # C or T comes first, T or C second
        gflop = flops(replace(model, grid=(model.grid[0], height, width), geometry=None)) / 1e9
        if kind.dtype not in best:
            best[kind.dtype] = peak(model.device, kind.dtype)
        wall = seconds / threads
        clips = meter.clips[kind]
        found.append(Rate(kind, clips, wall, gflop, clips * gflop / wall, best[kind.dtype]))
    return found
