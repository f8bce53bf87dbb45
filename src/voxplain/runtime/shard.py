"""Shards of an array job: which process computes which clips, by the content of the clips alone.

Every process of the job runs the same command with a shard of its own. It computes what its clips need and looks up
the rest; where a result of another shard is not stored yet, it ends with an error. When all processes have
ended, the same command goes on with the next step.
"""

import re
from dataclasses import dataclass

import numpy as np

from voxplain.errors import DataError, VoxplainError
from voxplain.store import content_hash

__all__ = ["MissingShards", "Shard", "read_shard"]


class MissingShards(VoxplainError):
    """A result of another shard is not stored yet."""


@dataclass(frozen=True)
class Shard:
    """Shard ``index`` of ``count``, from 1."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Check the index."""
        if not 1 <= self.index <= self.count:
            raise DataError(f"expected a shard from 1/{self.count} to {self.count}/{self.count}, got {self}")

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.index}/{self.count}"

    def owns(self, frames: np.ndarray) -> bool:
        """Whether a clip with these frames is in the shard."""
        return int(content_hash(frames)[:12], 16) % self.count == self.index - 1


def read_shard(text: str) -> Shard:
    """``2/8`` as a shard. Raises DataError for anything else."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise DataError(f"expected a shard such as 2/8, got {text!r}; write which one, a slash, and how many there are")
    return Shard(int(found[1]), int(found[2]))
