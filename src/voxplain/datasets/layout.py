"""Which sub-folders of a data folder are classes, and which entries are videos."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from voxplain.errors import DataError
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES, natural, natural_name

PARTS = ("train", "test")
Items = Callable[[Path], list[Path]]  # `list_videos` or `list_pictures`


def find_classes(root: Path, part: str, items: Items) -> dict[str, list[Path]]:
    """Class name to its videos, or to what else ``items`` lists, for each of the three layouts."""
    parts = {name: _classes(root / name, items) for name in PARTS if _is_part(root / name, items)}
    if len(parts) == len(PARTS) or any(parts.values()):
        if part not in parts:
            raise DataError(
                f"{root}: expected the folder {part!r} of class folders beside {next(iter(parts))!r}, got none; add "
                f"it, or give {str(root / next(iter(parts)))!r} itself"
            )
        found = {name: parts[part].get(name, []) for own in parts.values() for name in own}
    else:
        found = _classes(root, items)
    if not found and (direct := items(root)):
        found = {root.resolve().name: direct}
    if not any(found.values()):
        what = "picture" if items is list_pictures else "video"
        inner = [d.name for d in list_folders(root) if any(_classes(d, items).values())]
        hint = f"; did you mean {str(root / inner[0])!r}?" if inner else f"; expected root/<class>/<{what}>."
        raise DataError(f"{root}: no {what} found{hint}")
    return found


def _is_part(folder: Path, items: Items) -> bool:
    """Whether a folder named like a part of a split is one: it holds no videos of its own."""
    return folder.is_dir() and not items(folder)


def _classes(folder: Path, items: Items) -> dict[str, list[Path]]:
    """Sub-folders that hold items; a frame folder is itself a video, not a class of videos."""
    found = {}
    for inner in list_folders(folder):
        if items is list_pictures:
            own = items(inner)
        else:  # one system call a folder
            entries = _entries(inner)
            own = [] if _holds_frames(entries) else _videos(inner, entries)
        if own:
            found[inner.name] = own
    return found


def list_folders(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden, in natural order."""
    with os.scandir(folder) as entries:
        found = [folder / entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return sorted(found, key=natural)


def list_videos(folder: Path) -> list[Path]:
    """Video files and frame folders directly in `folder`, in natural order."""
    return _videos(folder, _entries(folder))


def list_pictures(folder: Path) -> list[Path]:
    """Picture files directly in `folder`, in natural order: each an item of a set of pictures."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted((path for path in files if not path.name.startswith(".") and path.is_file()), key=natural)


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
