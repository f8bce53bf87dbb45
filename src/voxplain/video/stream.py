"""A stream of frames that are decoded on demand: the common form of every kind of video.

A stream yields one item a frame: `(picture, seconds)`, where `picture()` gives RGB uint8 [H,W,3], so that
frames that are not used are not converted; `seconds` is None where the file gives none. An int counts frames that are
lost: packets or pictures that cannot be decoded, and frames that the container announces and that do not come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPS = 25.0  # of frame folders and arrays, which carry no times
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".m2v", ".vob"}
) | frozenset({".wmv", ".asf", ".flv", ".ogv", ".ts", ".mts", ".m2ts", ".y4m", ".h264", ".mjpeg", ".npy"})
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff"})
MAX_FRAME_PIXELS = 2**26  # one frame; 8K has 2**25

_DIGITS = re.compile(r"(\d+)")
Item = tuple[Callable[[], NDArray[np.uint8]], float | None] | int


@dataclass(frozen=True)
class Source:
    """An existing video: the number of frames by its header, and a function that opens a stream of them."""

    claimed: int  # frames by the container's header; decoding may correct it
    fps: float
    stream: Callable[[], Iterator[Item]]


def natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that reads runs of digits as numbers."""
    return natural_name(path.name)


def natural_name(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """`natural` of a file's name."""
    parts = _DIGITS.split(name)
    return [(int(part), i, "") if i % 2 else (-1, i, part.lower()) for i, part in enumerate(parts)], name
