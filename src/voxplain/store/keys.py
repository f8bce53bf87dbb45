"""Keys of results: a hash of everything that they depend on."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import numpy as np

from voxplain.hashing import content_hash

__all__ = ["content_hash", "key"]


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
