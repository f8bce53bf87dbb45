"""Options for damaged videos and for parts of a run that fail, and the exit code of a run with losses."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter

__all__ = ["WITH_LOSSES", "Losses"]

WITH_LOSSES = 3  # exit code of a command that is done, but for videos, methods or metrics that it reports


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
