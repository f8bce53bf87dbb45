"""Compilation by numba (extra `fast`); callers have an implementation without it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

__all__ = ["available", "compiled"]


@cache
def available() -> bool:
    """Whether numba is installed; checked without importing it."""
    return find_spec("numba") is not None


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in machine code, made at its first call, kept on disk, free of the interpreter while it runs.

    The arithmetic is as written: no reordering, no fused multiply-add. numba keeps the code beside the source or, where
    that cannot be written, in the user's cache folder; where neither can be written it compiles in every process.
    """
    import numba

    try:
        made: Any = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # no folder for the cache
        made = numba.njit(function, nogil=True)
    return made
