"""DFR: the last layer is refitted on clips in which the concept is as frequent in every class as its absence.

Letters: N clips, D inputs of the head, C classes; a group is a class with the concept, or without it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.corrections.examples import Examples
from voxplain.corrections.head import head_inputs, head_weights, with_head
from voxplain.errors import DataError
from voxplain.model import VideoModel

__all__ = ["RefitHead", "group_weights"]


def group_weights(
    labels: NDArray[np.int64], present: NDArray[np.bool_], *, balanced: bool, smallest: int
) -> NDArray[np.float64]:
    """Weight [N] of each clip: every class has the same total, and in it every group.

    Parameters
    ----------
    labels : ndarray, int64 [N]
    present : ndarray, bool [N]
        Whether the concept is in the clip.
    balanced : bool
        False: the groups of a class are weighted by their clips.
    smallest : int
        Groups of fewer clips get no weight of their own.

    Returns
    -------
    ndarray, float64 [N]
        Mean 1.

    Examples
    --------
    >>> labels, present = np.array([0, 0, 0, 1]), np.array([True, True, False, False])
    >>> group_weights(labels, present, balanced=True, smallest=1).tolist()
    [0.5, 0.5, 1.0, 2.0]
    """
    weights = np.zeros(len(labels))
    for k in np.unique(labels):
        groups = [np.flatnonzero((labels == k) & (present == there)) for there in (True, False)]
        groups = [g for g in groups if len(g) >= smallest] if balanced else []
        for group in groups or [np.flatnonzero(labels == k)]:
            weights[group] = 1 / (len(group) * max(len(groups), 1))
    weights *= len(weights) / weights.sum()
    return weights


@dataclass(frozen=True)
class RefitHead:
    """Refit of the last layer by logistic regression on groups of the same weight.

    The groups are "class, concept present" and "class, concept absent"; they are found by the concept, so no clip needs
    a label of its group. The inputs are standardised, and the standardisation is written into the new weights.

    Parameters
    ----------
    balanced : bool
        False: every clip of a class has the same weight, which is the refit without correction.
    strength : float
        Inverse of the ℓ2 penalty, C of scikit-learn.
    smallest : int
        Clips from which on a group counts.

    Raises
    ------
    DataError
        For a strength of 0 or less; when called, clips of fewer classes than the network's.

    References
    ----------
    Kirichenko et al., Last layer re-training is sufficient for robustness to spurious correlations, ICLR 2023. There
    ℓ1, on balanced subsets that are drawn several times; here the same balance by weights, which uses every clip.
    """

    balanced: bool = True
    strength: float = 0.1
    smallest: int = 3

    def __post_init__(self) -> None:
        """Check the strength."""
        if self.strength <= 0:
            raise DataError(f"expected a strength above 0, got {self.strength}; choose 0.1 or so")

    @property
    def uncorrected(self) -> "RefitHead":
        """The same refit without balance."""
        return replace(self, balanced=False)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        from sklearn.linear_model import LogisticRegression

        classes = len(head_weights(model)[1])
        found = np.unique(examples.labels)
        if len(found) != classes or classes < 2:
            raise DataError(
                f"expected clips of all {classes} classes to refit the head, got {len(found)}; give the training set"
            )
        # Bootstrapped, so that seeds show how far the fit depends on the clips.
        chosen = np.random.default_rng(seed).integers(0, len(examples), len(examples)) if seed else None
        some = examples if chosen is None else examples.some(np.concatenate([chosen, _one_of_each(examples.labels)]))
        a = head_inputs(model, some.frames)
        mean, scale = a.mean(0), np.maximum(a.std(0), 1e-6)
        weights = group_weights(some.labels, some.present, balanced=self.balanced, smallest=self.smallest)
        fit = LogisticRegression(C=self.strength, max_iter=2000).fit((a - mean) / scale, some.labels, weights)
        w, b = fit.coef_, fit.intercept_
        if classes == 2:  # scikit-learn gives the log-odds of the second class
            w, b = np.concatenate([-w, w]) / 2, np.concatenate([-b, b]) / 2
        w = w / scale
        return with_head(model, w, b - w @ mean)


def _one_of_each(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.unique(labels, return_index=True)[1]
