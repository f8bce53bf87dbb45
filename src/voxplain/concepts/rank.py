"""Scores with intervals and tests, and the ranking of concepts they give.

Letters: K concepts, R repeats (random sets for a TCAV score, clips of the class for the direct effect), N null
concepts, C classes. Every score here: higher is more important.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.concepts.significance import TESTS, StudentTest, effect_size, interval
from voxplain.errors import DataError
from voxplain.model import Objective
from voxplain.record_html import fields_table
from voxplain.statistics import adjusted_tail, benjamini_hochberg, bootstrap_interval, sign_flips

__all__ = ["EFFECTS", "TESTS", "ConceptScores", "excess_drop", "over_control", "rank_by_effect", "rank_by_tcav"]


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
        One value a repeat: a clip for direct effects (0 where it lacks the concept, NaN where it was not measured), a
        random set for TCAV.
    value : ndarray [K]
        What is ranked; higher is more important.
    null : ndarray, float32 [N]
        The same value for N random concepts; empty where there are none.
    interval : ndarray [K,2]
        95 % interval of ``value``.
    p_value, q_value : ndarray [K]
        q is p adjusted for the K concepts: by the largest of all of them under the same sign flips for direct effects
        (max-T, which controls any false discovery), after Benjamini and Hochberg for TCAV.
    effect_size : ndarray [K]
    chance : float
        The value without any relation to the class.
    tested : ndarray [K]
        What the test compares with 0: the drop above that of random regions of the same volume for direct effects (NaN
        for a concept that was not compared), the score above the mean of the random concepts for TCAV.
    tested_interval : ndarray [K,2]
        Interval of ``tested`` at the level that the correction for K concepts leaves: it excludes 0 exactly where
        ``q_value`` is below 0.05 (`adjusted_tail`).
    video_draws : ndarray, float32 [K,B], optional
        ``value`` for B bootstrap draws of the class's videos, where ``scores`` does not have one column a video.
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
    tested: np.ndarray
    tested_interval: np.ndarray
    video_draws: np.ndarray | None = None

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check that all fields have the same K concepts."""
        k = len(self.scores)
        shapes = [x.shape for x in (self.value, self.p_value, self.q_value, self.effect_size, self.tested)]
        pairs = {self.interval.shape, self.tested_interval.shape}
        if self.scores.ndim != 2 or pairs != {(k, 2)} or set(shapes) != {(k,)}:
            raise DataError(
                f"expected scores [K,R], intervals [K,2] and the rest [K], got {self.scores.shape}, {pairs}, {shapes}"
            )

    def __repr__(self) -> str:
        """Shapes, not data."""
        return "ConceptScores({}, concepts={}, repeats={})".format(self.name, *self.scores.shape)

    @property
    def rank(self) -> np.ndarray:
        """Concept indices, best first; equal values in index order, NaN last."""
        return np.argsort(-self.value, kind="stable")


def rank_by_tcav(
    name: str,
    scores: np.ndarray,
    null: np.ndarray,
    *,
    target: int,
    chance: float,
    test: str = "null",
    video_draws: np.ndarray | None = None,
) -> ConceptScores:
    """Rank by the mean over random sets, tested against random concepts.

    Parameters
    ----------
    name : str
        Name of the score.
    scores : ndarray [K,R]
        Scores of the concepts with each random set. A concept with NaN, which has no direction, is ranked last and
        not tested.
    null : ndarray [N,R]
        Scores of random concepts with the same random sets; those with NaN do not count. Fewer than 2 test nothing.
    target : int
        Class index.
    chance : float
        Chance level of the score.
    test : str
        An entry of `TESTS`. The R scores of a concept share its members, so their spread is not the uncertainty over
        other members. The default compares the concept's mean with the means of the random concepts (two-sided t,
        N − 1 degrees of freedom).
    video_draws : ndarray [K,B], optional
        The mean score for bootstrap draws of the class's videos.
    """
    null = null[~np.isnan(null).any(1)]
    untested = np.full(len(scores), np.nan)
    made = TESTS[test](scores, null) if len(null) > 1 else StudentTest(untested, untested, 1)
    p = made.p_value()
    q = q_values(p)
    low, high = interval(scores)
    return ConceptScores(
        name,
        target,
        scores.astype(np.float32),
        scores.mean(1),
        null.mean(1).astype(np.float32),
        np.stack([low, high], 1),
        p,
        q,
        np.asarray(effect_size(scores, null)) if len(null) > 1 else untested,
        chance,
        made.difference,
        made.interval(adjusted_tail(q) / 2),
        video_draws,
    )


