"""Deprecated names and parameters: they work for one more minor version, with a `FutureWarning` that names the new one.

Both decorators take the version that first warned, ``since``, and the one that removes the old name, ``removed_in``; a
test fails as soon as the package reaches ``removed_in`` and the old name is still there. A deprecated class is an old
name of the new class: wrap a function that returns it.
"""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["deprecated", "renamed_parameter", "warn_deprecated"]

P = ParamSpec("P")
R = TypeVar("R")


def warn_deprecated(old: str, *, instead: str, since: str, removed_in: str, stacklevel: int = 3) -> None:
    """Warn that a name is deprecated.

    Parameters
    ----------
    old, instead : str
        What was used, and what to use.
    since, removed_in : str
        Version that first warned, and the one without the old name.
    stacklevel : int
        Frames between here and the user's line, as for `warnings.warn`; 3 for a function that is called by the user.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True, action="always") as shown:
    ...     warn_deprecated("method 'a'", instead="method 'b'", since="0.1", removed_in="0.2")
    >>> str(shown[0].message)
    "method 'a' is deprecated since 0.1 and will be removed in 0.2; use method 'b'"
    """
    text = f"{old} is deprecated since {since} and will be removed in {removed_in}; use {instead}"
    warnings.warn(text, FutureWarning, stacklevel=stacklevel)


def deprecated(*, instead: str, since: str, removed_in: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function that will be removed, so that its call warns and its docstring says so.

    Parameters
    ----------
    instead : str
        What to use.
    since, removed_in : str
        Version that first warns, and the one without the function.

    Returns
    -------
    decorator
        From a function to one with the same signature.

    Examples
    --------
    >>> @deprecated(instead="new", since="0.1", removed_in="0.2")
    ... def old():
    ...     return 3
    >>> with warnings.catch_warnings(record=True, action="always") as shown:
    ...     old()
    3
    >>> str(shown[0].message)
    'old is deprecated since 0.1 and will be removed in 0.2; use new'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            warn_deprecated(function.__name__, instead=instead, since=since, removed_in=removed_in)
            return function(*args, **kwargs)

        first, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
        note = f".. deprecated:: {since}\n   Will be removed in {removed_in}; use {instead}."
        wrapped.__doc__ = "\n\n".join(part for part in (first, note, rest) if part)
        return wrapped

    return decorate


def renamed_parameter(old: str, new: str, *, since: str, removed_in: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it still accepts the old name of a keyword.

    Parameters
    ----------
    old, new : str
        The two names.
    since, removed_in : str
        Version that first warns, and the one without the old name.

    Returns
    -------
    decorator
        From a function to one with the same signature.

    Raises
    ------
    TypeError
        From the decorated function, when both names are given; when ``new`` is not one of its parameters, at once.

    Examples
    --------
    >>> @renamed_parameter("size", "length", since="0.1", removed_in="0.2")
    ... def double(*, length):
    ...     return 2 * length
    >>> with warnings.catch_warnings(record=True, action="always") as shown:
    ...     double(size=4)
    8
    >>> str(shown[0].message)
    'double(size=…) is deprecated since 0.1 and will be removed in 0.2; use length'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if new not in inspect.signature(function).parameters:
            raise TypeError(f"expected {new} among the parameters of {function.__name__}")

        @wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"expected {new} or {old}, got both; {old} is its old name, so leave that out")
                warn_deprecated(f"{function.__name__}({old}=…)", instead=new, since=since, removed_in=removed_in)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapped

    return decorate
