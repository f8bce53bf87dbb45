"""Class score while voxels change in a given order: insertion, deletion, adding and removing are one experiment.

Letters: T×H×W the grid, S steps, U units that change as one. A *step map* gives the step at which each voxel changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from voxplain.errors import DataError

__all__ = ["Curve", "curve", "mirrored", "ranks", "unit_steps"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Score after each of S steps in which voxels change.

    Parameters
    ----------
    fraction : float64 [S+1]
        Share of voxels changed, from 0.
    score : float64 [S+1]

    Raises
    ------
    DataError
        Different lengths, or fewer than 2 points.

    Examples
    --------
    >>> Curve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.0]))
    Curve(steps=2, auc=0.750)
    """

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
        """The same area with steps of equal width, as in the video attribution study."""
        return float((self.score.sum() - (self.score[0] + self.score[-1]) / 2) / (len(self.score) - 1))


def ranks(values: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Rank of each value, 0 the highest.

    Parameters
    ----------
    values : float [U]
    rng : numpy.random.Generator, optional
        Breaks ties; by default they keep their order.

    Returns
    -------
    int64 [U]

    Examples
    --------
    >>> ranks(np.array([0.1, 0.9, 0.5])).tolist()
    [2, 0, 1]
    """
    first = np.arange(len(values)) if rng is None else rng.permutation(len(values))
    rank = np.empty(len(values), np.int64)
    rank[first[np.argsort(-values[first], kind="stable")]] = np.arange(len(values))
    return rank


def unit_steps(rank: np.ndarray, steps: int) -> np.ndarray:
    """Step at which the unit of each rank changes: rank 0 first, equal shares a step.

    Parameters
    ----------
    rank : int [U]
    steps : int
        S, 1 to U.

    Returns
    -------
    int32 [U]
        In 1 … S.

    Raises
    ------
    DataError
        A number of steps out of range.

    Examples
    --------
    >>> unit_steps(np.array([2, 0, 1, 3]), 2).tolist()
    [2, 1, 1, 2]
    """
    if steps < 1 or steps > rank.size:
        raise DataError(f"expected from 1 to {rank.size} steps, the number of units that change, got {steps}")
    return (rank * steps // rank.size + 1).astype(np.int32)


def mirrored(when: np.ndarray, steps: int) -> np.ndarray:
    """Step map in reverse: after s steps it has left unchanged what ``when`` has changed after S − s.

    Examples
    --------
    >>> mirrored(np.array([0, 1, 2, 3]), 3).tolist()
    [0, 3, 2, 1]
    """
    return np.where((when > 0) & (when <= steps), steps + 1 - when, when).astype(when.dtype)


def curve(when: np.ndarray, steps: int, measure: Callable[[Iterator[np.ndarray]], np.ndarray]) -> Curve:
    """Curve of a step map.

    Parameters
    ----------
    when : int [T,H,W]
        Step at which each voxel changes; with 0 or more than S it never does.
    steps : int
        S.
    measure : function
        From the S+1 masks bool [T,H,W] of what has changed so far, one by one, so that they need not be in memory at
        once, to the scores float [S+1].

    Returns
    -------
    Curve

    Examples
    --------
    >>> when = unit_steps(np.arange(4), 2).reshape(1, 1, 4)
    >>> curve(when, 2, lambda masks: np.array([float(m.sum()) for m in masks])).score.tolist()
    [0.0, 2.0, 4.0]
    """
    counts = np.bincount(when[(when > 0) & (when <= steps)], minlength=steps + 1)
    masks = ((when > 0) & (when <= s) for s in range(steps + 1))
    return Curve(np.cumsum(counts) / when.size, np.asarray(measure(masks), np.float64))
