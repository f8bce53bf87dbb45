"""Class score while voxels change in a given order: insertion, deletion, adding and removing are one experiment.

Letters: T×H×W the grid, S steps. A *step map* says at which step each voxel changes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxplain.errors import DataError

__all__ = ["Curve", "curve", "step_map"]


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


def step_map(values: np.ndarray, steps: int) -> np.ndarray:
    """At which of S steps each voxel changes, int32 [T,H,W] in 1…S: highest values first, equal shares a step.

    Ties keep the order of the voxels. ``values`` [T,H,W]; negate it to change the least relevant first.
    """
    if steps < 1 or steps > values.size:
        raise DataError(f"expected from 1 to {values.size} steps, the number of voxels, got {steps}")
    rank = np.empty(values.size, np.int64)
    rank[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size)
    return (rank * steps // values.size + 1).astype(np.int32).reshape(values.shape)


def curve(when: np.ndarray, steps: int, measure: Callable[[list[np.ndarray]], np.ndarray]) -> Curve:
    """The curve of a step map [T,H,W]; voxels with a step of 0 or above S never change.

    ``measure`` gives the score, float [S+1], of the S+1 masks bool [T,H,W] of what has changed so far.
    """
    masks = [(when > 0) & (when <= s) for s in range(steps + 1)]
    fraction = np.array([m.mean() for m in masks], np.float64)
    return Curve(fraction, np.asarray(measure(masks), np.float64))
