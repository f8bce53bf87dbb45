"""How far a long step has come, on stderr: a moving bar in a terminal, two plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Advance(Protocol):
    """Tell how many more items are done."""

    def __call__(self, items: int = 1, /) -> None:
        """Add ``items``, 1 if not told."""


@contextmanager
def progress_bar(description: str, total: int | None, *, stream: TextIO | None = None) -> Iterator[Advance]:
    """Show one step while it runs; call what it yields after each item.

    ``total`` is the number of items, or None where it is not known; ``stream`` is sys.stderr if not told.
    In a terminal a bar moves and leaves its last line with the time taken. Elsewhere (files, CI) one line
    says that the step began and one that it is done, or stopped by an error, after how many seconds. Errors
    pass through.
    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        text = TextColumn("{task.description}", markup=False)  # a class may be called [b]
        console = Console(file=stream, force_terminal=True)
        with Progress(text, *columns, console=console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda items=1, /: bar.advance(task, items)
        return
    done = 0

    def advance(items: int = 1, /) -> None:
        nonlocal done
        done += items

    print(f"{description}: {'started' if total is None else f'{total} to do'}", file=stream, flush=True)
    start = time.perf_counter()
    ending = "stopped"
    try:
        yield advance
        ending = "done"
    finally:
        took = f"{time.perf_counter() - start:.1f} s"
        print(f"{description}: {ending} after {took} ({done} items)", file=stream, flush=True)


def timed(show: Callable[..., AbstractContextManager[Advance]], seconds: dict[str, float]) -> Callable[..., Any]:
    """The same as ``show``, adding the seconds of each step to ``seconds`` under its description."""

    @contextmanager
    def step(description: str, total: int | None) -> Iterator[Advance]:
        start = time.perf_counter()
        try:
            with show(description, total) as advance:
                yield advance
        finally:
            seconds[description] = seconds.get(description, 0.0) + time.perf_counter() - start

    return step


@contextmanager
def quiet(description: str, total: int | None) -> Iterator[Advance]:
    """The same as ``progress_bar``, showing nothing."""
    yield lambda items=1, /: None


def span(seconds: float) -> str:
    """A time in plain words: 0.4 s, 95 s, 7 min, 3.5 h."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != round(seconds) else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
