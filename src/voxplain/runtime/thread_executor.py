"""`ThreadExecutor`: tasks on threads of this process."""

import os
import threading
from contextlib import nullcontext
from typing import Any

from voxplain.errors import ModelError
from voxplain.inference import one_thread, replicas
from voxplain.model import VideoModel
from voxplain.runtime.task import Task

__all__ = ["MEMORY_OF_A_WORKER", "ThreadExecutor", "cores"]

ON_DEVICE = 3  # pieces at once that use one GPU: enough to keep it busy while others cut crops; each holds a batch
MEMORY_OF_A_WORKER = 2 << 30  # bytes of memory a thread should find, for a batch of a large network


def cores() -> int:
    """Processor cores this process may use, as far as there are 2 GiB of memory for each; at least one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return usable
    return max(1, min(usable, memory // MEMORY_OF_A_WORKER))


class ThreadExecutor:
    """Compute tasks in the calling thread, on one core, with a copy of the network that shares its weights.

    Called by up to ``workers`` threads at once. A task uses one core, so that results do not depend on the number of
    workers, and because several forward passes side by side use the cores better than one pass on all of them.
    """

    def __init__(self, model: VideoModel, workers: int | None = None) -> None:
        """``workers`` threads at once; None: as many as there are cores."""
        self.model = model
        self.workers = cores() if workers is None else workers
        try:
            self._spare = replicas(model, 1)
        except ModelError:  # a network that cannot be copied is used by one thread, as it is
            self._spare, self.workers = [model], 1
        self._lock = threading.Lock()
        on_device = self.workers if model.device.type == "cpu" else min(self.workers, ON_DEVICE)
        self._gate = threading.BoundedSemaphore(on_device)

    def __call__(self, task: Task[Any]) -> Any:
        """What ``task.compute`` returns."""
        gate = self._gate if task.uses_network else nullcontext()
        model = self._take()
        try:
            with one_thread(), gate:
                return task.compute(model)
        finally:
            self._spare.append(model)

    def _take(self) -> VideoModel:
        """A copy that no other thread is using."""
        with self._lock:
            return self._spare.pop() if self._spare else replicas(self.model, 1)[0]
