"""Arrays larger than the memory: from 64 MiB on their values are in a temporary file that is mapped.

What was touched of such an array stays in memory until `forget` is called; its values stay in the file. The file has no
name and is gone with the array, or with the process.
"""

import contextlib
import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxplain.errors import VoxplainError

__all__ = ["LARGE", "forget", "large_zeros", "pieces", "rows"]

LARGE = 64 << 20  # bytes from which an array is in a file, and after which what was touched is forgotten


class _Own(mmap.mmap):
    """A shared mapping of a file without a name: not one of the user's, whose changes may be in memory alone."""


def large_zeros(shape: tuple[int, ...], dtype: DTypeLike, *, least: int | None = None) -> NDArray[Any]:
    """An array of zeros, in memory or, from 64 MiB on, in a temporary file.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    least : int, optional
        Bytes from which it is in a file, at least a page: for one of several arrays that are kept together. By default
        64 MiB.

    Returns
    -------
    ndarray

    Raises
    ------
    VoxplainError
        Where the disk of temporary files has too little space.

    Examples
    --------
    >>> large_zeros((2, 3), np.float32).sum()
    np.float32(0.0)
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < (LARGE if least is None else max(least, mmap.PAGESIZE)):
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile(prefix="voxplain-") as file:
            # Reserved now: a full disk would end the process when a page is written, without an error to report.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            mapped = _Own(file.fileno(), size)
    except OSError as error:
        raise VoxplainError(
            f"expected {size / 1e6:.0f} MB of free space in {tempfile.gettempdir()} for frames or maps, got "
            f"{error.strerror or error}; free some, or name another folder with the variable TMPDIR"
        ) from error
    return np.frombuffer(mapped, dtype).reshape(shape)


def forget(array: NDArray[Any]) -> None:
    """Take what was touched of an array, or of that which it is a view of, out of memory, where it is in a file.

    Parameters
    ----------
    array : ndarray
        Its values stay as they are; an array in memory, or in a file of the user's, is left alone.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    if isinstance(base, _Own) and hasattr(base, "madvise"):
        with contextlib.suppress(OSError, ValueError):  # only memory is saved by it
            base.madvise(mmap.MADV_DONTNEED)


def pieces(array: NDArray[Any], size: int = 1 << 20) -> Iterator[memoryview]:
    """The bytes of an array in the order of its elements, ``size`` at a time; each part is forgotten after its use.

    Parameters
    ----------
    array : ndarray
        C-contiguous, or it is copied.
    size : int
        Bytes of a part.

    Yields
    ------
    memoryview
    """
    if not array.nbytes:
        return
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    data = flat.data
    for start in range(0, len(data), size):
        yield data[start : start + size]
        if (start + size) // LARGE != start // LARGE:
            forget(flat)
    forget(flat)


def rows(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """``array[0]``, ``array[1]`` and so on; what was used is forgotten.

    Parameters
    ----------
    array : ndarray

    Yields
    ------
    ndarray
    """
    used = 0
    for row in array:
        yield row
        used += row.nbytes
        if used >= LARGE:
            forget(array)
            used = 0
    forget(array)
