"""The command line: one thin function per command; the work is in the library."""

import sys

from cyclopts import App
from rich.console import Console

from voxplain import __version__
from voxplain.cli.planted import planted_command
from voxplain.cli.train import train_command
from voxplain.errors import VoxplainError

__all__ = ["app", "main"]

app = App(
    name="voxplain",
    version=__version__,
    help_format="plaintext",
    help="Explains video classifiers: which objects and motions a network relies on for a class, tested.",
)
app.command(planted_command, name="planted")
app.command(train_command, name="train")


def main() -> None:
    """Run a command; an error of the input is one sentence on stderr and exit code 2, without a traceback."""
    try:
        app(sys.argv[1:])
    except VoxplainError as error:
        Console(stderr=True).print(f"voxplain: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("voxplain: interrupted; run the same command again to go on", markup=False)
        sys.exit(130)
