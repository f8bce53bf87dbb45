"""Which sub-folders of a data folder are classes, and which entries are videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from voxplain.errors import DataError
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES, natural

PARTS = ("train", "test")
Items = Callable[[Path], list[Path]]  # `list_videos` or `list_pictures`


def find_classes(root: Path, part: str, items: Items) -> dict[str, list[Path]]:
    """Class name to its videos, or to what else ``items`` lists, for each of the three layouts."""
    if all((root / name).is_dir() for name in PARTS) and not any(items(root / name) for name in PARTS):
        names = {name for each in PARTS for name in _classes(root / each, items)}
        of_part = _classes(root / part, items)
        found = {name: of_part.get(name, []) for name in names}
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


def _classes(folder: Path, items: Items) -> dict[str, list[Path]]:
    """Sub-folders that hold items; a frame folder is itself a video, not a class of videos."""
    inner = {d.name: items(d) for d in list_folders(folder) if items is list_pictures or not is_frame_folder(d)}
    return {name: found for name, found in inner.items() if found}


def list_folders(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden, in natural order."""
    return sorted((d for d in folder.iterdir() if d.is_dir() and not d.name.startswith(".")), key=natural)


def list_videos(folder: Path) -> list[Path]:
    """Video files and frame folders directly in `folder`, in natural order."""
    return sorted(
        (
            path
            for path in folder.iterdir()
            if not path.name.startswith(".")
            and (is_frame_folder(path) if path.is_dir() else path.suffix.lower() in VIDEO_SUFFIXES)
        ),
        key=natural,
    )


def list_pictures(folder: Path) -> list[Path]:
    """Picture files directly in `folder`, in natural order: each an item of a set of pictures."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted((path for path in files if not path.name.startswith(".") and path.is_file()), key=natural)


def is_frame_folder(folder: Path) -> bool:
    """True for a folder of pictures without a video file among them."""
    suffixes = {p.suffix.lower() for p in folder.iterdir() if not p.name.startswith(".")}
    return bool(suffixes & PICTURE_SUFFIXES) and not suffixes & VIDEO_SUFFIXES
