"""One value of each kind, and equality to the last bit."""

import math
from typing import Any

import numpy as np

TENSORS = {"b": np.arange(12.0, dtype=np.float32).reshape(3, 4).T, "a": np.int64([7])}
VOLUME = np.arange(-1, 95, dtype=np.int16).reshape(2, 3, 4, 4)
RECORD_VALUE = {"rank": [1, 2], "p": math.nan, "limits": (-math.inf, math.inf), "name": "bé\ud800", "none": None}


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b or (a != a and b != b)
