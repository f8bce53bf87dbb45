"""Names of videos in results: relative to the folder of the data, so that no path of a machine is in them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxplain.video import Clip

__all__ = ["place_in", "short_command", "short_path", "with_places"]

KEPT = 1  # bytes: the clips themselves are kept by the sequence that reads them


def place_in(source: str, root: Path) -> str:
    """The place of a file below a folder, with the folder's name.

    Parameters
    ----------
    source : str
        Path of the file, and what a reader adds behind it.
    root : Path
        Folder of the data.

    Returns
    -------
    str
        ``source`` as it is where it is relative and not below ``root``; where it is absolute and elsewhere, its name
        behind the first eight digits of a hash of its folder.

    Examples
    --------
    >>> place_in("/home/me/data/train/bend/0.mp4", Path("/home/me/data"))
    'data/train/bend/0.mp4'
    >>> place_in("/elsewhere/0.mp4", Path("/home/me/data"))
    'b660bf8d/0.mp4'
    """
    for folder in (root, root.absolute(), root.resolve()):
        if source.startswith(f"{folder}/"):
            return f"{folder.resolve().name or folder.name}/{source[len(str(folder)) + 1 :]}"
    return short_path(source)


def short_path(text: str) -> str:
    """A path as it is, or the name of an absolute one behind a hash of its folder."""
    path = Path(text)
    if not path.is_absolute():
        return text
    folder = hashlib.sha256(str(path.parent).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{folder}/{path.name}"


def short_command(words: Sequence[str]) -> list[str]:
    """The words of a command line, with absolute paths by their names."""
    return [Path(word).name if Path(word).is_absolute() else word for word in words]


def with_places(clips: "Sequence[Clip]", root: Path) -> "Sequence[Clip]":
    """The same clips, read when they are asked for, with `place_in` as their sources."""
    from voxplain.lazy import Lazy

    def clip(i: int) -> "Clip":
        found = clips[i]
        return replace(found, source=place_in(found.source, root))

    return Lazy(clip, range(len(clips)), size=lambda made: made.frames.nbytes, keep=KEPT)
