"""Scores with intervals and tests, and the ranking of concepts they give.

Letters: K concepts, R repeats (random sets for a TCAV score, clips of the class for the direct effect), N null
concepts, C classes. Every score here: higher is more important.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.concepts.significance import effect_size, independent_t, interval, null_t_test, null_test, paired_t
from voxplain.errors import DataError
from voxplain.model import Objective
from voxplain.statistics import benjamini_hochberg, bootstrap_interval, sign_flip_test

__all__ = ["EFFECTS", "TESTS", "ConceptScores", "rank_by_effect", "rank_by_tcav", "recognition_test"]


@dataclass(frozen=True, eq=False)
class ConceptScores:
    """Scores of K concepts for one class.

    Parameters
    ----------
    name : str
        The score and its variant, as in "effect (drop)".
    target : int
        Class index.
    scores : ndarray, float32 [K,R]
        One value a repeat: a clip for direct effects (NaN where it lacks the concept), a random set for TCAV.
    value : ndarray [K]
        What is ranked; higher is more important.
    null : ndarray, float32 [N]
        The same value for N random concepts; empty where there are none.
    interval : ndarray [K,2]
        95 % interval of ``value``.
    p_value, q_value : ndarray [K]
        q after Benjamini and Hochberg over the K concepts.
    effect_size : ndarray [K]
    chance : float
        The value without any relation to the class.
    """

    name: str
    target: int
    scores: np.ndarray
    value: np.ndarray
    null: np.ndarray
    interval: np.ndarray
    p_value: np.ndarray
    q_value: np.ndarray
    effect_size: np.ndarray
    chance: float

    def __post_init__(self) -> None:
        """Check that all fields have the same K concepts."""
        k = len(self.scores)
        shapes = [x.shape for x in (self.value, self.p_value, self.q_value, self.effect_size)]
        if self.scores.ndim != 2 or self.interval.shape != (k, 2) or set(shapes) != {(k,)}:
            raise DataError(
                f"expected scores [K,R], interval [K,2] and the rest [K], got {self.scores.shape}, {shapes}"
            )

    def __repr__(self) -> str:
        """Shapes, not data."""
        return "ConceptScores({}, concepts={}, repeats={})".format(self.name, *self.scores.shape)

    @property
    def rank(self) -> np.ndarray:
        """Concept indices, best first; equal values in index order."""
        return np.argsort(-self.value, kind="stable")


# How a TCAV score is tested. The last two are for comparison with the references: the R sets share the concept's
# members, so their spread is not its uncertainty, and both call almost everything significant.
TESTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "null": lambda scores, null: np.asarray(null_t_test(scores, null)),
    "null-rank": lambda scores, null: np.asarray(null_test(scores, null)),
    "paired-t": lambda scores, null: np.asarray(paired_t(scores, null[0])),
    "independent-t": lambda scores, null: np.asarray(independent_t(scores, null[0])),
}


def rank_by_tcav(
    name: str, scores: np.ndarray, null: np.ndarray, *, target: int, chance: float, test: str = "null"
) -> ConceptScores:
    """Rank by the mean over random sets, tested against random concepts.

    Parameters
    ----------
    name : str
        Name of the score.
    scores : ndarray [K,R]
        Scores of the concepts with each random set.
    null : ndarray [N,R]
        Scores of random concepts with the same random sets.
    target : int
        Class index.
    chance : float
        Chance level of the score.
    test : str
        An entry of `TESTS`. The R scores of a concept share its members, so their spread is not the uncertainty over
        other members. The default compares the concept's mean with the means of the random concepts (two-sided t,
        N − 1 degrees of freedom).
    """
    p = TESTS[test](scores, null)
    low, high = interval(scores)
    return ConceptScores(
        name,
        target,
        scores.astype(np.float32),
        scores.mean(1),
        null.mean(1).astype(np.float32),
        np.stack([low, high], 1),
        p,
        benjamini_hochberg(p),
        np.asarray(effect_size(scores, null)),
        chance,
    )


def over_control(effects: Effects, target: int, objective: Objective) -> np.ndarray:
    """Drop when the concept is hidden minus the drop when random supervoxels of its volume are, [M,K]."""
    return effects.drop(target, objective) - effects.control_drop(target, objective)


EFFECTS: dict[str, Callable[[Effects, int, Objective], np.ndarray]] = {
    "drop": Effects.drop,
    "over-control": over_control,
    "alone": Effects.gain_alone,
}


def recognition_test(own: np.ndarray, unrelated: np.ndarray, target: int) -> float:
    """Test whether the network separates the class's clips from unrelated ones.

    The outputs of a network without knowledge of the class (random weights, shuffled labels) also change when voxels
    are hidden, consistently over clips; but then the class is one among C exchangeable outputs. One-sided t-test of the
    class's rise in mean probability, from unrelated clips to its own, as one more draw from the rises of the C − 1
    others (C − 2 degrees of freedom).

    Parameters
    ----------
    own : ndarray [M,C]
        Logits of clips of the class.
    unrelated : ndarray [N,C]
        Logits of unrelated clips.
    target : int
        Class index.

    Returns
    -------
    float
        P-value; NaN with fewer than 3 classes, where there is nothing to compare with.
    """
    from scipy import stats
    from scipy.special import softmax

    rise = softmax(own.astype(np.float64), axis=1).mean(0) - softmax(unrelated.astype(np.float64), axis=1).mean(0)
    others = np.delete(rise, target)
    n = len(others)
    if n < 2:
        return float("nan")
    spread = others.std(ddof=1) * np.sqrt(1 + 1 / n)
    away = rise[target] - others.mean()
    # Equal rises of the others have no spread: any larger rise of the class is then certain.
    return float(stats.t.sf(away / spread, n - 1)) if spread > 0 else float(away <= 0)


def rank_by_effect(
    effects: Effects,
    target: int,
    *,
    unrelated: np.ndarray,
    kind: str = "drop",
    objective: Objective = "log_odds",
    seed: int = 0,
) -> ConceptScores:
    """Rank by the mean direct effect over the class's clips; a clip without the concept counts as no effect.

    Significant only if hiding the concept costs more than hiding random supervoxels of the same volume (paired
    sign-flip test over clips, one-sided) and the network recognises the class (`recognition_test`): the larger p-value
    counts. With fewer than 3 classes only the first test is made.

    Parameters
    ----------
    effects : Effects
    target : int
        Class index.
    unrelated : ndarray [N,C]
        Logits of unrelated clips.
    kind : str
        An entry of `EFFECTS`: drop, over-control or alone.
    objective : str
        In which the effect is measured.
    seed : int
        Of bootstrap and sign flips.
    """
    raw = EFFECTS[kind](effects, target, objective)
    excess = over_control(effects, target, objective)
    filled = np.nan_to_num(raw)
    rng = np.random.default_rng(seed)
    intervals, paired, size = [], [], []
    for k in range(filled.shape[1]):
        differences = excess[~np.isnan(excess[:, k]), k]
        intervals.append(bootstrap_interval(filled[:, k], rng, resamples=1999))
        paired.append(sign_flip_test(differences, rng, side="greater") if len(differences) else 1.0)
        spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
        size.append(differences.mean() / spread if spread > 0 else 0.0)
    p = np.fmax(np.array(paired), recognition_test(effects.base, unrelated, target))
    return ConceptScores(
        f"effect ({kind})",
        target,
        raw.T.astype(np.float32),
        filled.mean(0),
        np.zeros(0, np.float32),
        np.array(intervals),
        p,
        benjamini_hochberg(p),
        np.array(size),
        0.0,
    )
