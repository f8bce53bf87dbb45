"""Listing of a data set: the videos of a complete copy, and the path of each in this copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.layout import is_frame_folder, list_folders, list_videos
from voxplain.errors import DataError
from voxplain.video import Span

# (class, name of a video) to "train", "test" or None: not used.
PartOf = Callable[[str, str], str | None]


@dataclass(frozen=True, repr=False, eq=False)
class Listing:
    """The videos of a complete copy by class and name, with the path of each that is present."""

    videos: Mapping[str, Mapping[str, Path | None]]  # classes in the data set's order; None = not in this folder
    lists: Mapping[str, bool]  # split lists and other files of a complete copy: whether each is present
    total: int | None = None  # videos of a complete copy, where that is known without its lists
    notes: tuple[str, ...] = ()  # further content of this folder: masks, boxes, sequences

    def __repr__(self) -> str:
        """Counts, not names."""
        return f"Listing({self.found()} of {self.wanted()} videos, {len(self.videos)} classes)"

    def wanted(self) -> int:
        """Number of videos of a complete copy."""
        return max(sum(map(len, self.videos.values())), self.total or 0)

    def found(self) -> int:
        """Number of videos that are present."""
        return sum(path is not None for names in self.videos.values() for path in names.values())

    def missing(self, label: str) -> list[str]:
        """Names of a class's videos that are missing."""
        return [name for name, path in self.videos[label].items() if path is None]

    def complete(self) -> bool:
        """Whether every video and every list is present."""
        return self.found() == self.wanted() > 0 and all(self.lists.values())


def first_folder(root: Path, *names: str) -> Path:
    """The first of ``root/name`` that is a folder; else ``root``. DataError when ``root`` is none."""
    if not root.is_dir():
        raise DataError(f"{root}: expected the folder of a data set, got none; check the path")
    return next((root / name for name in names if (root / name).is_dir()), root)


def videos_below(folder: Path) -> dict[str, Path]:
    """Videos in ``folder`` and its sub-folders, as ``name`` or ``sub-folder/name``, suffixes left out."""
    found = {_stem(path): path for path in list_videos(folder)}
    for inner in list_folders(folder):
        if not is_frame_folder(inner):
            found |= {f"{inner.name}/{_stem(path)}": path for path in list_videos(inner)}
    return found


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def by_class(found: Mapping[str, Path]) -> dict[str, dict[str, Path | None]]:
    """The result of `videos_below` by sub-folder: the listing where the data set's own lists are missing."""
    videos: dict[str, dict[str, Path | None]] = {}
    for name in sorted(found):
        label, slash, stem = name.rpartition("/")
        if slash:
            videos.setdefault(label, {})[stem] = found[name]
    return videos


def need(listing: Listing, root: Path, names: Iterable[str]) -> None:
    """Raise DataError when a list that the split needs is missing."""
    for name in names:
        if not listing.lists.get(name, False):
            raise DataError(f"{root}: expected {name}, got none; copy it there from where the data set is published")


def two_parts(
    root: Path, listing: Listing, part_of: PartOf, spans: Mapping[str, Sequence[Span]] | None = None
) -> tuple[VideoSet, VideoSet]:
    """Training and test videos that are present; ``spans`` cuts a video into several items.

    The classes are those with a video in one of the parts, in the order of the listing, the same for both.
    Raises DataError when a part is empty.
    """
    rows: dict[str, list[tuple[str, Path, Span]]] = {"train": [], "test": []}
    for label, names in listing.videos.items():
        for name, path in names.items():
            part = part_of(label, name)
            if path is not None and part is not None:
                rows[part] += [(label, path, span) for span in (spans[name] if spans is not None else [(0, 0)])]
    present = {label for part in rows.values() for label, _, _ in part}
    classes = tuple(label for label in listing.videos if label in present)
    for part, found in rows.items():
        if not found:
            raise DataError(
                f"{root}: expected {'training' if part == 'train' else part} videos, got none of "
                f"{listing.wanted()} listed; `voxplain data NAME --check DIR` lists what is missing"
            )
    train, test = (
        VideoSet(
            classes,
            tuple(path for _, path, _ in part),
            np.array([classes.index(label) for label, _, _ in part], np.int64),
            None if spans is None else tuple(span for _, _, span in part),
        )
        for part in rows.values()
    )
    return train, test


def check_fold(name: str, fold: int, folds: int) -> None:
    """Raise DataError for a split that the data set does not have."""
    if not 1 <= fold <= folds:
        known = "only split 1" if folds == 1 else f"splits 1 to {folds}"
        raise DataError(f"expected a split of {name}, which has {known}, got {fold}; choose one")


def read_lines(file: Path) -> list[str]:
    """Lines of a list that are not empty. Raises DataError for a file that is no text."""
    try:
        # Names of old data sets are not always UTF-8; file systems keep such bytes the same way.
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"{file}: expected a list of videos, got: {error.strerror}; copy it again") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
