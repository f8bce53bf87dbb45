"""A folder of results: each one a file that is whole or absent, whenever the process that writes it dies."""

import csv
import dataclasses
import io
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from voxplain.errors import DataError
from voxplain.files import cannot_write, remove_abandoned, write_whole
from voxplain.plain_text import csv_cell
from voxplain.store.formats import ARRAYS, KINDS, LABELS, RECORD, Array, Format

_log = logging.getLogger(__name__)
_HASH = re.compile(r"[0-9a-f]{32}")  # what `key` gives


@dataclasses.dataclass(frozen=True)
class Entry:
    """One result in a store: its step, key, kind (arrays, labels or record) and size in bytes."""

    step: str
    key: str
    kind: str
    size: int


@dataclasses.dataclass(frozen=True)
class Store:
    """Results on disk in ``root/STEP/KE/KEY.SUFFIX``, computed once and read back later.

    ``KE`` are the first two digits of a key that is a hash, so that no folder has too many files; other keys lie in the
    folder of their step, and so do the results of earlier versions, which are found there.

    ``arrays``, ``labels`` and ``record`` return the stored value, or call ``make``, store its result and return it as
    it reads back, so that the first and later runs get the same types. A file that cannot be read is reported on the
    log and made again. Two processes that want the same key at once may both compute it; both get a complete result. A
    store never deletes a result; opening one removes what interrupted runs left half-written.

    Parameters
    ----------
    root : Path
        The folder; it is made where there is none.

    Raises
    ------
    VoxplainError
        When the disk is full or the folder cannot be written; stored results stay.

    Examples
    --------
    >>> store = Store(folder)
    >>> store.record("squares", "3", lambda: {"value": 9})
    {'value': 9}
    >>> store.names("squares")
    ('3',)
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.root, 0, error) from error
        remove_abandoned(self.root)

    def arrays(self, step: str, key: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
        """Arrays by name, in the order of their names; numbers of at most 64 bits or bool, any shape."""
        return self._get_or_make(ARRAYS, step, key, make)

    def labels(self, step: str, key: str, make: Callable[[], Array]) -> Array:
        """One array of integers or bool, packed: a volume of supervoxel labels or of masks, any shape."""
        return self._get_or_make(LABELS, step, key, make)

    def record(self, step: str, key: str, make: Callable[[], Any]) -> Any:
        """Plain values in lists and string-keyed dicts; tuples come back as lists, NaN stays NaN."""
        return self._get_or_make(RECORD, step, key, make)

    def has(self, form: Literal["arrays", "labels", "record"], step: str, key: str) -> bool:
        """Whether a result of a form is there; its file may still turn out to be damaged."""
        suffix = next(suffix for suffix, kind in KINDS.items() if kind == form)
        return self.path(step, key, suffix).is_file()

    def names(self, step: str) -> tuple[str, ...]:
        """The keys of all results of a step, in order."""
        return tuple(sorted({Path(found.name).stem for found in _results(self.root / step)}))

    def describe(self) -> tuple[Entry, ...]:
        """What is there, ordered by step, key and kind."""
        entries = set()
        for step in sorted(found.name for found in os.scandir(self.root) if found.is_dir()):
            for found in _results(self.root / step):
                stem, suffix = os.path.splitext(found.name)
                entries.add(Entry(step, stem, KINDS[suffix], found.stat().st_size))
        return tuple(sorted(entries, key=lambda entry: (entry.step, entry.key, entry.kind)))

    def path(self, step: str, key: str, suffix: str) -> Path:
        """Where a result is, or will be.

        Parameters
        ----------
        step, key : str
            Of the result.
        suffix : str
            Ending of its file.

        Returns
        -------
        Path
        """
        flat = self.root / step / f"{key}{suffix}"
        if not _HASH.fullmatch(key):
            return flat
        shared = self.root / step / key[:2] / flat.name
        return flat if not shared.is_file() and flat.is_file() else shared

    def _get_or_make(self, form: Format[Any], step: str, key: str, make: Callable[[], Any]) -> Any:
        for part in (step, key):
            if not re.fullmatch(r"\w[\w.-]*", part, re.ASCII):  # also keeps every file inside root
                raise ValueError(f"expected letters, digits, _, - and . as step and key, got {part!r}.")
        path = self.path(step, key, form.suffix)
        try:
            return form.decode(path.read_bytes())
        except FileNotFoundError:
            pass
        except Exception as error:  # damaged bytes make parsers raise anything
            _log.warning("%s cannot be read (%s: %s); making it again", path, type(error).__name__, error)
        data = form.encode(make())
        value = form.decode(data)  # before writing: what cannot be read back never gets a name
        write_whole(path, data)
        return value


def gather(store: Store, others: Iterable[Path]) -> int:
    """Copy every result of the stores in ``others`` that ``store`` lacks; returns how many.

    Raises DataError when a folder is not there, VoxplainError when it cannot be written.
    """
    copied = 0
    for root in others:
        if not root.is_dir():
            raise DataError(f"expected a folder of results, got {root}, which is none; check the path")
        other = Store(root)
        for entry in other.describe():
            suffix = next(s for s, kind in KINDS.items() if kind == entry.kind)
            place = store.path(entry.step, entry.key, suffix)
            if not place.exists():
                write_whole(place, other.path(entry.step, entry.key, suffix).read_bytes())
                copied += 1
    return copied


def _results(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """The files of results in the folder of a step and in those of its hashes."""
    try:
        found = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.name[0] == ".":
            continue
        if os.path.splitext(entry.name)[1] in KINDS:
            yield entry
        elif len(entry.name) == 2 and entry.is_dir():
            inside = os.scandir(entry.path)
            yield from (e for e in inside if os.path.splitext(e.name)[1] in KINDS and e.name[0] != ".")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a table for spreadsheets, whole or not at all: UTF-8, one header line, None empty.

    ``rows`` share the columns of the first, in its order. Raises DataError if one has others.
    """
    columns = list(rows[0]) if rows else []
    for number, row in enumerate(rows):
        if set(row) != set(columns):
            raise DataError(f"{path}: expected columns {columns} everywhere, got {list(row)} in row {number}.")
    text = io.StringIO(newline="")
    if columns:
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writerow({name: csv_cell(name) for name in columns})
        writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    write_whole(path, text.getvalue().encode("utf-8"))
