"""Unrelated videos for the random sets: any folder, however nested, as one class.

The papers draw from HMDB51 (`voxplain.datasets.hmdb51`); in any set, leave out the classes that show what is to
be explained.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.layout import is_frame_folder, list_folders, list_videos
from voxplain.datasets.listing import Listing, first_folder
from voxplain.errors import DataError

__all__ = ["UNRELATED", "unrelated", "unrelated_listing"]

UNRELATED = "unrelated"


def unrelated(root: Path, *, leave_out: Collection[str] = ()) -> VideoSet:
    """Every video below a folder; sub-folders named in ``leave_out`` are not entered.

    Raises DataError where there is none, or for a name in ``leave_out`` that no sub-folder has.
    """
    paths = _below(first_folder(root), frozenset(leave_out))
    unknown = sorted(set(leave_out) - {d.name for d in root.rglob("*") if d.is_dir()}) if leave_out else []
    if unknown:
        raise DataError(f"{root}: expected a folder {unknown[0]!r} to leave out, got none; check the name")
    if not paths:
        raise DataError(f"{root}: expected unrelated videos, got none; name another folder")
    return VideoSet((UNRELATED,), tuple(paths), np.zeros(len(paths), np.int64))


def unrelated_listing(root: Path) -> Listing:
    """All videos in the folder; there is no official list to compare with."""
    paths = _below(first_folder(root), frozenset())
    return Listing({UNRELATED: {path.relative_to(root).as_posix(): path for path in paths}}, {})


def _below(folder: Path, leave_out: frozenset[str]) -> list[Path]:
    inner = [d for d in list_folders(folder) if d.name not in leave_out and not is_frame_folder(d)]
    return [*list_videos(folder), *(path for each in inner for path in _below(each, leave_out))]
