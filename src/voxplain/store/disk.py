"""A folder of results: each one a file that is whole or absent, whenever the process that writes it dies."""

import contextlib
import csv
import dataclasses
import errno
import io
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from voxplain.errors import DataError, VoxplainError
from voxplain.store.formats import ARRAYS, KINDS, LABELS, RECORD, Array, Format

try:
    import fcntl
except ImportError:  # Windows, which by itself refuses to delete a file that another process holds open
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)
_TEMPORARY = ".voxplain-tmp"
_WRITE_ATTEMPTS = 5
_STALE_SECONDS = 86_400.0  # age that makes a temporary file stale where the file system cannot lock files


@dataclasses.dataclass(frozen=True)
class Entry:
    """One result in a store: its step, key, kind (arrays, labels or record) and size in bytes."""

    step: str
    key: str
    kind: str
    size: int


@dataclasses.dataclass(frozen=True)
class Store:
    """Results in ``root/STEP/KEY.SUFFIX``, made once and found again.

    ``arrays``, ``labels`` and ``record`` return the stored value, or call ``make``, store what it gives and
    return that as it reads back, so a first and a later run see the same types. A file that cannot be read is
    reported on the log and made again. Two processes that want the same key at once may both make it; both
    get it whole.

    Opening a store makes the folder and removes what killed runs left half-written. Raises VoxplainError when
    the disk is full or the folder cannot be written; results already there stay. Never deletes a result.
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(self.root, 0, error) from error
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

    def describe(self) -> tuple[Entry, ...]:
        """What is there, ordered by step, key and kind."""
        found = [path for path in self.root.glob("*/*") if path.suffix in KINDS and path.name[0] != "."]
        entries = [Entry(p.parent.name, p.stem, KINDS[p.suffix], p.stat().st_size) for p in found]
        return tuple(sorted(entries, key=lambda entry: (entry.step, entry.key, entry.kind)))

    def _get_or_make(self, form: Format[Any], step: str, key: str, make: Callable[[], Any]) -> Any:
        for part in (step, key):
            if not re.fullmatch(r"\w[\w.-]*", part, re.ASCII):  # also keeps every file inside root
                raise ValueError(f"expected letters, digits, _, - and . as step and key, got {part!r}.")
        path = self.root / step / f"{key}{form.suffix}"
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


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` so that others, and a run after a crash, see all of it or none.

    What was at ``path`` stays until then. Raises VoxplainError, leaving nothing half-written, when the disk
    or quota is full or the folder cannot be written.
    """
    try:
        for _ in range(_WRITE_ATTEMPTS):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a store being opened took our file for abandoned
                return _write_once(path, data)
    except OSError as error:
        raise _cannot_write(path.parent, len(data), error) from error
    raise VoxplainError(f"files in {path.parent} vanish while they are written: do not clean it during a run.")


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-written by `write_whole` in a folder and its sub-folders."""
    for pattern in (f".*{_TEMPORARY}", f"*/.*{_TEMPORARY}", f"*/*/.*{_TEMPORARY}"):
        for temporary in folder.glob(pattern):
            _remove_if_abandoned(temporary)


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
        writer.writeheader()
        writer.writerows(rows)
    write_whole(path, text.getvalue().encode("utf-8"))


def _write_once(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            with contextlib.suppress(OSError):  # held by whoever checks it just now, or not known here
                _lock(file)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the new name outlives a power cut too, where folders can be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: BinaryIO) -> None:
    """Mark a file as in use until it is closed, by us or by the kernel when the process dies."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_abandoned(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, another user's, or a folder we may only read
        with temporary.open("r+b") as file:
            try:
                _lock(file)
            except BlockingIOError:
                return
            except OSError:
                if time.time() - temporary.stat().st_mtime < _STALE_SECONDS:
                    return
        temporary.unlink()


def _cannot_write(folder: Path, size: int, error: OSError) -> VoxplainError:
    kept = "then run again: finished results are kept"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return VoxplainError(f"cannot write in {folder} ({error.strerror}): name another folder, {kept}.")
    free = "an unknown amount"
    with contextlib.suppress(OSError):
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
    return VoxplainError(
        f"needs {size / 1e6:.1f} MB more in {folder}, where {free} is free ({error.strerror}): "
        f"free some space or name another store folder, {kept}."
    )
