"""Hashes of content: of a file, a folder or an array, independent of its name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.large import pieces

__all__ = ["content_hash"]


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
        for part in pieces(plain):
            digest.update(part)
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
