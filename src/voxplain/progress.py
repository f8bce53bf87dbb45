"""Progress of a long step on stderr: a bar in a terminal, lines of text elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from voxplain.plain_text import one_line

EVERY = 30.0  # seconds between lines outside a terminal


class Advance(Protocol):
    """A function that counts finished items."""

    def __call__(self, items: int = 1, /) -> None:
        """Add ``items``, by default 1."""


ShowProgress = Callable[[str, int | None], AbstractContextManager[Advance]]


@contextmanager
def progress_bar(description: str, total: int | None, *, stream: TextIO | None = None) -> Iterator[Advance]:
    """Show the progress of one step while it runs.

    In a terminal this is a bar, whose last state stays with the time taken. Elsewhere (files, CI) one line is printed
    at the start, one every 30 seconds with the time left, also while one item takes longer, and one at the end, or at
    an error, with the seconds.

    Parameters
    ----------
    description : str
        The step.
    total : int or None
        Number of items; None where it is not known.
    stream : text stream, optional
        Where to print; default: sys.stderr.

    Yields
    ------
    Advance
        Call it after each item.

    Examples
    --------
    >>> with progress_bar("reading videos", 2) as advance:
    ...     for video in ("a.mp4", "b.mp4"):
    ...         advance()
    """
    stream = sys.stderr if stream is None else stream
    description = one_line(description)
    if stream.isatty():
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        text = TextColumn("{task.description}", markup=False)  # a class may be called [b]
        console = Console(file=stream, force_terminal=True)
        with Progress(text, *columns, console=console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda items=1, /: bar.advance(task, items)
        return
    done, start = 0, time.perf_counter()
    told, lock, ended = start, threading.Lock(), threading.Event()

    def tell() -> None:
        nonlocal told
        with lock:
            now = time.perf_counter()
            if now - told >= EVERY and not ended.is_set():
                told = now
                print(f"{description}: {_state(done, total, now - start)}", file=stream, flush=True)

    def advance(items: int = 1, /) -> None:
        nonlocal done
        done += items
        tell()

    def watch() -> None:  # one item may take longer than the time between two lines
        while not ended.wait(EVERY):
            tell()

    print(f"{description}: {'started' if total is None else f'{total} to do'}", file=stream, flush=True)
    ending = "stopped"
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield advance
        ending = "done"
    finally:
        with lock:
            ended.set()
        took = f"{time.perf_counter() - start:.1f} s"
        print(f"{description}: {ending} after {took} ({done} items)", file=stream, flush=True)


def _state(done: int, total: int | None, took: float) -> str:
    """How many of how many, and the time left where items went on at the same rate."""
    if total is None or done == 0:
        return f"{done} after {duration(took)}"
    left = f", about {duration(took / done * (total - done))} left" if done < total else ""
    return f"{done} of {total} after {duration(took)}{left}"


def timed(show: ShowProgress, seconds: dict[str, float]) -> ShowProgress:
    """The same as ``show``, which also measures the time of each step.

    Parameters
    ----------
    show : callable
        `progress_bar` or `quiet`.
    seconds : dict of str to float
        Gets the seconds of each step, added up by its description.

    Returns
    -------
    callable
        To use in place of ``show``.
    """

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
    """The same as `progress_bar` without any output."""
    yield lambda items=1, /: None


def duration(seconds: float) -> str:
    """A time as text, in seconds, minutes or hours.

    Examples
    --------
    >>> [duration(s) for s in (0.4, 95, 420, 12600)]
    ['0.4 s', '95 s', '7 min', '3.5 h']
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != round(seconds) else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
