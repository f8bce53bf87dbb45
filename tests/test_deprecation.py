"""Deprecated names warn and work, and none outlives the version that was to remove it."""

import ast
import doctest
import inspect
import warnings
from pathlib import Path

import pytest

import voxplain
from voxplain import deprecation
from voxplain.deprecation import deprecated, renamed_parameter

PACKAGE = Path(voxplain.__file__).parent


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def overdue(source: str, version: str) -> list[str]:
    """The ``removed_in`` of calls in some Python that the version has reached."""
    keywords = [k for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) for k in node.keywords]
    said = [k.value.value for k in keywords if k.arg == "removed_in" and isinstance(k.value, ast.Constant)]
    return [text for text in said if numbers(text) <= numbers(version)]


def test_nothing_is_overdue() -> None:
    texts = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "deprecation.py"]
    texts = [text for text in texts if "removed_in=" in text]
    assert texts
    assert [found for text in texts for found in overdue(text, voxplain.__version__)] == []


def test_an_overdue_name_would_be_found() -> None:
    source = 'warn_deprecated("a", instead="b", since="0.9", removed_in="0.10")'
    assert overdue(source, "0.9.3") == []
    assert overdue(source, "0.10.0") == ["0.10"]
    assert overdue(source, "1.0") == ["0.10"]


def test_a_deprecated_function_warns_where_it_is_called() -> None:
    @deprecated(instead="there", since="0.1", removed_in="9.0")
    def here(value: int, *, more: int = 1) -> int:
        """Add two numbers.

        Parameters
        ----------
        value, more : int
        """
        return value + more

    with pytest.warns(FutureWarning, match=r"^here is deprecated since 0\.1 .* in 9\.0; use there$") as shown:
        assert here(2, more=5) == 7
    assert [Path(one.filename).name for one in shown] == ["test_deprecation.py"]
    assert list(inspect.signature(here).parameters) == ["value", "more"]
    told = inspect.getdoc(here) or ""
    assert told.startswith("Add two numbers.\n\n.. deprecated:: 0.1\n   Will be removed in 9.0; use there.\n\nParam")


def test_a_renamed_parameter() -> None:
    @renamed_parameter("size", "length", since="0.1", removed_in="9.0")
    def double(*, length: int) -> int:
        return 2 * length

    assert double(length=4) == 8  # a warning would be an error
    with pytest.warns(FutureWarning, match=r"^double\(size=…\) is deprecated") as shown:
        assert double(size=4) == 8  # type: ignore[call-arg]
    assert [Path(one.filename).name for one in shown] == ["test_deprecation.py"]
    with pytest.raises(TypeError, match="got both"):
        double(size=4, length=4)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="expected wide among the parameters of double"):
        renamed_parameter("size", "wide", since="0.1", removed_in="9.0")(double)


def test_the_examples() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the tests' own filter makes errors of them
        found = doctest.testmod(deprecation)
    assert found.attempted >= 6
    assert found.failed == 0
