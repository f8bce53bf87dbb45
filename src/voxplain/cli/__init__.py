"""The command line: one thin function per command; the work is in the library.

The modules that define commands import nothing heavy: torch and the like are imported inside the functions that need
them, so that ``--version`` and ``--help`` answer at once.
"""

import io
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import NoReturn

from voxplain.errors import VoxplainError
from voxplain.version import __version__

__all__ = ["RENAMED", "main", "settings_as_options"]

RENAMED = {"retrain": "roar", "tcav": "own-concepts"}  # old name of a command → its name; until version 0.2


def settings_as_options(words: Sequence[str]) -> list[str]:
    """Rewrite ``--keep 30`` as ``--set keep=30``, and ``--thorough`` as the effect's field, for `concepts` and `audit`.

    A name is a setting when its first part is a field of `ConceptSettings` that the command does not have itself.
    cyclopts cannot do this with nested dataclasses, because the class of a setting depends on its value: after
    ``--segmenter grid`` the fields of ``segmenter`` are those of `Grid`.

    Parameters
    ----------
    words : sequence of str
        The command line behind the program's name.

    Returns
    -------
    list of str
        The same words for all other commands.

    Examples
    --------
    >>> settings_as_options(["concepts", "data", "--segmenter.explained", "0.8", "0.95", "--class", "bend"])
    ['concepts', 'data', '--set', 'segmenter.explained=[0.8, 0.95]', '--class', 'bend']
    """
    rest = list(words)
    if rest[:1] not in (["concepts"], ["audit"]) or {"--help", "-h"} & set(rest):
        return rest
    from voxplain.concepts.settings import ConceptSettings

    settings = {f.name for f in fields(ConceptSettings)} - {"seed"}
    rewritten: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--thorough":
            rewritten += ["--set", "effect.thorough=true"]
            continue
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not word.startswith("--") or name.partition(".")[0] not in settings:
            rewritten.append(word)
            continue
        values = [value] if equals else []
        while rest and not equals and not (values and rest[0].startswith("-")):
            values.append(rest.pop(0))
        text = values[0] if len(values) == 1 else f"[{', '.join(values)}]"
        rewritten += ["--set", f"{name}={text}"]
    return rewritten


def main() -> None:
    """Run a command.

    An error of the input is one sentence on stderr and exit code 2, without a traceback; a command that is done but
    for parts that it reports ends with exit code 3, or 1 with --strict; an interrupted one with exit code 130.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold bytes that no encoding can print
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:]
    if words == ["--version"]:
        print(__version__)
        return
    if words and words[0] in RENAMED:
        name = RENAMED[words[0]]
        print(f"voxplain: note: `voxplain {words[0]}` is now `voxplain {name}`", file=sys.stderr)
        words[0] = name
    from cyclopts import CycloptsError

    from voxplain.cli.app import app

    try:
        with _ended_as_interrupted():
            app(settings_as_options(words), exit_on_error=False, print_error=False)
    except VoxplainError as error:
        _stop(str(error), 2)
    except CycloptsError as error:
        message = " ".join(str(error).split()).rstrip(".")
        _stop(f"{message}; `voxplain --help`, or --help behind a command, shows what it takes", 2)
    except OSError as error:
        place = error.filename or "the disk"
        _stop(
            f"expected to read or write {place}, got: {error.strerror or error}; check path, permissions and space", 2
        )
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # arrays of the work, which leave no memory to print
        _stop(
            "expected enough memory for this work, got none left; give --max-memory or a smaller --batch-size, fewer "
            "--workers, or smaller videos, and run the same command again to continue",
            2,
        )
    except KeyboardInterrupt:
        _stop("interrupted; run the same command again to continue", 130)


def _out_of_memory(error: Exception) -> bool:
    """Whether there was too little memory, of the machine or of a GPU, whose libraries raise a RuntimeError."""
    text = str(error)
    return isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text


@contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (a batch system's time limit, a terminal that is closed) end a command as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Handlers belong to the main thread; a signal that the caller ignores, as nohup does, stays ignored.
    own = threading.current_thread() is threading.main_thread()
    changed = [number for number in numbers if own and signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _stop(sentence: str, code: int) -> NoReturn:
    from voxplain.cli.console import Console
    from voxplain.plain_text import one_line

    text = f"voxplain: {one_line(sentence)}"
    try:
        Console(stderr=True).print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    except MemoryError:  # a first line of rich loads its tables
        sys.stderr.write(f"{text}\n")
    sys.exit(code)
