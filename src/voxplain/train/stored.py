"""Resized videos on disk, one .npy file each: decoded once, then mapped into memory.

A file's name is the hash of the video's bytes and of the size asked for, so a changed video or another size is never
mistaken for the old one. Written under a temporary name, synced, renamed: whole or absent. A text file beside the
frames of a damaged video holds the number of lost frames, so that later runs report it, too.
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
from voxplain.reading import ARRAY_HEADER
from voxplain.video import Clip, Damaged, Geometry, Span
from voxplain.video.damage import check_damage

__all__ = ["StoredFrames", "store_frames"]

_VERSION = 2  # raise when decoding or resizing gives other frames, or something else is stored


@dataclass(frozen=True)
class StoredFrames(Sequence[np.ndarray]):
    """Sequence of the frames of videos, uint8 [T_i,H,W,3] each, mapped from a file at each access; keeps no file open.

    Parameters
    ----------
    paths : tuple of Path
        A .npy file for each video.
    """

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
        return _opened(self.paths[index])

    def __iter__(self) -> Iterator[np.ndarray]:
        """The videos, one open at a time."""
        return (self[i] for i in range(len(self)))


def store_frames(
    path: Path,
    folder: Path,
    geometry: Geometry,
    make: Callable[[Path, Span | None], Clip],
    *,
    span: Span | None = None,
    damaged: Damaged = "use",
) -> Path:
    """Write the resized frames of a video, unless a whole file of them exists.

    Parameters
    ----------
    path : Path
        The video.
    folder : Path
        Where to write; files are named by the hash of the video and the size.
    geometry : Geometry
        The size.
    make : callable
        Takes the path and the span, and returns the resized frames; raises where the video is not to be used.
    span : Span, optional
        The frames to keep; default: all.
    damaged : {"skip", "use", "fail"}
        What is done with stored frames of a damaged video, see `ClipReader`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    VideoError
        For a video that cannot be read, or of which too few frames are left.
    DataError
        For a damaged video, where ``damaged`` is "fail".
    VoxplainError
        When the disk is full.
    """
    file = folder / f"{_key(path, geometry, span)}.npy"
    lost = file.with_suffix(".lost")
    if _whole(file, geometry):
        check_damage(path, len(_opened(file)), int(lost.read_text()) if lost.exists() else 0, damaged)
        return file
    clip, data = make(path, span), io.BytesIO()
    np.save(data, np.ascontiguousarray(clip.frames), allow_pickle=False)
    if clip.damaged:  # first, so that no whole file is without it
        write_whole(lost, str(clip.damaged).encode())
    write_whole(file, data.getvalue())
    return file


def _key(path: Path, geometry: Geometry, span: Span | None) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, *geometry.resize, *(span or ())]).encode())
    try:
        for part in sorted(path.iterdir()) if path.is_dir() else [path]:
            if part.is_file():
                digest.update(f"\0{part.name if path.is_dir() else part.suffix}\0".encode(errors="surrogateescape"))
                with part.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise VideoError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    return digest.hexdigest()[:32]


def _opened(file: Path) -> np.ndarray:
    """The array of a file, mapped; raises for a file shorter than its header says."""
    with ARRAY_HEADER:
        frames: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    return frames


def _whole(file: Path, geometry: Geometry) -> bool:
    """Whether a file holds frames of the size; reads its header only, and its length."""
    try:
        frames = _opened(file)
    except (OSError, ValueError, EOFError):
        return False
    return frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[1:] == (*geometry.resize, 3)
