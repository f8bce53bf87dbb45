"""Shares of the clips: which process does what, by the clips' content and nothing else.

Every process of an array job runs the same command with a share of its own. It does what its clips need and looks up
the rest; where something of another share is not there yet, it says so and ends. Once all have ended, the same command
goes on with the next step.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxplain.errors import DataError, VoxplainError
from voxplain.store import content_hash

__all__ = ["MissingShards", "Shard", "ShardExecutor", "read_shard"]


class MissingShards(VoxplainError):
    """A result of another share is not there yet."""


@dataclass(frozen=True)
class Shard:
    """Share ``index`` of ``count``, from 1."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Refuse shares that do not exist."""
        if not 1 <= self.index <= self.count:
            raise DataError(f"expected a share from 1/{self.count} to {self.count}/{self.count}, got {self}")

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.index}/{self.count}"

    def owns(self, frames: np.ndarray) -> bool:
        """Whether a clip with these frames is in the share."""
        return int(content_hash(frames)[:12], 16) % self.count == self.index - 1


def read_shard(text: str) -> Shard:
    """``2/8`` as a share. Raises DataError for anything else."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise DataError(f"expected a share such as 2/8, got {text!r}; write which one, a slash, and how many there are")
    return Shard(int(found[1]), int(found[2]))


class ShardExecutor:
    """Run the work of a share's clips with ``compute``; raise `Missing` for that of others."""

    def __init__(self, compute: Any, shard: Shard) -> None:
        """``compute`` does the work of clips that ``shard`` owns."""
        self._compute, self._shard = compute, shard
        self.workers: int = compute.workers

    def __call__(self, work: Callable[..., Any]) -> Any:
        """The work's result. Raises Missing for a clip of another share."""
        clip = getattr(work, "clip")  # noqa: B009 - every piece of work is about one clip
        if not self._shard.owns(clip.frames):
            raise MissingShards(f"a result for {clip.source} belongs to another share")
        return self._compute(work)
