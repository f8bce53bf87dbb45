"""A stream of frames that are decoded only when asked for: what every kind of video is turned into.

A stream yields one item a frame: `(picture, seconds)`, where `picture()` gives RGB uint8 [H,W,3], so that
frames nobody wants are never converted; `seconds` is None where the file does not say. A packet or picture
that cannot be decoded yields None instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPS = 25.0  # of frame folders and arrays, which carry no times
MAX_FRAME_PIXELS = 2**26  # one frame; 8K has 2**25

Item = tuple[Callable[[], NDArray[np.uint8]], float | None] | None


@dataclass(frozen=True)
class Source:
    """A video that is known to exist: how many frames it claims, and a fresh stream of them."""

    claimed: int  # frames, as the container says: a guess that decoding may correct
    fps: float
    stream: Callable[[], Iterator[Item]]
