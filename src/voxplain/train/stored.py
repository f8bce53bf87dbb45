"""Resized videos on disk, one .npy file each: decoded once, then read where they lie.

A file's name is the hash of the video's bytes and of the size asked for, so a changed video or another size is never
mistaken for the old one. Written under a temporary name, synced, renamed: whole or absent.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from voxplain.errors import VideoError
from voxplain.files import write_whole
from voxplain.video import Geometry, Span

__all__ = ["StoredFrames", "store_frames"]

_VERSION = 1  # raise when decoding or resizing gives other frames


@dataclass(frozen=True)
class StoredFrames(Sequence[np.ndarray]):
    """Frames uint8 [T_i,H,W,3] of each video, mapped from its file when asked for; holds no file open."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredFrames": ...
    def __getitem__(self, index: "int | slice") -> "np.ndarray | StoredFrames":
        """One video, read-only; only the pages that are used are read."""
        if isinstance(index, slice):
            return StoredFrames(self.paths[index])
        # Opened anew each time: thousands of open maps would run into the limits on open files.
        found: np.ndarray = np.load(self.paths[index], mmap_mode="r", allow_pickle=False)
        return found

    def __iter__(self) -> Iterator[np.ndarray]:
        """The videos, one open at a time."""
        return (self[i] for i in range(len(self)))


def store_frames(
    path: Path,
    folder: Path,
    geometry: Geometry,
    make: Callable[[Path, Span | None], np.ndarray],
    *,
    span: Span | None = None,
) -> Path:
    """The file that holds the resized frames of a video or its ``span``, made if it is not there or damaged.

    Raises VideoError for a video that cannot be read, VoxplainError when the disk is full.
    """
    file = folder / f"{_key(path, geometry, span)}.npy"
    if not _whole(file, geometry):
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(make(path, span)), allow_pickle=False)
        write_whole(file, data.getvalue())
    return file


def _key(path: Path, geometry: Geometry, span: Span | None) -> str:
    seen = hashlib.sha256(json.dumps([_VERSION, *geometry.resize, *(span or ())]).encode())
    try:
        for part in sorted(path.iterdir()) if path.is_dir() else [path]:
            if part.is_file():
                seen.update(f"\0{part.name if path.is_dir() else part.suffix}\0".encode(errors="surrogateescape"))
                with part.open("rb") as file:
                    seen.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise VideoError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    return seen.hexdigest()[:32]


def _whole(file: Path, geometry: Geometry) -> bool:
    """Whether a file holds frames of the size; reads its header only, and its length."""
    try:
        frames = np.load(file, mmap_mode="r", allow_pickle=False)  # refuses a file shorter than its header says
    except (OSError, ValueError, EOFError):
        return False
    return frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[1:] == (*geometry.resize, 3)
