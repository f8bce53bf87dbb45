"""The completion scripts, run by the shells that are there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import voxplain

# Asks bash's completion for the last of some words.
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
name=$(complete -p voxplain | sed -E 's/.*-F ([^ ]+).*/\\1/')
"$name" voxplain "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "folder" / "voxplain"
    done = voxplain("completion", "bash", "-o", path)
    assert done.code == 0, done.err
    assert done.out == f"completion: {path}\n"
    return path


def completed(script: Path, *words: str) -> list[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    done = subprocess.run([bash, "-c", ASK, "ask", script, "voxplain", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_commands_complete(script: Path) -> None:
    assert completed(script, "conc") == ["concepts"]
    assert {"attribute", "audit"} <= set(completed(script, "a"))


def test_options_of_a_command_complete(script: Path) -> None:
    assert "--crop" in completed(script, "attribute", "--cr")
    assert "--epochs" in completed(script, "train", "--ep")
    assert "--epochs" not in completed(script, "attribute", "--ep")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_name_the_commands(shell: str) -> None:
    done = voxplain("completion", shell)
    assert done.code == 0
    assert all(word in done.out for word in ("voxplain", "concepts", "evaluate", "attribute"))
    program = shutil.which(shell)
    if program is not None:
        assert subprocess.run([program, "-n"], input=done.out, text=True, capture_output=True).returncode == 0
