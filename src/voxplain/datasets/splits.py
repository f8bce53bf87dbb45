"""Split files: text files that list the training and test videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxplain.errors import DataError
from voxplain.video.stream import VIDEO_SUFFIXES

NUMBERS = {"train": "1", "test": "2"}  # JHMDB and HMDB51; 0 = not used


def read_split(files: Sequence[Path], *, part: str) -> frozenset[str]:
    """Names of the videos in `part`, without suffix, with `/` between folders.

    Each file has one of two forms. When every line is a bare name with a 0, 1 or 2 behind it
    (`name.avi 1`, JHMDB and HMDB51), 1 is train and 2 test. Otherwise each line is a path under the root or a
    bare name, and all of them belong to the part asked for; a class number behind a path (UCF101) is dropped.
    Empty lines and comments (# and a space) do not count; some names of HMDB51 begin with #.

    Raises DataError for a missing, unreadable or empty file, or when no line is in `part`.
    """
    names: set[str] = set()
    for file in map(Path, files):
        lines = _lines(file)
        numbered = [_numbered(line) for line in lines]
        if all(number in ("0", "1", "2") and "/" not in name for name, number in numbered):
            names |= {key(name) for name, number in numbered if number == NUMBERS[part]}
        else:
            names |= {key(name if "/" in name else line) for line, (name, _) in zip(lines, numbered, strict=True)}
    if not names:
        raise DataError(f"the split files have no video for part {part!r}; check the numbers 1 (train) and 2 (test).")
    return frozenset(names)


def in_part(path: Path, root: Path, names: frozenset[str]) -> bool:
    """True when a video under `root` is listed, by its path or its bare name; suffixes do not matter."""
    parts = path.relative_to(root).parts
    return any(key("/".join(parts[i:])) in names for i in range(len(parts)))


def key(name: str) -> str:
    """A listed name in the form it is compared in: no leading ./, forward slashes, no video suffix."""
    name = name.strip().replace("\\", "/").removeprefix("./")
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else name


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"{file}: the split file cannot be read ({reason}); give a text file of names.") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and line != "#" and not line.startswith("# ")]
    if not lines:
        raise DataError(f"{file}: the split file is empty; expected one video name a line.")
    return lines


def _numbered(line: str) -> tuple[str, str | None]:
    """`name 1` to (name, "1"); a line without a number to (line, None)."""
    head, _, tail = line.rpartition(" ")
    return (head.strip(), tail) if head and tail.isdigit() else (line, None)
