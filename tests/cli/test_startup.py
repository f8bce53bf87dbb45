"""Answers that need no computing import nothing heavy, in processes of their own; old names of commands."""

import io
import itertools
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from command_line import voxplain
from rich.console import Console

from voxplain.attribution import ATTRIBUTIONS
from voxplain.cli import RENAMED, settings_as_options
from voxplain.cli.app import app
from voxplain.concepts.settings import PRESETS
from voxplain.datasets.ground_truth import TRUTHS
from voxplain.datasets.planted import DESIGNS
from voxplain.metrics import METRICS
from voxplain.nets import NETS
from voxplain.version import __version__

HEAVY = ("torch", "numpy", "scipy", "sklearn", "skimage", "matplotlib", "av", "numba", "PIL", "jinja2", "ray")
COMMANDS = tuple(name for name in app if not name.startswith("-"))
PROGRAM = """
import sys
from voxplain.cli import main
sys.argv = ["voxplain", *sys.argv[1:]]
try:
    main()
finally:
    print("modules:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=120)


def heavy_imports(done: subprocess.CompletedProcess[str]) -> set[str]:
    names = next(line for line in done.stderr.splitlines() if line.startswith("modules: "))
    return set(names.split()) & set(HEAVY)


def test_no_answer_about_the_program_imports_anything_heavy() -> None:
    calls = [("--version",), ("--help",), ("--versoin",), ("train", "--nte"), *((name, "--help") for name in COMMANDS)]
    with ThreadPoolExecutor(2) as pool:
        for words, done in zip(calls, pool.map(lambda words: run(*words), calls), strict=True):
            assert heavy_imports(done) == set(), words
            wrong = words[-1] in ("--versoin", "--nte")
            assert done.returncode == (2 if wrong else 0), (words, done.stderr)
            if words == ("--version",):
                assert done.stdout == f"{__version__}\n"
            elif not wrong:
                assert f"Usage: voxplain {words[0] if words[1:] else 'COMMAND'}" in done.stdout


def test_a_command_that_computes_would_be_noticed() -> None:
    assert {"torch", "numpy"} <= heavy_imports(run("methods"))


def test_the_list_of_commands_shows_a_line_for_each() -> None:
    shown = voxplain("--help")
    assert shown.code == 0
    for name in COMMANDS:
        line = next(line for line in shown.out.splitlines() if line.startswith(f"│ {name} "))
        assert len(line.split()) > 4, f"{name} has no description"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_of_commands_work_with_a_note(old: str, new: str) -> None:
    assert new in COMMANDS
    assert old not in COMMANDS
    before, after = voxplain(old, "--help"), voxplain(new, "--help")
    assert (before.code, before.out) == (0, after.out)
    assert before.err == f"voxplain: note: `voxplain {old}` is now `voxplain {new}`\n"
    assert after.err == ""


def test_settings_are_options_of_concepts_alone() -> None:
    assert settings_as_options(["concepts", "d", "--keep", "-3", "-o", "out"]) == [
        "concepts",
        "d",
        "--set",
        "keep=-3",
        "-o",
        "out",
    ]
    for words in (["evaluate", "d", "--keep", "3"], ["benchmark", "d", "-o", "out", "--keep", "3"]):
        assert settings_as_options(words) == words
        assert voxplain(*words).sentence.startswith("Unknown option: --keep")


# The help is plain text, because the registries import torch; so this compares them.
LISTED = {
    ("concepts", "--net"): set(NETS) | {"planted"},
    ("train", "--net"): set(NETS),
    ("concepts", "--preset"): set(PRESETS),
    ("benchmark", "--truth"): set(TRUTHS),
    ("planted", "--design"): set(DESIGNS),
    ("roar", "--metrics"): {name for name, make in METRICS.items() if make().needs in ("training", "networks")},
    ("attribute", "--method"): {"grad_cam", "integrated_gradients", "occlusion"} & set(ATTRIBUTIONS),
}


@pytest.mark.parametrize(("command", "option"), LISTED)
def test_the_help_lists_the_names_of_the_registries(command: str, option: str) -> None:
    console = Console(file=io.StringIO(), width=400, color_system=None)
    app.help_print([command], console=console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    start = next(line for line in text.splitlines() if re.match(rf"│ [* ]+{option} ", line))
    lines = text.partition(start)[2].splitlines()
    more = list(itertools.takewhile(lambda line: re.match(r"│ {20}", line), lines[1:]))
    shown = set(re.findall(r"[\w-]+", " ".join([start, *more])))
    assert LISTED[command, option] <= shown
