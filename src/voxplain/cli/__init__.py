"""The command line: one thin function per command; the work is in the library."""

import sys
from collections.abc import Sequence
from dataclasses import fields

from cyclopts import App
from rich.console import Console

from voxplain.cli.concepts import concepts_command, evaluate_command
from voxplain.cli.demo import demo_command
from voxplain.cli.look import doctor_command, methods_command
from voxplain.cli.planted import planted_command
from voxplain.cli.tcav import tcav_command
from voxplain.cli.train import train_command
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import VoxplainError
from voxplain.version import __version__

__all__ = ["app", "lift_settings", "main"]

app = App(
    name="voxplain",
    version=__version__,
    help_format="plaintext",
    help="Explains video classifiers: which objects and motions a network relies on for a class, tested.",
)
app.command(concepts_command, name="concepts")
app.command(evaluate_command, name="evaluate")
app.command(demo_command, name="demo")
app.command(doctor_command, name="doctor")
app.command(methods_command, name="methods")
app.command(planted_command, name="planted")
app.command(tcav_command, name="tcav")
app.command(train_command, name="train")


def lift_settings(words: Sequence[str]) -> list[str]:
    """Turn ``--keep 30`` and ``--segmenter.segments 15 50`` into ``--set keep=30`` and so on.

    A name is a setting when its first part is a field of `ConceptSettings` that the command does not have itself.
    """
    known = {f.name for f in fields(ConceptSettings)} - {"seed"}
    lifted: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        name = word[2:].partition("=")[0].replace("-", "_")
        if not word.startswith("--") or name.partition(".")[0] not in known:
            lifted.append(word)
            continue
        values = [word.partition("=")[2]] if "=" in word else []
        while not values or (words and "=" not in word and not words[0].startswith("-")):
            if not words:
                break
            values.append(words.pop(0))
        text = values[0] if len(values) == 1 else f"[{', '.join(values)}]"
        lifted += ["--set", f"{name}={text}"]
    return lifted


def main() -> None:
    """Run a command; an error of the input is one sentence on stderr and exit code 2, without a traceback."""
    try:
        app(lift_settings(sys.argv[1:]))
    except VoxplainError as error:
        Console(stderr=True).print(f"voxplain: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("voxplain: interrupted; run the same command again to go on", markup=False)
        sys.exit(130)
