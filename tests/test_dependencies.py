"""What the package imports is declared in pyproject.toml: no more, no less."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Distributions whose module has another name.
MODULES = {"scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL", "pyyaml": "yaml"}

# IPython is there already where it is asked for, in a notebook; _typeshed exists for type checkers only.
NOT_INSTALLED = {"IPython", "_typeshed"}


def modules(requirements: list[str]) -> set[str]:
    names = [re.split(r"[<>=!~;\[ ]", line)[0].lower() for line in requirements]
    return {MODULES.get(name, name) for name in names}


def imported(nodes: list[ast.AST]) -> set[str]:
    """Top-level modules of other projects that are imported by the nodes."""
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"voxplain"} - NOT_INSTALLED


def sources() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py")]


def test_every_import_is_declared_and_every_dependency_imported() -> None:
    needed, extras = modules(PROJECT["dependencies"]), PROJECT["optional-dependencies"]
    optional = modules([line for extra, lines in extras.items() if extra != "dev" for line in lines])
    anywhere = {name for tree in sources() for name in imported(list(ast.walk(tree)))}
    assert anywhere <= needed | optional
    assert needed <= anywhere
    # What an extra brings may only be imported inside a function that can say so when it is missing.
    at_start = {name for tree in sources() for name in imported(list(tree.body))}
    assert at_start <= needed


def test_extras_have_one_lowest_version() -> None:
    zoo = ("huggingface", "names", "torchvision", "pytorchvideo", "timm")  # large, and of use only with their networks
    separate = (*zoo, "docs")  # the site is built in an environment of its own
    extras = {name: set(lines) for name, lines in PROJECT["optional-dependencies"].items() if name not in separate}
    assert all(lines <= extras["dev"] for lines in extras.values())


def test_python_versions_agree() -> None:
    versions = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert PROJECT["requires-python"] == f">={versions[0]}"
