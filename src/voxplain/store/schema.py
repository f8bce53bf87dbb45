"""The type hints of records as a schema for values that come from a file."""

import functools
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["hints_of", "misfit"]


def misfit(kind: Any, name: str, value: Any) -> str:
    """What is wrong with a value for a field of a dataclass; empty where it fits.

    Nested records are not looked into: they are checked when they are made. Hints of classes that are known to type
    checkers only allow anything.

    Examples
    --------
    >>> from voxplain.video import Clip
    >>> misfit(Clip, "damaged", "none")
    'Clip.damaged: expected int, got str'
    """
    hint = hints_of(kind).get(name, Any)
    return "" if _fits(value, hint) else f"{kind.__name__}.{name}: expected {_name(hint)}, got {_kind(value)}"


@functools.cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The type hints of a dataclass by field; none where one cannot be found at run time."""
    try:
        return typing.get_type_hints(kind)
    except NameError:
        return {}


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar | str):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin is typing.Literal:
        return value in arguments
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is np.ndarray or hint is np.ndarray:
        return isinstance(value, np.ndarray) and _of_type(value, arguments)
    if hint is float:
        return isinstance(value, float | np.floating) or type(value) is int
    if hint is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
        fixed = isinstance(value, tuple) and len(value) == len(arguments)
        return fixed and all(map(_fits, value, arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        own = isinstance(value, Mapping)
        return own and all(_fits(k, arguments[0]) and _fits(v, arguments[1]) for k, v in value.items())
    if isinstance(origin, type) and issubclass(origin, Sequence):
        own = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return own and all(_fits(item, arguments[0]) for item in value)
    kind = origin or hint
    return isinstance(value, kind) if isinstance(kind, type) else True


def _of_type(value: np.ndarray, arguments: tuple[Any, ...]) -> bool:
    """Whether an array has the number type of a hint such as NDArray[np.float32]."""
    wanted = typing.get_args(arguments[1]) if len(arguments) == 2 else ()
    if not wanted or not isinstance(wanted[0], type) or not issubclass(wanted[0], np.generic):
        return True
    return issubclass(value.dtype.type, wanted[0])


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint).replace("typing.", "")  # type: ignore[return-value]


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
