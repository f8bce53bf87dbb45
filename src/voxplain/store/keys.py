"""Names for results: a hash of everything that made them."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError


def key(step: str, version: int, /, **inputs: object) -> str:
    """Name a result by the step, its code version and all that went in: 32 hexadecimal digits of a SHA-256.

    Inputs may be None, bool, int, float, str, numpy arrays and scalars, paths (by content, not by name: a
    file that moved keeps its key; a path given as str is only text), dataclasses (by class and fields, less
    those with ``compare=False``), and tuples, lists and string-keyed dicts of these. A list counts as the
    tuple of its items; 1, 1.0, True and "1" differ.

    Raises TypeError for anything else (functions, sets, tensors of other libraries), naming the input.
    """
    resolved = {name: _canonical(value, name) for name, value in inputs.items()}
    text = json.dumps([step, version, resolved], sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def content_hash(source: Path | str | NDArray[Any]) -> str:
    """SHA-256 in hexadecimal of a file's bytes, a folder's names and bytes, or an array's type and values.

    Files are read in pieces; byte order and memory layout of arrays do not matter, their shape does. Raises
    DataError for a path that is not there, TypeError for masked arrays and for arrays of objects, dates,
    records or long doubles.
    """
    if isinstance(source, np.ndarray):
        kind, code = source.dtype.kind, source.dtype.char
        # Long doubles carry padding bytes of no meaning, a masked array's mask is not in its bytes.
        if isinstance(source, np.ma.MaskedArray) or kind not in "biufcSU" or code in "gG":
            got = f"{type(source).__name__} of {source.dtype}"
            raise TypeError(f"expected an array of numbers or text, got {got}.")
        plain = np.asarray(source, dtype=source.dtype.newbyteorder("<"), order="C")
        digest = hashlib.sha256(f"{plain.dtype.str}{plain.shape}".encode())
        digest.update(plain.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()
    path = Path(source)
    if path.is_dir():
        files = sorted((p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file())
        listing = [[name, content_hash(file)] for name, file in files]
        return hashlib.sha256(json.dumps(listing).encode("ascii")).hexdigest()
    if not path.is_file():
        raise DataError(f"expected a file or folder at {path}, found none: check the path.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(value: object, where: str) -> object:
    """A JSON value that only equal inputs share; dicts are tagged too, so none can pose as another tag."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_canonical(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {"__dict__": {name: _canonical(item, f"{where}[{name!r}]") for name, item in value.items()}}
    if isinstance(value, np.ndarray):
        return {"__array__": content_hash(value)}
    if isinstance(value, Path):
        return {"__folder__" if value.is_dir() else "__file__": content_hash(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = [field.name for field in dataclasses.fields(value) if field.compare]
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"__type__": name, "fields": {f: _canonical(getattr(value, f), f"{where}.{f}") for f in kept}}
    got = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(
        f"cannot make a key from {where}: expected plain values, arrays, paths or dataclasses of these, "
        f"got {got}; convert it first (a tensor with .numpy())."
    )
