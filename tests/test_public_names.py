"""`import voxplain` is light, and its names are all there: loaded late, seen by type checkers, as documented."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import voxplain

HEAVY = ("sklearn", "skimage", "matplotlib", "av", "rich", "jinja2", "scipy", "numba", "PIL", "ray", "cyclopts", "yaml")


def imported_after(code: str) -> set[str]:
    """The top-level modules in memory after some Python in a process of its own."""
    ask = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout.split())


def test_import_voxplain_imports_nothing_heavy():
    found = imported_after("import voxplain")
    assert "voxplain" in found
    assert not found & {*HEAVY, "torch", "numpy", "safetensors"}


@pytest.mark.parametrize(
    "code",
    [
        "voxplain.load_model('planted')",
        "voxplain.VideoModel",
        "voxplain.GradCAM",
        "voxplain.Insertion",
        "voxplain.STEP",
        "voxplain.KMeans",
        "voxplain.SLIC",
        "voxplain.Clip",
        "voxplain.read_planted",
    ],
)
def test_models_and_methods_import_no_more_than_torch(code):
    assert not imported_after(f"import voxplain; {code}") & set(HEAVY)


def test_every_name_is_what_its_module_holds():
    assert len(set(voxplain.__all__)) == len(voxplain.__all__)
    for module, names in voxplain.PUBLIC.items():
        for name in names.split():
            assert getattr(voxplain, name) is getattr(importlib.import_module(f"voxplain.{module}"), name)
    assert set(voxplain.__all__) <= set(dir(voxplain))
    assert voxplain.attribution is importlib.import_module("voxplain.attribution")
    with pytest.raises(AttributeError, match="module 'voxplain' has no attribute 'nonsense'"):
        _ = voxplain.nonsense


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(str(voxplain.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found: dict[str, set[str]] = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        module = str(line.module).removeprefix("voxplain").removeprefix(".")
        for alias in line.names:
            assert alias.name in ("*", alias.asname)  # or strict checkers would not pass it on
            star = alias.name == "*"
            names = importlib.import_module(f"voxplain.{module}").__all__ if star else [alias.name]
            found.setdefault(module, set()).update(names)
    assert found.pop("") == {"attribution", "metrics"}
    assert found == {module: set(names.split()) for module, names in voxplain.PUBLIC.items()}


def test_everything_public_has_a_docstring():
    for name in voxplain.__all__:
        value = getattr(voxplain, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
