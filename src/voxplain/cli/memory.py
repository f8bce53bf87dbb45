"""`--max-memory`, and the forecast of memory of `voxplain concepts --dry-run`."""

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from voxplain.errors import DataError

__all__ = ["Forecast", "peak_of", "present", "read_bytes", "readable_bytes"]

T = TypeVar("T")
_UNITS = {"M": 1 << 20, "MB": 1 << 20, "MiB": 1 << 20, "G": 1 << 30, "GB": 1 << 30, "GiB": 1 << 30}


def read_bytes(text: str) -> int:
    """Bytes of an amount of memory.

    Parameters
    ----------
    text : str
        A number and M or G: 800M, 1.5G.

    Returns
    -------
    int
        Bytes, above 0; M and G are powers of 1024.

    Raises
    ------
    DataError
        For any other text.

    Examples
    --------
    >>> read_bytes("1.5G")
    1610612736
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG](?:i?B)?)", text)
    if not match or float(match[1]) <= 0:
        raise DataError(f"expected memory such as 800M or 4G, got {text!r}; write a number and M or G")
    return int(float(match[1]) * _UNITS[match[2]])


def readable_bytes(count: float) -> str:
    """Bytes in MiB, or in GiB from one on.

    Parameters
    ----------
    count : float

    Returns
    -------
    str

    Examples
    --------
    >>> readable_bytes(3 << 29), readable_bytes(5 << 20)
    ('1.5 GiB', '5 MiB')
    """
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"


def peak_of(work: Callable[[], T]) -> tuple[T, int | None]:
    """What ``work`` gives, and by how many bytes the memory of this process rose meanwhile.

    Parameters
    ----------
    work : callable

    Returns
    -------
    (object, int or None)
        None where the system does not tell.
    """
    try:
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)  # what earlier work has freed would be used again, and not seen
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is set to the present memory
        before = _status("VmRSS")
    except (OSError, ValueError, TypeError):
        return work(), None
    result = work()
    return result, max(0, _status("VmHWM") - before)


def present() -> int | None:
    """Bytes of memory of this process; None where the system does not tell."""
    try:
        return _status("VmRSS")
    except (OSError, ValueError):
        return None


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {name}")


@dataclass(frozen=True)
class Forecast:
    """Memory that a run takes, in bytes.

    Parameters
    ----------
    loaded : int
        Of the program and the network, as they are now.
    worker : int
        More for each clip that is computed at the same time.
    kept : int
        Videos, labels and features that stay in memory.

    Examples
    --------
    >>> forecast = Forecast(loaded=500 << 20, worker=100 << 20, kept=200 << 20)
    >>> forecast.total(2) >> 20, forecast.workers(1 << 30, 8)
    (900, 3)
    """

    loaded: int
    worker: int
    kept: int

    def total(self, workers: int) -> int:
        """Bytes with this many workers.

        Parameters
        ----------
        workers : int

        Returns
        -------
        int
        """
        return self.loaded + self.kept + workers * self.worker

    def workers(self, limit: int, most: int) -> int:
        """Workers whose run stays within the limit.

        Parameters
        ----------
        limit : int
            Bytes.
        most : int
            Workers at most.

        Returns
        -------
        int
            0 where one is too many.
        """
        if self.total(most) <= limit:
            return most
        return max(0, (limit - self.loaded - self.kept) // max(self.worker, 1))

    def sentence(self, workers: int) -> str:
        """What the run takes, in words.

        Parameters
        ----------
        workers : int

        Returns
        -------
        str
        """
        return (
            f"memory: about {readable_bytes(self.total(workers))} with {workers} workers: "
            f"{readable_bytes(self.loaded)} for the program and the network, {readable_bytes(self.worker)} a worker, "
            f"{readable_bytes(self.kept)} for videos and features"
        )
