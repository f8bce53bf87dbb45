"""Training in several processes, one a GPU or one a CPU, each with its part of every batch.

Start them with ``torchrun --nproc_per_node 2 -m voxplain train …``. accelerate, imported only then, exchanges their
tensors.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import MissingExtra

__all__ = ["ALONE", "Processes", "launched"]


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Parameters
    ----------
    rank : int
        Index of this process, from 0; only rank 0 writes and prints.
    count : int
        Number of processes.
    device : torch.device, optional
        Device of this process; None: as the caller chooses.

    Examples
    --------
    >>> Processes(rank=1, count=2).part([10, 20, 30])
    array([30])
    """

    rank: int = 0
    count: int = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def part(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """This process's part of a list of integers, int64 [n]; the parts differ by at most one item."""
        return np.array_split(np.asarray(numbers, np.int64), self.count)[self.rank]

    def total(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor summed over the processes, in one exchange."""
        if self.count == 1 or not values:
            return list(values)
        from accelerate.utils import reduce

        flat: Tensor = reduce(torch.cat([v.detach().reshape(-1) for v in values]), reduction="sum")
        parts = flat.split([v.numel() for v in values])
        return [part.view(v.shape).to(v.dtype) for part, v in zip(parts, values, strict=True)]

    def total_gradients(self, net: nn.Module, *also: Tensor) -> list[Tensor]:
        """Sum the gradients of all processes into each one's; returns ``also`` summed."""
        if self.count == 1:
            return list(also)
        used = [p for p in net.parameters() if p.grad is not None]
        sums = self.total([*(p.grad for p in used if p.grad is not None), *also])
        for p, gradient in zip(used, sums[: len(used)], strict=True):
            p.grad = gradient
        return sums[len(used) :]

    def same_start(self, net: nn.Module) -> None:
        """Copy the weights and buffers of the first process to all."""
        if self.count > 1:
            self._replace(net, [v if self.first else torch.zeros_like(v) for v in net.state_dict().values()])

    def average_statistics(self, net: nn.Module) -> None:
        """Average BatchNorm's running statistics, which each process computes over its own clips only."""
        own = [b for b in net.buffers() if b.is_floating_point()]
        if self.count > 1:
            for b, mean in zip(own, self.total([b / self.count for b in own]), strict=True):
                b.copy_(mean)

    @torch.no_grad()
    def _replace(self, net: nn.Module, values: list[Tensor]) -> None:
        for v, new in zip(net.state_dict().values(), self.total(values), strict=True):
            v.copy_(new)


ALONE = Processes()


def launched(device: str | None = None) -> Processes:
    """Find the processes that a launcher such as torchrun started.

    Parameters
    ----------
    device : str, optional
        "cpu" for training on processors; default: GPUs where there are some.

    Returns
    -------
    Processes
        `ALONE` where no launcher was used.

    Raises
    ------
    MissingExtra
        When several processes were started and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ALONE
    try:
        # Its functions take the group that exists when it is imported, which torch's optimisers do, as their default:
        # so imported later it would keep the connections open past `destroy_process_group`, and their threads abort
        # the process now and then while the interpreter ends.
        import torch.distributed.nn.functional
        from accelerate import PartialState
    except ImportError:
        raise MissingExtra(
            f"expected accelerate for training in {os.environ['WORLD_SIZE']} processes, got none installed; "
            "pip install 'voxplain[train]', or start one process"
        ) from None
    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
    atexit.register(state.destroy_process_group)
    return Processes(state.process_index, state.num_processes, state.device)
