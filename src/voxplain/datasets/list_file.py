"""Labelled videos from a list: lines "path label", a CSV file with a header, or a list of Kinetics.

Forms of a line, each relative to a root folder:

- ``walk/a.mp4 3`` or ``walk/a.mp4 walk``: a path, which may have spaces, and a label. The path is a video file, also
  without its suffix, a picture, or a folder of frames (``img_00001.jpg``); ``walk/a 120 3``, as for TSN, has the number
  of frames between them.
- CSV (comma, semicolon or tab) with a header that names a column of paths (path, video, file, clip …), one of labels
  (label, class, action …) and, optionally, one of parts (split, subset …: train; val, validate or test).
- Kinetics: label, youtube_id, time_start, time_end, split. The video is ``<id>_<start>_<end>`` or ``<id>`` anywhere
  below the root; of a ``<id>`` that is longer than the seconds listed only these are read.

Labels are names, or numbers of the network's outputs; 1 and 2 are labels like others.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from voxplain.datasets.folder import Skipped, VideoSet
from voxplain.datasets.list_lines import Row, read_rows
from voxplain.errors import DataError, VideoError
from voxplain.video import Span
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES

__all__ = ["list_parts", "read_list", "with_class_names"]

TRAIN = ("train", "training")
TEST = ("val", "validate", "validation", "valid", "test", "testing")
MARGIN = 1.0  # seconds by which a file may be longer than a listed part without being the whole video


@dataclass(frozen=True)
class _Item:
    """A line whose video exists."""

    line: int
    path: Path
    label: str
    part: str
    span: Span | None


def read_list(
    file: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    first_label: int = 0,
) -> VideoSet:
    """The videos that a list names, with their labels, in the order of the list.

    Parameters
    ----------
    file : str or path
        Lines "path label", a CSV file with a header, or a list of Kinetics; see `voxplain.datasets.list_file`.
    root : str or path, optional
        The folder that paths are relative to; by default that of the list.
    classes : sequence of str, optional
        Names of the classes in the order of the network's outputs. Default: the names in the list, sorted, or for
        numbers "0", "1" and so on.
    first_label : int
        The number of the first class, where labels are numbers.

    Returns
    -------
    VideoSet
        Lines that are no video with a label, or name a file that is missing, are listed in ``skipped``.

    Raises
    ------
    DataError
        A list that cannot be read, or without a single usable line.

    Examples
    --------
    >>> (folder / "a.mp4").touch()
    >>> _ = (folder / "train.txt").write_text("a.mp4 2")
    >>> videos = read_list(folder / "train.txt", classes=("bend", "jump", "run"))
    >>> videos.classes[videos.labels[0]]
    'run'
    """
    items, skipped = _items(Path(file), root)
    return _sets([(Path(file), items)], skipped, classes, first_label)[0]


def list_parts(
    file: str | os.PathLike[str],
    test: str | os.PathLike[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    first_label: int = 0,
) -> tuple[VideoSet, VideoSet | None]:
    """Training and test videos of two lists, or of one list with a column of parts; the classes are those of both.

    Parameters
    ----------
    file : str or path
        As for `read_list`.
    test : str or path, optional
        The list of test videos. Default: the lines of ``file`` whose part is val, validate or test, where it has
        others, too.
    root, classes, first_label
        As for `read_list`.

    Returns
    -------
    train : VideoSet
    test : VideoSet or None
        None where there is no test list and the lines are of one part.

    Raises
    ------
    DataError
        As for `read_list`.
    """
    first, skipped = _items(Path(file), root)
    if test is not None:
        second, lost = _items(Path(test), root)
        train, held = _sets([(Path(file), first), (Path(test), second)], [*skipped, *lost], classes, first_label)
        return train, held
    tests = {"val", "validate", "validation", "valid"} & {item.part for item in first} or set(TEST)
    parts = [item for item in first if item.part in TRAIN], [item for item in first if item.part in tests]
    if all(parts):
        unclear = [item for item in first if item.part not in (*TRAIN, *TEST)]
        skipped += [
            Skipped(Path(file), f"line {i.line}: expected a part as train or test, got {i.part!r}") for i in unclear
        ]
        train, held = _sets([(Path(file), part) for part in parts], skipped, classes, first_label)
        return train, held
    return _sets([(Path(file), first)], skipped, classes, first_label)[0], None


def with_class_names(videos: VideoSet, classes: Sequence[str]) -> VideoSet:
    """Videos whose labels are numbers, with the names of a network's outputs; only classes that have a video.

    Parameters
    ----------
    videos : VideoSet
        Of a list.
    classes : sequence of str
        Of the network; empty for none.

    Returns
    -------
    VideoSet
        Videos with a number that the network does not have are left out; only these are in ``skipped``.

    Raises
    ------
    DataError
        No number that the network has, or numbers that seem to count from 1: the number of outputs, and no 0.

    Examples
    --------
    >>> videos = VideoSet(("0", "1", "2"), (Path("a.mp4"),), np.array([2]))
    >>> with_class_names(videos, ["bend", "jump", "run"]).classes
    ('run',)
    """
    names, found = videos.classes, set(videos.labels.tolist())
    if classes and are_numbers(names) and (are_numbers(classes) or not set(names) <= set(classes)):
        count, wanted = len(classes), f"a label from 0 to {len(classes) - 1}, the outputs of the network"
        if min(found) >= count or (max(found) == count and 0 not in found):
            raise DataError(
                f"expected {wanted}, got {max(found)}; correct the list, or give --first-label 1 where it counts from 1"
            )
        lost = np.flatnonzero(videos.labels >= count)
        skipped = [Skipped(videos.paths[i], f"expected {wanted}, got {videos.labels[i]}") for i in lost]
        videos = replace(videos.select(np.flatnonzero(videos.labels < count)), skipped=tuple(skipped))
        names = tuple(classes)
    else:
        videos = replace(videos, skipped=())
    used = sorted(set(videos.labels.tolist()))
    labels = np.searchsorted(used, videos.labels).astype(np.int64)
    return replace(videos, classes=tuple(names[k] for k in used), labels=labels)


def are_numbers(classes: Sequence[str]) -> bool:
    """Whether the classes of a list have no names: "0", "1" and so on.

    Examples
    --------
    >>> are_numbers(("0", "1")), are_numbers(("bend", "jump"))
    (True, False)
    """
    return len(classes) > 0 and all(name == str(i) for i, name in enumerate(classes))


def _items(file: Path, root: str | os.PathLike[str] | None) -> tuple[list[_Item], list[Skipped]]:
    """The lines whose video exists, and those that are skipped."""
    folder = _Folder(file.parent if root is None else Path(root))
    if not folder.root.is_dir():
        raise DataError(f"expected a folder that the paths of {file} are relative to, got {folder.root}; give --root")
    items, skipped, seen = list[_Item](), list[Skipped](), dict[tuple[Path, Span | None, str], int]()
    for row in read_rows(file):
        found = row if isinstance(row, str) else folder.item(row)
        if isinstance(found, str):
            skipped.append(Skipped(file, found))
            continue
        first = seen.setdefault((found.path, found.span, found.label), found.line)
        if first != found.line:
            skipped.append(Skipped(file, f"line {found.line}: the same as line {first}"))
            continue
        items.append(found)
    if not items:
        why = f"; {skipped[0].reason}" if skipped else ""
        raise DataError(
            f"{file}: expected lines 'path label' or a CSV file with the columns path and label, of videos in "
            f"{folder.root}, got none among {len(skipped)}{why}"
        )
    return items, skipped


class _Folder:
    """The root of a list, in which the videos of its lines are looked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def item(self, row: Row) -> _Item | str:
        """The video of a line; a sentence where there is none."""
        for name, label in row.readings:
            if row.seconds is not None:
                path = self._of_kinetics(name, *row.seconds)
            else:
                path = self._existing(name)
            if path is None:
                continue
            try:
                span = None if row.seconds is None else _listed_span(path, name, *row.seconds)
            except VideoError as error:
                return f"line {row.line}: {error}"
            return _Item(row.line, path, label, row.part, span)
        return f"line {row.line}: no video {row.readings[0][0]!r} in {self.root}"

    def _existing(self, name: str) -> Path | None:
        """A file or folder of frames by its name, which may lack the suffix or begin with a slash."""
        try:
            given = Path(name.replace("\\", "/"))
            for path in (self.root / given, self.root / str(given).lstrip("/")):
                if path.is_dir() or (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES):
                    return path
                for suffix in sorted(VIDEO_SUFFIXES):
                    if (longer := path.with_name(path.name + suffix)).is_file():
                        return longer
        except (OSError, ValueError):  # a name that no file system takes
            return None
        return None

    def _of_kinetics(self, name: str, start: float, end: float) -> Path | None:
        cut = (f"{name}_{int(start):06d}_{int(end):06d}", f"{name}_{int(start)}_{int(end)}", name)
        return next((self._by_stem[stem] for stem in cut if stem in self._by_stem), None)

    @cached_property
    def _by_stem(self) -> dict[str, Path]:
        """Every video below the root by its name without suffix."""
        found: dict[str, Path] = {}
        for folder, inner, files in os.walk(self.root):
            inner.sort()
            for name in sorted(files):
                stem, dot, suffix = name.rpartition(".")
                if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES:
                    found.setdefault(stem, Path(folder) / name)
                elif dot and f".{suffix.lower()}" in PICTURE_SUFFIXES:  # a folder of frames
                    found.setdefault(Path(folder).name, Path(folder))
        return found


