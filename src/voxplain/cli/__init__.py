"""The command line: one thin function per command; the work is in the library."""

import io
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import NoReturn

from cyclopts import App, CycloptsError
from rich.console import Console

from voxplain.cli.attribute import attribute_command
from voxplain.cli.benchmark import benchmark_command
from voxplain.cli.concepts import concepts_command, evaluate_command
from voxplain.cli.data import data_command
from voxplain.cli.demo import demo_command
from voxplain.cli.figure import figure_command
from voxplain.cli.merge import merge_command
from voxplain.cli.methods import doctor_command, methods_command
from voxplain.cli.own_concepts import tcav_command
from voxplain.cli.planted import planted_command
from voxplain.cli.report import report_command
from voxplain.cli.reproduce import reproduce_command
from voxplain.cli.roar import retrain_command
from voxplain.cli.train import train_command
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import VoxplainError
from voxplain.version import __version__

__all__ = ["app", "main", "settings_as_options"]

app = App(
    name="voxplain",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # main says how to go on
    help="Explains video classifiers: which objects and motions a network relies on for a class, tested.",
)
app.command(attribute_command, name="attribute")
app.command(benchmark_command, name="benchmark")
app.command(concepts_command, name="concepts")
app.command(evaluate_command, name="evaluate")
app.command(data_command, name="data")
app.command(demo_command, name="demo")
app.command(doctor_command, name="doctor")
app.command(figure_command, name="figure")
app.command(merge_command, name="merge")
app.command(methods_command, name="methods")
app.command(planted_command, name="planted")
app.command(report_command, name="report")
app.command(reproduce_command, name="reproduce")
app.command(retrain_command, name="retrain")
app.command(tcav_command, name="tcav")
app.command(train_command, name="train")


def settings_as_options(words: Sequence[str]) -> list[str]:
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold bytes that no encoding can print
            stream.reconfigure(errors="backslashreplace")
    try:
        app(settings_as_options(sys.argv[1:]), exit_on_error=False, print_error=False)
    except VoxplainError as error:
        _stop(str(error), 2)
    except CycloptsError as error:
        told = " ".join(str(error).split()).rstrip(".")
        _stop(f"{told}; `voxplain --help`, or --help behind a command, shows what it takes", 2)
    except OSError as error:
        place = error.filename or "the disk"
        _stop(
            f"expected to read or write {place}, got: {error.strerror or error}; check path, permissions and space", 2
        )
    except KeyboardInterrupt:
        _stop("interrupted; run the same command again to go on", 130)


def _stop(sentence: str, code: int) -> NoReturn:
    console = Console(stderr=True)
    console.print(f"voxplain: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
