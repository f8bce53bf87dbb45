"""Kinetics-400, -600 and -700 (Kay et al., 2017): ten seconds of web video for each of 400 to 700 actions.

Lists from https://github.com/cvdfoundation/kinetic-dataset, under CC BY 4.0; the videos are under their own licences.
Read in two forms. Folders: ``train/<class>/<video>``, and ``val`` (or ``validate``, ``test``) in the same form. Lists:
``train.csv`` and ``val.csv`` (or ``validate.csv``, ``test.csv``) in the folder or in ``annotations``, with the columns
label and youtube_id, and time_start and time_end; the videos are then ``<id>_<start>_<end>.mp4`` or ``<id>.mp4`` in
``train``, ``val`` and so on, with or without class folders. The test part is val where there is one: papers report it,
and the official test lists had no labels. Classes that have no video here are left out, as subsets are usual.
"""

from __future__ import annotations

import csv
from pathlib import Path

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, by_class, first_folder, two_parts, videos_below
from voxplain.errors import DataError

__all__ = ["kinetics", "kinetics_listing"]

PARTS = {"train": ("train",), "test": ("val", "validate", "test")}
ID = 11  # letters of a YouTube name


def kinetics_listing(root: Path) -> Listing:
    """Every video that the lists name, as ``part/name``; without lists, every video in the folders."""
    lists = {part: _file(root, part) for part in PARTS}
    videos: dict[str, dict[str, Path | None]] = {}
    notes: list[str] = []
    for part, folders in PARTS.items():
        folder = first_folder(root, *folders)
        found = videos_below(folder) if folder != root else {}
        file = lists[part]
        named = by_class(found) if file is None else _named(file, found)
        for label, names in named.items():
            videos.setdefault(label, {}).update({f"{part}/{name}": path for name, path in names.items()})
        if file is None and found:
            notes.append(f"no list of {part} videos: missing ones cannot be found")
    folders_here = {
        f"{' or '.join(names)}, as a folder": first_folder(root, *names) != root for names in PARTS.values()
    }
    return Listing(dict(sorted(videos.items())), folders_here, notes=tuple(notes))


def kinetics(root: Path) -> tuple[VideoSet, VideoSet]:
    """Training and validation videos; classes in alphabetical order."""
    return two_parts(root, kinetics_listing(root), lambda _, name: name.partition("/")[0])


def _file(root: Path, part: str) -> Path | None:
    files = (folder / f"{name}.csv" for name in PARTS[part] for folder in (root, root / "annotations"))
    return next((file for file in files if file.is_file()), None)


def _named(file: Path, found: dict[str, Path]) -> dict[str, dict[str, Path | None]]:
    """The rows of a list and which of the videos found each one is."""
    here = {at.rpartition("/")[2]: path for at, path in found.items()}
    here |= {name[:ID]: path for name, path in here.items() if len(name) > ID}
    videos: dict[str, dict[str, Path | None]] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                name = row["youtube_id"]
                if row.get("time_start"):
                    name += f"_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}"
                videos.setdefault(row["label"], {})[name] = here.get(name, here.get(row["youtube_id"]))
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{file}: expected a list with the columns label, youtube_id, time_start and time_end, got: "
            f"{type(error).__name__} {error}; download it again"
        ) from error
    return videos
