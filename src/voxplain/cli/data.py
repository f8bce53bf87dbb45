"""`voxplain data`: which published data sets are known, and whether a folder holds one whole."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from voxplain.datasets.listing import Listing
from voxplain.datasets.named import DATASETS, named
from voxplain.errors import DataError, VideoError
from voxplain.progress import progress_bar
from voxplain.video import read_windows

__all__ = ["data_command"]

MOST = 5  # names shown of each kind of trouble


def data_command(name: str | None = None, *, check: Path | None = None, read: bool = False) -> None:
    """List the published data sets that can be read as downloaded, or say whether a folder holds one whole.

    The exit code is 1 when something is missing. A folder that holds only a part can be used all the same.

    Examples:
        voxplain data
        voxplain data jhmdb
        voxplain data jhmdb --check data/jhmdb --read

    Parameters
    ----------
    name
        One of the data sets; without --check, what is known of it.
    check
        The folder to look into.
    read
        Decode every video, too, and name those that are damaged.
    """
    console = Console(highlight=False)
    if check is None:
        if read:
            raise DataError("expected a folder to read, got none; write `voxplain data NAME --check DIR --read`")
        _tell_known(console, list(DATASETS) if name is None else [name], brief=name is None)
        return
    if name is None:
        raise DataError("expected the name of a data set before --check, got none; `voxplain data` lists them")
    if not _whole(console, name, check, read=read):
        sys.exit(1)


def _whole(console: Console, name: str, folder: Path, *, read: bool) -> bool:
    """Say what a folder holds of a data set and what is missing; whether it is all there."""
    listing = named(name).listing(folder)
    say = _sayer(console)
    _tell_counts(console, listing)
    for line in _missing(listing):
        say(line)
    bad = list(_unreadable(listing)) if read else []
    for line in _few(bad, "that cannot be read whole"):
        say(line)
    whole = listing.complete() and not bad
    lost = [
        f"{n} {what}"
        for n, what in ((list(listing.lists.values()).count(False), "lists missing"), (len(bad), "videos broken"))
        if n
    ]
    state = "complete" if whole else "not complete"
    say(", ".join([f"{name} in {folder}: {state}", f"{listing.found()} of {listing.wanted()} videos", *lost]))
    return whole


def _sayer(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


def _tell_known(console: Console, names: list[str], *, brief: bool) -> None:
    say = _sayer(console)
    for name in names:
        known = named(name)
        say(f"{name}: {known.what}")
        if not brief:
            for word in ("split", "truth", "source", "licence"):
                say(f"  {word}: {getattr(known, word)}")


def _tell_counts(console: Console, listing: Listing) -> None:
    """Videos of a whole copy and those found, class by class."""
    table = Table(box=None)
    for column in ("class", "expected", "found"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for label, names in listing.videos.items():
        table.add_row(label, str(len(names)), str(len(names) - len(listing.missing(label))))
    if listing.videos:
        console.print(table)


def _missing(listing: Listing) -> Iterator[str]:
    """What is not there, in plain words."""
    for name, here in listing.lists.items():
        yield f"{name}: {'found' if here else 'missing'}"
    yield from listing.notes
    yield from _few([f"{label}/{name}" for label in listing.videos for name in listing.missing(label)], "missing")
    unnamed = listing.wanted() - sum(map(len, listing.videos.values()))
    if unnamed:
        yield f"{unnamed} more videos missing; their names stand in the lists"


def _few(names: list[str], what: str) -> Iterator[str]:
    if names:
        more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
        yield f"{len(names)} videos {what}: {', '.join(names[:MOST])}{more}"


def _unreadable(listing: Listing) -> Iterator[str]:
    """Decode every video found; names of those with damage, and why."""
    paths = [path for names in listing.videos.values() for path in names.values() if path is not None]

    def trouble(path: Path) -> str | None:
        try:  # every packet is decoded, only one frame is kept
            damaged = read_windows(path, lambda count: np.zeros((1, 1), np.int64))[0].damaged
        except VideoError as error:
            return str(error).partition(";")[0]
        return f"{path} ({damaged} damaged packets)" if damaged else None

    with progress_bar("reading videos", len(paths)) as advance, ThreadPoolExecutor(2) as pool:
        for told in pool.map(trouble, paths):
            advance()
            if told is not None:
                yield told
