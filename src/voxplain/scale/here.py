"""`Here`: pieces of work on threads of this process."""

import os
import threading
from collections.abc import Callable
from typing import Any

from voxplain.inference import one_thread, replicas
from voxplain.model import VideoModel

__all__ = ["Here", "cores"]

_SPARE = 2 << 30  # bytes of memory a thread should find, for a batch of a large network


def cores() -> int:
    """Processor cores this process may use, as far as there are 2 GiB of memory for each; at least one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return usable
    return max(1, min(usable, memory // _SPARE))


class Here:
    """Run work in the calling thread, on one core, with a copy of the network that shares its weights.

    Called by up to ``workers`` threads at once. One core a piece, so that the bytes do not depend on how many there
    are, and because several forwards side by side keep cores busier than one forward on all of them.
    """

    def __init__(self, model: VideoModel, workers: int | None = None) -> None:
        """``workers`` threads at once; None: as many as there are cores."""
        self.model = model
        self.workers = cores() if workers is None else workers
        self._spare: list[VideoModel] = []
        self._own = threading.local()
        self._lock = threading.Lock()

    def __call__(self, work: Callable[[VideoModel], Any]) -> Any:
        """The work's result."""
        with one_thread():
            return work(self._mine())

    def _mine(self) -> VideoModel:
        if not hasattr(self._own, "model"):
            with self._lock:  # hooks of another thread must not be copied with the network
                self._own.model = replicas(self.model, 1)[0]
        return self._own.model
