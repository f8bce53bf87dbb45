"""The lines of a list of videos, in the forms that `voxplain.datasets.list_file` describes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voxplain.errors import DataError

__all__ = ["Row", "read_rows"]

PATHS = (
    *("path", "video_path", "clip_path", "file_path", "filepath", "video", "file", "filename", "file_name", "clip"),
    *("video_name", "clip_name", "name", "image", "image_path", "frames", "frame_folder", "folder", "id", "video_id"),
)
LABELS = ("label", "class", "class_name", "label_name", "action", "category", "target", "class_id", "label_id")
SPLITS = ("split", "subset", "part", "partition", "set")


@dataclass(frozen=True)
class Row:
    """One line: what may be its path and label, and the part and the seconds that it names."""

    line: int
    readings: tuple[tuple[str, str], ...]  # (path, label), the most likely first
    part: str = ""
    seconds: tuple[float, float] | None = None  # of a video of Kinetics, whose path is its YouTube name


def read_rows(file: Path) -> Iterator[Row | str]:
    """The lines of a list; for those that are none a sentence."""
    try:
        # Names of old data sets are not always UTF-8; file systems keep such bytes the same way.
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(
            f"{file}: expected a list of videos, got: {error.strerror or error}; give a text or CSV file"
        ) from error
    if "\0" in text:
        raise DataError(f"{file}: expected a list of videos, got a file that is no text; give a text or CSV file")
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((d for d in (",", ";", "\t") if d in first), "")
    names = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter))] if delimiter else []
    label = next((n for n in LABELS if n in names), None)
    path = "youtube_id" if "youtube_id" in names else next((n for n in PATHS if n in names), None)
    if label is not None and path is not None:
        yield from _csv_rows(lines, delimiter, names, path, label)
        return
    table = delimiter if file.suffix.lower() in (".csv", ".tsv") else ""
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if stripped and stripped != "#" and not stripped.startswith("# "):
            yield _plain_row(number, stripped, table)


def _csv_rows(lines: list[str], delimiter: str, names: list[str], path: str, label: str) -> Iterator[Row | str]:
    reader = csv.reader(lines, delimiter=delimiter)
    split, header = next((n for n in SPLITS if n in names), None), False
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield f"line {reader.line_num}: {error}"
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = True
            continue
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        if not row.get(path) or not row.get(label):
            yield f"line {reader.line_num}: expected {path} and {label}, got {delimiter.join(cells)[:60]!r}"
            continue
        part, seconds = row.get(split or "", "").lower(), None
        if path == "youtube_id" and row.get("time_start"):
            try:
                seconds = float(row["time_start"]), float(row["time_end"])
            except (KeyError, ValueError):
                yield f"line {reader.line_num}: expected seconds as time_start and time_end, got {row['time_start']!r}"
                continue
        yield Row(
            reader.line_num, ((row[path], row[label]),), part, seconds or ((0.0, 0.0) if path == "youtube_id" else None)
        )


def _plain_row(number: int, line: str, delimiter: str) -> Row | str:
    head, _, tail = line.rpartition(delimiter) if delimiter else ("", "", "")
    if not head:
        parts = line.rsplit(None, 1)
        head, tail = (parts[0], parts[1]) if len(parts) == 2 else line.rpartition(",")[::2]
    head, tail = head.strip().strip('"'), tail.strip().strip('"')
    if not head or not tail:
        return f"line {number}: expected a path and a label, got {line[:60]!r}"
    shorter = head.rsplit(None, 1) if not delimiter else head.rsplit(delimiter, 1)
    readings = [(head, tail)]
    if len(shorter) == 2 and shorter[1].strip().isdigit():  # path, number of frames, label
        readings.append((shorter[0].strip(), tail))
    return Row(number, tuple(readings))
