"""What is done with videos of which frames are lost, and how they are named in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from voxplain.errors import DataError, VideoError
from voxplain.video.lost_videos import note_damaged

__all__ = ["Damaged", "check_damage", "damage_sentence"]

# Leave out a video of which less than half of the frames are left | use all that is left | end with an error.
Damaged = Literal["skip", "use", "fail"]
HALF = 0.5  # share of its frames that a video needs, so that what is left is more than what is lost
NAMED = 3  # videos that a sentence names


def check_damage(path: Path, frames: int, lost: int, damaged: Damaged) -> None:
    """Raise an error where a video with lost frames is not to be used.

    Parameters
    ----------
    path : Path
        The video, for the error.
    frames, lost : int
        Frames that could be read, and that could not.
    damaged : {"skip", "use", "fail"}
        "skip": raise VideoError where less than half of the frames are left; "use": never; "fail": raise DataError
        where any frame is lost.

    Raises
    ------
    VideoError, DataError
        As ``damaged`` says.

    Examples
    --------
    >>> check_damage(Path("a.mp4"), 60, 20, "skip")
    """
    if damaged not in get_args(Damaged):
        raise DataError(f"expected damaged to be skip, use or fail, got {damaged!r}; choose one")
    if not lost or damaged == "use":
        note_damaged(path, lost)
        return
    said = f"{path}: {lost} of {frames + lost} frames are lost: the file is damaged or cut short"
    if damaged == "fail":
        raise DataError(f"{said}; copy or download it again, or choose damaged = skip or use (--damaged)")
    if frames < HALF * (frames + lost):
        raise VideoError(f"{said}; copy or download it again, or use what is left with damaged = use (--damaged use).")
    note_damaged(path, lost)


def damage_sentence(damaged: Sequence[tuple[str, int]], total: int, what: str = "videos") -> str:
    """One sentence, without a full stop, that names damaged videos; empty where there are none.

    Parameters
    ----------
    damaged : sequence of (str, int)
        Source and lost frames of each damaged video.
    total : int
        Videos among which they are.
    what : str
        The videos in the sentence.

    Examples
    --------
    >>> damage_sentence([("a.mp4", 12)], 20)
    '1 of 20 videos is damaged, and what is left of it is used: a.mp4 (12 frames lost)'
    """
    if not damaged:
        return ""
    named = ", ".join(f"{source} ({n} frame{'s' * (n != 1)} lost)" for source, n in damaged[:NAMED])
    more = f", and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    verb, them = ("is", "it") if len(damaged) == 1 else ("are", "them")
    return f"{len(damaged)} of {total} {what} {verb} damaged, and what is left of {them} is used: {named}{more}"
