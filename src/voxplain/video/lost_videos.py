"""Videos that a command could not read, or that are damaged or short, noted where they are read, by whatever step."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LostVideos", "joined", "note_damaged", "note_short", "note_skipped", "noted_losses"]


@dataclass
class LostVideos:
    """The losses that were noted.

    Parameters
    ----------
    skipped : dict of str to str
        Videos that were left out, with the reason.
    damaged : dict of str to int
        Videos of which what is left is used, with the number of lost frames.
    short : dict of str to int
        Videos that have fewer frames than a clip, which are repeated, with their number; these are no losses.
    read : set of str
        Every video that was read.
    """

    skipped: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, int] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there are any losses."""
        return bool(self.skipped or self.damaged)

    def used(self) -> tuple[tuple[str, int], ...]:
        """Damaged videos that were not left out, with the number of lost frames, in the order of their names.

        Returns
        -------
        tuple of (str, int)
        """
        return tuple(sorted((path, lost) for path, lost in self.damaged.items() if path not in self.skipped))

    def short_sentence(self) -> str:
        """One sentence, without a full stop, that names short videos; empty where there are none.

        Returns
        -------
        str
        """
        if not self.short:
            return ""
        named = [f"{path} ({count} frame{'s' * (count != 1)})" for path, count in self.short.items()]
        more = f", and {len(named) - NAMED} more" if len(named) > NAMED else ""
        verb = "has" if len(named) == 1 else "have"
        return (
            f"{len(named)} of {len(self.read)} videos {verb} fewer frames than a clip, which are repeated: "
            f"{', '.join(named[:NAMED])}{more}"
        )


def joined(several: Iterable[LostVideos]) -> LostVideos:
    """The losses of several sets of videos together.

    Parameters
    ----------
    several : iterable of LostVideos

    Returns
    -------
    LostVideos
    """
    found = LostVideos()
    for one in several:
        found.skipped |= one.skipped
        found.damaged |= one.damaged
        found.short |= one.short
        found.read |= one.read
    return found


NAMED = 3  # videos that a sentence names
_NOTED: list[LostVideos] = []  # of the blocks that are open; videos are read by several threads
_LOCK = threading.Lock()


@contextlib.contextmanager
def noted_losses() -> Iterator[LostVideos]:
    """Note the losses of all videos that are read inside the block.

    Yields
    ------
    LostVideos
    """
    noted = LostVideos()
    with _LOCK:
        _NOTED.append(noted)
    try:
        yield noted
    finally:
        with _LOCK:
            _NOTED[:] = [one for one in _NOTED if one is not noted]


def note_damaged(path: Path, lost: int) -> None:
    """Note a video that was read, and how many of its frames are lost.

    Parameters
    ----------
    path : Path
    lost : int
    """
    with _LOCK:
        for noted in _NOTED:
            noted.read.add(str(path))
            if lost:
                noted.damaged[str(path)] = lost


def note_skipped(path: Path, reason: str) -> None:
    """Note a video that is left out.

    Parameters
    ----------
    path : Path
    reason : str
    """
    with _LOCK:
        for noted in _NOTED:
            noted.read.add(str(path))
            noted.skipped[str(path)] = reason


def note_short(path: Path, frames: int) -> None:
    """Note a video that has fewer frames than a clip, which are repeated.

    Parameters
    ----------
    path : Path
    frames : int
        Of the video.
    """
    with _LOCK:
        for noted in _NOTED:
            noted.read.add(str(path))
            noted.short[str(path)] = frames
