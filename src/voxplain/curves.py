"""Class score while voxels change in a given order: insertion, deletion, adding and removing are one experiment.

Letters: T×H×W the grid, S steps, U units that change as one. A *step map* says at which step each voxel changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from voxplain.errors import DataError

__all__ = ["Curve", "curve", "mirrored", "ranks", "unit_steps"]


@dataclass(frozen=True, eq=False)
class Curve:
    """``fraction`` float64 [S+1], share of voxels changed, from 0; ``score`` float64 [S+1], what was measured there."""

    fraction: np.ndarray
    score: np.ndarray

    def __post_init__(self) -> None:
        """Check that the two go together."""
        if self.fraction.shape != self.score.shape or self.fraction.ndim != 1 or len(self.fraction) < 2:
            raise DataError(
                f"expected fraction and score of one length of 2 or more, got {self.fraction.shape}, {self.score.shape}"
            )

    def __repr__(self) -> str:
        """The area, not data."""
        return f"Curve(steps={len(self.score) - 1}, auc={self.auc:.3f})"

    @property
    def auc(self) -> float:
        """Area under the score by the trapezoid rule over the fraction changed, divided by the range of fractions."""
        span = self.fraction[-1] - self.fraction[0]
        return float(np.trapezoid(self.score, self.fraction) / span) if span else float(self.score.mean())

    @property
    def auc_over_steps(self) -> float:
        """The same area with every step as wide as any other, as the video attribution study counts."""
        return float((self.score.sum() - (self.score[0] + self.score[-1]) / 2) / (len(self.score) - 1))


def ranks(values: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Place of each of U values, int64 [U]: 0 the highest. Ties keep their order, or are broken by ``rng``."""
    first = np.arange(len(values)) if rng is None else rng.permutation(len(values))
    rank = np.empty(len(values), np.int64)
    rank[first[np.argsort(-values[first], kind="stable")]] = np.arange(len(values))
    return rank


def unit_steps(rank: np.ndarray, steps: int) -> np.ndarray:
    """At which of S steps the unit of each rank changes, int32 in 1…S: rank 0 first, equal shares a step."""
    if steps < 1 or steps > rank.size:
        raise DataError(f"expected from 1 to {rank.size} steps, the number of units that change, got {steps}")
    return (rank * steps // rank.size + 1).astype(np.int32)


def mirrored(when: np.ndarray, steps: int) -> np.ndarray:
    """The step map that runs backwards: what it has not changed after s steps is what ``when`` has after S − s."""
    return np.where((when > 0) & (when <= steps), steps + 1 - when, when).astype(when.dtype)


def curve(when: np.ndarray, steps: int, measure: Callable[[Iterator[np.ndarray]], np.ndarray]) -> Curve:
    """The curve of a step map [T,H,W]; voxels with a step of 0 or above S never change.

    ``measure`` gives the score, float [S+1], of the S+1 masks bool [T,H,W] of what has changed so far; it gets them
    one by one, so that they need not be held at once.
    """
    counts = np.bincount(when[(when > 0) & (when <= steps)], minlength=steps + 1)
    masks = ((when > 0) & (when <= s) for s in range(steps + 1))
    return Curve(np.cumsum(counts) / when.size, np.asarray(measure(masks), np.float64))
