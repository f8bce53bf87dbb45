"""A corrected network against others on the same clips: accuracy by group, reliance on the concept, paired tests.

Letters: S seeds, N test clips; a group is a class with the concept, or without it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.corrections.examples import Examples
from voxplain.errors import DataError
from voxplain.model import OBJECTIVES, VideoModel
from voxplain.record_html import fields_table
from voxplain.statistics import sign_flip_test

__all__ = ["Gain", "Outcome", "compare", "crossed_interval", "measure", "worst_group"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one network does on the test clips.

    Parameters
    ----------
    right : bool [N]
        Whether each clip is recognised.
    change : float64 [N]
        Change of the log-odds of the run's class, as a magnitude, when the concept's voxels are replaced by another
        clip's; NaN where the clip lacks the concept.
    """

    right: Bools
    change: NDArray[np.float64]

    @property
    def reliance(self) -> float:
        """Mean change over the clips with the concept; NaN without such clips."""
        known = self.change[~np.isnan(self.change)]
        return float(known.mean()) if len(known) else float("nan")


def measure(model: VideoModel, test: Examples, without: NDArray[np.uint8], target: int) -> Outcome:
    """Predictions on the test clips, and on those with the concept after it was replaced.

    Parameters
    ----------
    model : VideoModel
    test : Examples
    without : ndarray, uint8 [M,T,H,W,3]
        The M clips with the concept, with its voxels replaced.
    target : int
        Index of the class whose log-odds are measured.

    Returns
    -------
    Outcome
    """
    z, change = model.logits(test.frames).cpu(), np.full(len(test), np.nan)
    if len(without):
        odds = OBJECTIVES["log_odds"](z.double(), target).numpy()[test.present]
        change[test.present] = np.abs(odds - OBJECTIVES["log_odds"](_logits(model, without), target).numpy())
    return Outcome(z.argmax(1).numpy() == test.labels, change)


def _logits(model: VideoModel, frames: NDArray[np.uint8]) -> torch.Tensor:
    return model.logits(frames).cpu().double()


def worst_group(right: Bools, labels: NDArray[np.int64], present: Bools, *, smallest: int = 3) -> float:
    """Lowest accuracy of a group, 0–1; NaN where no group has ``smallest`` clips.

    Parameters
    ----------
    right : bool [N]
    labels : int64 [N]
    present : bool [N]
        Whether the concept is in the clip.
    smallest : int
        Groups of fewer clips are left out.

    Returns
    -------
    float

    Examples
    --------
    >>> right, labels = np.array([True, True, False, True]), np.array([0, 0, 1, 1])
    >>> worst_group(right, labels, np.array([True, True, False, False]), smallest=2)
    0.5
    """
    groups = [(labels == k) & (present == there) for k in np.unique(labels) for there in (True, False)]
    found = [float(right[g].mean()) for g in groups if g.sum() >= smallest]
    return min(found, default=float("nan"))


def crossed_interval(
    differences: NDArray[np.float64], rng: np.random.Generator, *, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile interval of the mean of [S,N], with seeds and clips both drawn anew.

    Parameters
    ----------
    differences : float64 [S,N]
    rng : Generator
    level : float
    resamples : int

    Returns
    -------
    tuple of float
        NaN without values.

    References
    ----------
    Owen, The pigeonhole bootstrap, 2007.
    """
    s, n = differences.shape
    if not s or not n:
        return float("nan"), float("nan")
    seeds = rng.multinomial(s, [1 / s] * s, resamples) / s
    clips = rng.multinomial(n, [1 / n] * n, resamples) / n
    means = ((seeds @ differences) * clips).sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Gain:
    """Difference of two accuracies over the same clips, in points.

    Parameters
    ----------
    corrected, against : str
        The two networks.
    clips : str
        "all"; or "conflicting", those of the run's class without the concept and of other classes with it.
    count : int
        Number of clips.
    gain, low, high : float
        Mean over seeds and clips in points, with the 95 % interval over both.
    p_value : float
        Two-sided sign-flip test over clips, each with its mean over seeds.
    """

    corrected: str
    against: str
    clips: str
    count: int
    gain: float
    low: float
    high: float
    p_value: float

    _repr_html_ = fields_table


def compare(
    names: tuple[str, str], clips: str, right: NDArray, other: NDArray, chosen: Bools, *, seed: int = 0
) -> Gain:
    """Test of the accuracy of one network against another on the chosen clips.

    Parameters
    ----------
    names : (str, str)
        The two networks.
    clips : str
        Name of the chosen clips.
    right, other : bool [S,N]
        Whether each clip is recognised, by seed.
    chosen : bool [N]
    seed : int

    Returns
    -------
    Gain

    Raises
    ------
    DataError
        For arrays of different shapes.
    """
    if right.shape != other.shape:
        raise DataError(f"expected the same seeds and clips, got {right.shape} and {other.shape}; measure both alike")
    differences = 100.0 * (right[:, chosen].astype(float) - other[:, chosen].astype(float))
    rng, count = np.random.default_rng(seed), int(chosen.sum())
    low, high = crossed_interval(differences, rng)
    mean = float(differences.mean()) if count else float("nan")
    return Gain(*names, clips, count, mean, low, high, sign_flip_test(differences.mean(0), rng))
