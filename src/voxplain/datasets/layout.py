"""Which sub-folders of a data folder are classes, and which entries are videos."""

from __future__ import annotations

from pathlib import Path

from voxplain.errors import DataError
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES, natural

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
    inner = {d.name: list_videos(d) for d in list_folders(folder) if not is_frame_folder(d)}
    return {name: videos for name, videos in inner.items() if videos}


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


def is_frame_folder(folder: Path) -> bool:
    """True for a folder of pictures without a video file among them."""
    suffixes = {p.suffix.lower() for p in folder.iterdir() if not p.name.startswith(".")}
    return bool(suffixes & PICTURE_SUFFIXES) and not suffixes & VIDEO_SUFFIXES
