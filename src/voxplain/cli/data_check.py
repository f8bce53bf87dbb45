"""Descriptions of the published data sets, and what a folder holds of one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.table import Table

from voxplain.cli.console import Console
from voxplain.datasets.listing import Listing
from voxplain.datasets.named import DATASETS, named
from voxplain.errors import VideoError
from voxplain.progress import progress_bar
from voxplain.video import read_windows

__all__ = ["check_folder", "print_data_sets"]

MOST_NAMES = 5  # printed of each kind of fault


def check_folder(console: Console, name: str, folder: Path, *, read: bool) -> bool:
    """Print what a folder holds of a data set and what is missing.

    Parameters
    ----------
    console : Console
        Where to print.
    name : str
        A key of `DATASETS`.
    folder : Path
        The folder to check.
    read : bool
        Whether to decode every video, too.

    Returns
    -------
    bool
        Whether the data set is complete and, with ``read``, every video can be decoded.
    """
    listing = named(name).listing(folder)
    _print_counts(console, listing)
    unreadable = list(_unreadable(listing)) if read else []
    for line in (*_missing(listing), *_first_names(unreadable, "that cannot be read whole")):
        _print(console, line)
    complete = listing.complete() and not unreadable
    faults = ((list(listing.lists.values()).count(False), "lists missing"), (len(unreadable), "videos broken"))
    state = f"{name} in {folder}: {'complete' if complete else 'not complete'}"
    counts = f"{listing.found()} of {listing.wanted()} videos"
    _print(console, ", ".join([state, counts, *(f"{n} {what}" for n, what in faults if n)]))
    return complete


def print_data_sets(console: Console, name: str | None = None) -> None:
    """Print a line on every data set, or more on the one called ``name``."""
    for key in DATASETS if name is None else [name]:
        data_set = named(key)
        _print(console, f"{key}: {data_set.what}")
        if name is not None:
            for field in ("split", "truth", "source", "licence"):
                _print(console, f"  {field}: {getattr(data_set, field)}")


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_counts(console: Console, listing: Listing) -> None:
    """Videos of a complete copy and those found, class by class."""
    table = Table(box=None)
    for column in ("class", "expected", "found"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for label, names in listing.videos.items():
        table.add_row(label, str(len(names)), str(len(names) - len(listing.missing(label))))
    if listing.videos:
        console.print(table)


def _missing(listing: Listing) -> Iterator[str]:
    for name, found in listing.lists.items():
        yield f"{name}: {'found' if found else 'missing'}"
    yield from listing.notes
    yield from _first_names([f"{label}/{n}" for label in listing.videos for n in listing.missing(label)], "missing")
    unnamed = listing.wanted() - sum(map(len, listing.videos.values()))
    if unnamed:
        yield f"{unnamed} more videos missing; their names are in the lists"


def _first_names(names: list[str], what: str) -> Iterator[str]:
    if names:
        more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"{len(names)} videos {what}: {', '.join(names[:MOST_NAMES])}{more}"


def _unreadable(listing: Listing) -> Iterator[str]:
    """Decode every video found; names of those with damage, and why."""
    paths = [path for names in listing.videos.values() for path in names.values() if path is not None]

    def fault(path: Path) -> str | None:
        try:  # every packet is decoded, only one frame is kept
            damaged = read_windows(path, lambda count: np.zeros((1, 1), np.int64))[0].damaged
        except VideoError as error:
            return str(error).partition(";")[0]
        return f"{path} ({damaged} frames lost)" if damaged else None

    with progress_bar("reading videos", len(paths)) as advance, ThreadPoolExecutor(2) as pool:
        for text in pool.map(fault, paths):
            advance()
            if text is not None:
                yield text