def _listed_span(path: Path, name: str, start: float, end: float) -> Span | None:
    """The listed frames of a file that holds the whole video; None where the file is the listed part."""
    if end <= start or path.name.rpartition(".")[0] != name:
        return None
    from voxplain.video.sources import open_source

    source = open_source(path)
    if source.claimed / source.fps <= end - start + MARGIN:
        return None
    return round(start * source.fps), round(end * source.fps)


def _sets(
    parts: Sequence[tuple[Path, list[_Item]]], skipped: list[Skipped], classes: Sequence[str] | None, first_label: int
) -> list[VideoSet]:
    """A set for each part, with the same classes; all sets name all lines that were skipped."""
    labels = {item.label for _, items in parts for item in items}
    numbers = all(label.lstrip("-").isdigit() for label in labels) and not labels <= set(classes or ())
    if classes is None:
        count = max((int(label) for label in labels), default=0) - first_label + 1 if numbers else 0
        names = tuple(map(str, range(count))) if numbers else tuple(sorted(labels))
    else:
        names = tuple(classes)
    index = {label: int(label) - first_label for label in labels} if numbers else {n: i for i, n in enumerate(names)}
    kept: list[list[_Item]] = []
    for file, items in parts:
        known = [item for item in items if 0 <= index.get(item.label, -1) < len(names)]
        lost = [item for item in items if not 0 <= index.get(item.label, -1) < len(names)]
        skipped += [Skipped(file, _unknown(item, names, numbers, first_label)) for item in lost]
        if not known:
            raise DataError(
                f"{file}: expected labels of the classes, got none; {_unknown(lost[0], names, numbers, first_label)}"
            )
        kept.append(known)
    return [
        VideoSet(
            names,
            tuple(item.path for item in items),
            np.array([index[item.label] for item in items], np.int64),
            tuple(item.span for item in items) if any(item.span for item in items) else None,
            tuple(skipped),
        )
        for items in kept
    ]


def _unknown(item: _Item, names: tuple[str, ...], numbers: bool, first_label: int) -> str:
    if numbers:
        last = len(names) - 1 + first_label
        hint = ", or --first-label 1 where the list counts from 1" if int(item.label) == last + 1 else ""
        return f"line {item.line}: expected a label from {first_label} to {last}, got {item.label}{hint}"
    near = difflib.get_close_matches(item.label, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"line {item.line}: there is no class {item.label!r} among {len(names)}{hint}"
