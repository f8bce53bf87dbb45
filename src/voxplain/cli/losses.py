"""Options for damaged videos and for parts of a run that fail, and the exit code of a run with losses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from voxplain.cli.printed import MOST_LINES

if TYPE_CHECKING:
    from pathlib import Path

    from voxplain.cli.console import Console
    from voxplain.video.lost_videos import LostVideos

__all__ = ["LOST_VIDEOS", "WITH_LOSSES", "Losses", "printed_losses", "write_lost_videos"]

WITH_LOSSES = 3  # exit code of a command that is done, but for videos, methods or metrics that it reports
LOST_VIDEOS = "lost_videos.csv"


@Parameter(name="*")
@dataclass(frozen=True)
class Losses:
    """What is done with damaged videos and with parts of the work that fail."""

    damaged: Literal["skip", "use", "fail"] = "skip"
    """Videos of which frames are lost (damaged, or cut short): skip those of which less than half is left, use all that
    is left, or fail."""
    strict: bool = False
    "End with exit code 1 instead of 3 where videos, methods or metrics are lost or damaged."

    def exit_code(self, lost: bool) -> int:
        """The exit code of a command that is done.

        Parameters
        ----------
        lost : bool
            Whether a video, a method or a metric was skipped, or a video that was used is damaged.

        Returns
        -------
        int
            0 without losses; with losses 3, or 1 where ``strict``.

        Examples
        --------
        >>> Losses().exit_code(lost=True), Losses(strict=True).exit_code(lost=True), Losses().exit_code(lost=False)
        (3, 1, 0)
        """
        if not lost:
            return 0
        return 1 if self.strict else WITH_LOSSES


@contextmanager
def printed_losses(console: "Console") -> "Iterator[LostVideos]":
    """Note videos that are skipped or damaged inside the block, and print them at its end.

    Parameters
    ----------
    console : Console

    Yields
    ------
    LostVideos
        True where there are any.
    """
    from voxplain.video.lost_videos import noted_losses

    with noted_losses() as noted:
        try:
            yield noted
        finally:  # an error may come of what was skipped
            _print(console, noted)


def write_lost_videos(folder: "Path", noted: "LostVideos") -> None:
    """Write which videos were skipped or are damaged to lost_videos.csv; without any there is no such file.

    Parameters
    ----------
    folder : Path
    noted : LostVideos
    """
    from voxplain.plain_text import one_line
    from voxplain.store import write_csv

    lost: dict[str, tuple[int | None, str | None]] = {path: (count, None) for path, count in noted.used()}
    lost |= {path: (None, one_line(reason)) for path, reason in noted.skipped.items()}
    if lost:
        rows = [{"video": one_line(p), "lost_frames": lost[p][0], "skipped": lost[p][1]} for p in sorted(lost)]
        write_csv(folder / LOST_VIDEOS, rows)
    else:
        (folder / LOST_VIDEOS).unlink(missing_ok=True)


def _print(console: "Console", noted: "LostVideos") -> None:
    from voxplain.plain_text import one_line
    from voxplain.video import damage_sentence

    said = [f"skipped: {one_line(reason)}" for reason in noted.skipped.values()]
    if len(said) > MOST_LINES:
        said = [*said[:MOST_LINES], f"{len(said) - MOST_LINES} more videos skipped"]
    if sentence := damage_sentence(noted.used(), len(noted.read)):
        said.append(sentence)
    if sentence := noted.short_sentence():
        said.append(f"note: {sentence}")
    for line in said:
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
