"""Which sub-folders of a data folder are classes, and which entries are videos."""

from __future__ import annotations

import os
from pathlib import Path

from voxplain.errors import DataError
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES, natural, natural_name

PARTS = ("train", "test")


def find_classes(root: Path, part: str) -> dict[str, list[Path]]:
    """Class name to its videos, for each of the three layouts."""
    if all((root / name).is_dir() for name in PARTS) and not any(list_videos(root / name) for name in PARTS):
        names = {name for each in PARTS for name in _classes(root / each)}
        of_part = _classes(root / part)
        found = {name: of_part.get(name, []) for name in names}
    else:
        found = _classes(root)
    if not found and (direct := list_videos(root)):
        found = {root.resolve().name: direct}
    if not any(found.values()):
        inner = [d.name for d in list_folders(root) if any(_classes(d).values())]
        hint = f"; did you mean {str(root / inner[0])!r}?" if inner else "; expected root/<class>/<video>."
        raise DataError(f"{root}: no video found{hint}")
    return found


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Sub-folders that hold videos; a frame folder is itself a video, not a class."""
    found = {}
    for inner in list_folders(folder):
        entries = _entries(inner)
        if not _holds_frames(entries) and (videos := _videos(inner, entries)):
            found[inner.name] = videos
    return found


def list_folders(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden, in natural order."""
    with os.scandir(folder) as entries:
        found = [folder / entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return sorted(found, key=natural)


def list_videos(folder: Path) -> list[Path]:
    """Video files and frame folders directly in `folder`, in natural order."""
    return _videos(folder, _entries(folder))


def is_frame_folder(folder: Path) -> bool:
    """True for a folder of pictures without a video file among them."""
    return _holds_frames(_entries(folder))


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Name and kind, folder or not, of what is in a folder and not hidden: one system call for many."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]


def _videos(folder: Path, entries: list[tuple[str, bool]]) -> list[Path]:
    found = []
    for name, inner in entries:
        if is_frame_folder(folder / name) if inner else _suffix(name) in VIDEO_SUFFIXES:
            found.append(name)
    return [folder / name for name in sorted(found, key=natural_name)]


def _holds_frames(entries: list[tuple[str, bool]]) -> bool:
    suffixes = {_suffix(name) for name, _ in entries}
    return bool(suffixes & PICTURE_SUFFIXES) and not suffixes & VIDEO_SUFFIXES


def _suffix(name: str) -> str:
    stem, dot, end = name.rpartition(".")
    return f".{end.lower()}" if dot and stem.strip(".") and end else ""
