"""One torch thread inside a worker thread, without changing the setting of the caller.

What holds: where torch is built with OpenMP, `torch.set_num_threads` sets the calling thread, and what every thread
that first uses torch later starts with; threads that have used torch keep theirs. Other builds have one number for
the process, which this changes while it runs.

Torch has no call for the first without the second, so that the number that new threads start with is wrong for a
moment before it is put back. `_LOCK` covers that moment and every first use of torch by a thread in this module: such a
use copies the number and also writes it back, which would make the wrong one permanent.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread

import torch

__all__ = ["one_thread", "stay_on_one_thread"]

_LOCK = Lock()


def _own() -> int:
    """The calling thread's number; waits while the one that new threads start with is wrong."""
    with _LOCK:
        return torch.get_num_threads()


def _in_fresh_thread(work: Callable[[], object]) -> object:
    """What ``work`` gives in a thread that has not used torch before."""
    found: list[object] = []
    thread = Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def _set_own(count: int) -> None:
    """Set the calling thread's number, and put back the one that new threads start with."""
    with _LOCK:
        start = int(str(_in_fresh_thread(torch.get_num_threads)))
        torch.set_num_threads(count)
        _in_fresh_thread(lambda: torch.set_num_threads(start))


def stay_on_one_thread() -> None:
    """Limit torch to the calling thread from now on; the initialiser of worker threads."""
    if _own() != 1:
        _set_own(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to the calling thread inside the block; other threads keep their own number."""
    before = _own()
    if before == 1:
        yield
        return
    _set_own(1)
    try:
        yield
    finally:
        _set_own(before)
