"""Everything public has a numpydoc docstring whose parameters are those of the signature."""

import inspect
import re
from dataclasses import fields, is_dataclass

import pytest

import voxplain as vx

PUBLIC = {name: getattr(vx, name) for name in vx.__all__ if not name.startswith("__")}
DOCUMENTED = {n: o for n, o in PUBLIC.items() if inspect.isfunction(o) or inspect.isclass(o)}


def sections(text: str) -> dict[str, str]:
    """Section title to its text."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", inspect.cleandoc(text), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parameters(found: object) -> list[str]:
    if is_dataclass(found) and isinstance(found, type):
        return [f.name for f in fields(found) if f.init and f.metadata.get("saved", True)]
    return [n for n in inspect.signature(found).parameters if n not in ("self", "args", "kwargs")]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_docstring_lists_every_parameter(name: str) -> None:
    found = DOCUMENTED[name]
    text = found.__doc__ or ""
    assert text.strip(), "no docstring"
    first = inspect.cleandoc(text).splitlines()[0]
    assert first.endswith((".", ":")), first
    if isinstance(found, type) and issubclass(found, BaseException):
        return
    wanted = parameters(found)
    documented = set()
    for line in sections(text).get("Parameters", "").splitlines():
        if line and not line.startswith(" "):
            documented |= {n.strip().lstrip("*") for n in line.partition(" : ")[0].split(",")}
    assert documented == set(wanted)
    if inspect.isfunction(found) and inspect.signature(found).return_annotation not in (None, "None"):
        assert "Returns" in sections(text)