def over_control(effects: Effects, target: int, objective: Objective) -> np.ndarray:
    """Drop when the concept is hidden minus the drop when random supervoxels of its volume are, [M,K]."""
    return effects.drop(target, objective) - effects.control_drop(target, objective)


def excess_drop(effects: Effects, target: int, objective: Objective = "log_odds") -> np.ndarray:
    """What is tested: the drop above that of random regions, 0 where the clip lacks the concept, [M,K].

    NaN where a concept was not measured or not compared.
    """
    return np.where(effects.volume == 0, 0.0, over_control(effects, target, objective))


EFFECTS: dict[str, Callable[[Effects, int, Objective], np.ndarray]] = {
    "drop": Effects.drop,
    "over-control": over_control,
    "alone": Effects.gain_alone,
}


def rank_by_effect(
    effects: Effects,
    target: int,
    *,
    recognised: bool = True,
    kind: str = "drop",
    objective: Objective = "log_odds",
    seed: int = 0,
) -> ConceptScores:
    """Rank by the mean direct effect over the class's clips; a clip without the concept counts as no effect.

    A clip in which the concept was not measured does not count.

    Significant if hiding the concept costs more than hiding random supervoxels of the same volume: sign-flip test over
    clips, one-sided, corrected for K concepts by max-T (`SignFlips`).

    Parameters
    ----------
    effects : Effects
    target : int
        Class index.
    recognised : bool
        Whether the network recognises the class (`recognition`). Where it does not, every q-value is 1.
    kind : str
        An entry of `EFFECTS`: drop, over-control or alone.
    objective : str
        In which the effect is measured.
    seed : int
        Of bootstrap and sign flips.
    """
    raw = EFFECTS[kind](effects, target, objective)
    over, excess = over_control(effects, target, objective), excess_drop(effects, target, objective)
    filled = np.where(effects.volume == 0, 0.0, raw)  # NaN left: not measured
    rng = np.random.default_rng(seed)
    flips = sign_flips(excess, rng)
    columns = [x[~np.isnan(x)] for x in filled.T]
    return ConceptScores(
        f"effect ({kind})" + " of the output" * (effects.base.shape[1] == 1),
        target,
        filled.T.astype(np.float32),
        _means(filled),
        np.zeros(0, np.float32),
        np.array([bootstrap_interval(x, rng, resamples=1999) for x in columns]),
        flips.p_value(),
        flips.adjusted() if recognised else np.ones(len(over.T)),
        np.array([_standardised(x[~np.isnan(x)]) for x in over.T]),
        0.0,
        np.where(np.isnan(over).all(0), np.nan, _means(excess)),  # not 0 where it was compared in no clip
        flips.adjusted_intervals() if recognised else flips.interval(0),
    )


def q_values(p: np.ndarray) -> np.ndarray:
    """Q-values after Benjamini and Hochberg, for use with `adjusted_tail`."""
    # Rounded so that a q-value of exactly the level is never below it by an error of the arithmetic.
    return benjamini_hochberg(p).round(12)


def _means(values: np.ndarray) -> np.ndarray:
    """Mean over the measured clips [K]; NaN where there is none."""
    known = ~np.isnan(values)
    means = np.full(values.shape[1], np.nan)
    np.divide(np.nan_to_num(values).sum(0), known.sum(0), out=means, where=known.any(0))
    return means


def _standardised(differences: np.ndarray) -> float:
    """Mean over standard deviation; 0 where there is no spread."""
    spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / spread) if spread > 0 else 0.0
