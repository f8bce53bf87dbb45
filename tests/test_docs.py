"""What the documents show is true: commands parse, names exist, links lead somewhere, no machine's paths."""

import ast
import builtins
import importlib
import inspect
import io
import re
import shlex
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

import voxplain
from voxplain.cli import settings_as_options
from voxplain.cli.app import app
from voxplain.metrics import METRICS

ROOT = Path(__file__).parents[1]
PAGES = [path for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))) if path.is_file()]
COMMANDS = (
    "attribute",
    "audit",
    "benchmark",
    "card",
    "completion",
    "concepts",
    "data",
    "evaluate",
    "demo",
    "demo-improve",
    "doctor",
    "export",
    "figure",
    "improve",
    "merge",
    "methods",
    "open",
    "own-concepts",
    "planted",
    "report",
    "reproduce",
    "roar",
    "study",
    "train",
)


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    assert {name for name in COMMANDS if not re.search(rf"voxplain {name}\b", page)} == set()


def blocks(text: str, *languages: str) -> list[str]:
    found = re.findall(r"^[ ]*```(\w*)[^\n]*\n(.*?)^[ ]*```", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def command_lines(text: str) -> list[str]:
    """The voxplain commands of a page's shell blocks, continued lines joined."""
    lines = [
        line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        for block in blocks(text, "sh", "bash", "shell", "console")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if line.startswith("voxplain ")]


def parse(line: str) -> None:
    """Read a command as the shell and the command line would, without running it; raises what it raises."""
    program, *words = shlex.split(line, comments=True)
    assert program == "voxplain"
    command, _, _ = app.parse_args(settings_as_options(words), exit_on_error=False, print_error=False)
    if not {"--help", "--version"} & set(words):
        name = words[1] if words[0] == "data" and words[1:2] in (["scuba"], ["tied"]) else words[0]
        assert command.__name__ == f"{name.replace('-', '_')}_command"


SHOWN = [(path.relative_to(ROOT).as_posix(), line) for path in PAGES for line in command_lines(path.read_text())]


def test_the_readme_shows_commands() -> None:
    shown = [body.splitlines() for body in blocks((ROOT / "README.md").read_text(), "sh", "bash")]
    assert next([line.partition("#")[0].strip() for line in body] for body in shown) == ["make demo", "make test"]
    assert len([line for page, line in SHOWN if page == "docs/commands.md"]) >= len(COMMANDS) - 3


def test_the_readme_counts_methods_and_metrics() -> None:
    text = (ROOT / "README.md").read_text()
    controls = {"random", "centre_prior", "motion_energy", "frame_constant"}
    assert f"{len(set(voxplain.ATTRIBUTIONS) - controls)} attribution methods" in text
    assert f"{len(METRICS)} metrics" in text


def test_the_readme_fits_one_screen() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 75
    assert (ROOT / "docs" / "img" / "moving.gif").stat().st_size <= 2 << 20


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_commands_in_the_documents_parse(page: str, line: str) -> None:
    parse(line)


@pytest.mark.parametrize(
    "line", ["voxplain concpts data -o run", "voxplain concepts data", "voxplain train d --nte c3d"]
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    with pytest.raises(Exception, match=r"Unknown|requires|MissingShards"):
        parse(line)


def help_of(*words: str) -> str:
    console = Console(file=io.StringIO(), width=400, color_system=None)
    app.help_print(list(words), console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_command_is_known_here() -> None:
    listed = re.findall(r"^│ (\w[\w-]*)  ", help_of(), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_examples_that_parse(name: str) -> None:
    shown = help_of(name)
    examples = [line.strip() for line in shown.splitlines() if line.strip().startswith("voxplain ")]
    assert examples
    for line in examples:
        assert line.split()[1] == name
        parse(line)


def code(page: Path) -> list[str]:
    return blocks(page.read_text(), "python", "py")


PYTHON = [(page.relative_to(ROOT).as_posix(), i) for page in PAGES for i in range(len(code(page)))]


def check_names(source: str) -> int:
    """That all names of voxplain in some Python exist, with the keywords used; returns how many were looked up."""
    tree, names, looked_up = ast.parse(source), {}, 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "voxplain":
                    module = importlib.import_module(alias.name)
                    names[alias.asname or "voxplain"] = module if alias.asname else voxplain
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "voxplain":
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(importlib.import_module(str(node.module)), alias.name)
                looked_up += 1

    def resolve(node: ast.AST) -> object:
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = resolve(node.value)
            return None if owner is None else getattr(owner, node.attr)  # AttributeError: it does not exist
        return None

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(resolve(node.value), ModuleType):
            resolve(node)
            looked_up += 1
        if isinstance(node, ast.Call) and callable(called := resolve(node.func)):
            if isinstance(called, type) and issubclass(called, BaseException):
                continue
            given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
                inspect.signature(called).bind_partial(**given)
            else:
                inspect.signature(called).bind(*node.args, **given)
    return looked_up


def test_the_readme_shows_python() -> None:
    assert sum(page == "README.md" for page, _ in PYTHON) >= 1


@pytest.mark.parametrize(("page", "number"), PYTHON)
def test_python_in_the_documents_compiles_and_its_names_exist(page: str, number: int) -> None:
    source = code(ROOT / page)[number]
    builtins.compile(source, page, "exec")
    assert check_names(source) or "voxplain" not in source


def test_python_in_the_package_docstring() -> None:
    assert voxplain.__doc__ is not None
    assert check_names(voxplain.__doc__.partition("\n\n")[2]) >= 3


@pytest.mark.parametrize(
    "source",
    [
        "import voxplain as vx\nvx.explane",
        "import voxplain as vx\nvx.load_model('c3d', weight='w.pt')",
        "import voxplain as vx\nvx.explain_concepts(model, clips)",
        "from voxplain.report import page_of_wonders",
        "import voxplain.wonders",
    ],
)
def test_a_wrong_name_would_be_found(source: str) -> None:
    with pytest.raises((AttributeError, TypeError, ImportError)):
        check_names(source)


def links(text: str) -> list[str]:
    """Targets of links and images, without those in code."""
    plain = re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", plain) + re.findall(r"(?:src|href)=\"([^\"]+)\"", plain)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


LINKS = [(page.relative_to(ROOT).as_posix(), target) for page in PAGES for target in links(page.read_text())]


def test_there_are_links() -> None:
    assert ("README.md", "CONTRIBUTING.md") in LINKS


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_links_and_images_lead_somewhere(page: str, target: str) -> None:
    path, _, heading = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    assert file.exists(), f"{page} links to {target}, which does not exist"
    assert file.resolve().is_relative_to(ROOT.resolve()), f"{page} links out of the repository"
    if heading and file.suffix == ".md":
        titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
        assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in PAGES])
def test_no_placeholder_is_left(page: str) -> None:
    assert re.findall(r"^(?:TODO|FIXME|TBD|XXX|[A-Z]+_[A-Z_]+)\b.*$", (ROOT / page).read_text(), re.MULTILINE) == []


def test_no_file_names_a_place_of_one_machine() -> None:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive without its history
        listed = [p.relative_to(ROOT).as_posix() for d in ("src", "tests", "docs") for p in (ROOT / d).rglob("*.*")]
    assert len(listed) > 100
    places = re.compile(
        "|".join(["/" + "work/", "/" + "tmp/", "/" + r"tmp\b", r"(?<![a-z])\." + "library", "/" + "root/"])
    )
    told = []
    for name in listed:
        if (ROOT / name).is_file():
            text = (ROOT / name).read_bytes().decode("utf-8", "ignore")
            if b"\0" not in (ROOT / name).read_bytes()[:1000]:
                told += [f"{name}: {match}" for match in places.findall(text)]
    assert told == []


def test_every_method_and_metric_is_told() -> None:
    page = (ROOT / "docs" / "attribution.md").read_text()
    told = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert told == set(voxplain.attribution.ATTRIBUTIONS) | set(voxplain.metrics.METRICS)
