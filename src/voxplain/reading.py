"""Readers of JSON, YAML and archives of arrays, with limits: what a file holds is data, whoever wrote it.

Each reader takes regular files only, of a limited size, and raises `Unreadable`, one sentence, for everything that is
not of its form. None of them unpickles, follows aliases, or allocates what a header merely claims.
"""

import contextlib
import io
import json
import lzma
import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from voxplain.large import LARGE, forget, large_zeros

__all__ = [
    "ARRAY_HEADER",
    "MAX_TEXT",
    "Unreadable",
    "parse_json",
    "parse_yaml",
    "read_arrays",
    "read_json",
    "read_regular",
]

# Held while numpy reads the header of an array, which it parses as Python: in some versions of CPython (3.11.7) threads
# that parse at once can end in "SystemError: AST constructor recursion depth mismatch".
ARRAY_HEADER = threading.Lock()

MAX_TEXT = 64 << 20  # bytes of a JSON file; run.json of 1,000 clips has 2 MB
MAX_SETTINGS = 1 << 20  # bytes of a YAML file
MAX_DEPTH = 64  # nested lists and mappings; a run has 12
MAX_ARRAYS = 4 << 30  # bytes of all arrays that are read from one archive
MAX_RATIO = 250  # of unpacked to packed bytes; runs have 1 to 20
FREE = 64 << 20  # unpacked bytes to which MAX_RATIO does not apply
MAX_MEMBERS = 200_000
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,  # of zipfile: a member is encrypted
    ValueError,
    SyntaxError,  # of numpy: a header that is no literal
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
)


class Unreadable(ValueError):
    """A file that is not of the expected form or exceeds a limit; ``str`` gives the reason in a few words."""


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Parameters
    ----------
    path : Path
        A named pipe or a device is not waited for.
    limit : int
        Most bytes.

    Returns
    -------
    bytes

    Raises
    ------
    Unreadable
        No regular file, or a larger one.
    OSError
        A file that is not there or must not be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a regular file")
        if status.st_size > limit:
            raise Unreadable(f"{status.st_size:,} bytes, more than the {limit:,} that are read")
        return file.read(limit + 1)


def read_json(path: Path, limit: int = MAX_TEXT) -> Any:
    """The value in a JSON file; raises as `read_regular` and `parse_json`."""
    return parse_json(read_regular(path, limit))


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text of at most 64 nested levels. Raises Unreadable."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise Unreadable(f"more than {MAX_DEPTH} nested levels") from None
    except ValueError as error:
        raise Unreadable(f"not JSON ({str(error)[:80]})") from None
    _check_depth(value)
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of plain values, without aliases. Raises Unreadable."""
    import yaml

    if len(text) > MAX_SETTINGS:
        raise Unreadable(f"{len(text):,} characters, more than the {MAX_SETTINGS:,} that are read")
    try:
        depth = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise Unreadable("an anchor or alias, which settings cannot have: write the value out")
            opens = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken)
            depth += isinstance(token, (*opens, yaml.FlowSequenceStartToken))
            depth -= isinstance(token, yaml.BlockEndToken | yaml.FlowMappingEndToken | yaml.FlowSequenceEndToken)
            if depth > MAX_DEPTH:
                raise Unreadable(f"more than {MAX_DEPTH} nested levels")
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None
    except Unreadable:
        raise
    except (ValueError, RecursionError, OverflowError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"not YAML of plain values ({type(error).__name__})") from None  # such as a 13th month
    _check_depth(value)
    return value


def read_arrays(data: BinaryIO, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of an .npz archive by name.

    Parameters
    ----------
    data : binary file
        The archive.
    names : collection of str, optional
        Read only these; by default all.

    Returns
    -------
    dict of str to array
        Numbers, bool or text.

    Raises
    ------
    Unreadable
        Another kind of file, an array that is not there, is damaged, encrypted, of objects, or larger than its file
        says; unpacked, more than 4 GiB together, or more than 64 MiB and 250 times the packed bytes.
    """
    with _as_unreadable(), zipfile.ZipFile(data) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise Unreadable(f"{len(infos):,} members, more than the {MAX_MEMBERS:,} that are read")
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        wanted = list(members) if names is None else list(dict.fromkeys(names))
        if missing := [name for name in wanted if name not in members]:
            raise Unreadable(f"no array {missing[0][:80]!r}")
        total = sum(members[name].file_size for name in wanted)
        packed = sum(members[name].compress_size for name in wanted)
        if total > MAX_ARRAYS:
            raise Unreadable(f"arrays of {total:,} bytes, more than the {MAX_ARRAYS:,} that are read")
        if total > FREE and total > MAX_RATIO * packed:
            raise Unreadable(f"{packed:,} bytes that unpack to {total:,}, more than {MAX_RATIO} times as many")
        found = {}
        for name in wanted:
            if members[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Unreadable("a member that is packed otherwise than numpy packs")
            with archive.open(members[name]) as member:
                found[name] = _array(member, members[name].file_size)
        return found


@contextlib.contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except Unreadable:
        raise
    except _BROKEN as error:
        raise Unreadable(" ".join(str(error).split())[:120] or type(error).__name__) from None


def _array(file: Any, size: int) -> NDArray[Any]:
    """An array whose header fits the number of bytes that follow."""
    counted = _Counted(file)
    major, _ = np.lib.format.read_magic(counted)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    with ARRAY_HEADER:
        shape, fortran, dtype = read(counted)
    if dtype.hasobject or dtype.kind not in "biufcSU":
        raise Unreadable(f"an array of {dtype}, not of numbers or text")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise Unreadable(f"an array of shape {shape}")
    count = 1
    for side in shape:
        count *= side
    if (dtype.itemsize == 0 and count) or count * dtype.itemsize != size - counted.taken:
        raise Unreadable(f"a header of {count * dtype.itemsize:,} bytes before {size - counted.taken:,}")
    out = large_zeros((count,), dtype)
    view = out.view(np.uint8).reshape(-1).data if out.nbytes else memoryview(b"")
    place = 0
    while place < len(view):
        part = file.read(min(1 << 20, len(view) - place))
        if not part:
            raise Unreadable("an array that is cut short")
        view[place : place + len(part)] = part
        if place // LARGE != (place + len(part)) // LARGE:
            forget(out)
        place += len(part)
    if file.read(1):  # also reaches the checksum
        raise Unreadable("bytes behind an array")
    return out.reshape(shape, order="F" if fortran else "C")


class _Counted(io.RawIOBase):
    """A file that counts the bytes read of it."""

    def __init__(self, file: Any) -> None:
        self._file, self.taken = file, 0

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = self._file.read(size)
        self.taken += len(data)
        return data


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise Unreadable(f"more than {MAX_DEPTH} nested levels")
        inside = [item for item in level if isinstance(item, list | dict)]
        level = [part for item in inside for part in (item.values() if isinstance(item, dict) else item)]
        depth += 1
