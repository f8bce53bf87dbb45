"""Tests of whether wrongly classified clips have more or less of a concept than right ones.

Letters: M clips of a class, K concepts, B permutations. Clips are permuted within their class, so that a difference of
accuracy between classes is no difference of concepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import DataError
from voxplain.record_html import fields_table

__all__ = ["FEWEST", "PresenceTest", "presence_tests"]

FEWEST = 3  # wrong and right clips with which a class is tested


@dataclass(frozen=True)
class PresenceTest:
    """Presence of one concept in wrongly and in rightly classified clips.

    Parameters
    ----------
    concept : int
    wrong, right : float
        Share of the wrong and of the right clips that have the concept.
    difference, low, high : float
        The first minus the second, with its 95 % interval over clips.
    more : float
        Probability that a wrong clip has more voxels of the concept than a right one, ties counted half; 0.5 is chance.
    p_value, q_value : float
        Two-sided permutation test of ``more``; q is corrected by max-T for all concepts of all classes tested together.
    wrong_clips, right_clips : int
    """

    concept: int
    wrong: float
    right: float
    difference: float
    low: float
    high: float
    more: float
    p_value: float
    q_value: float
    wrong_clips: int
    right_clips: int

    _repr_html_ = fields_table


def presence_tests(
    volumes: Sequence[np.ndarray], wrong: Sequence[np.ndarray], *, permutations: int = 9999, seed: int = 0
) -> list[tuple[PresenceTest, ...]]:
    """Test every concept of every class, corrected for all of them.

    Parameters
    ----------
    volumes : sequence of ndarray, float [M,K]
        For each class the share of each clip's voxels that each concept covers; 0 where the clip lacks it.
    wrong : sequence of ndarray, bool [M]
        For each class whether each clip is classified wrongly.
    permutations : int
    seed : int
        Of permutations and bootstrap.

    Returns
    -------
    list of tuple of PresenceTest
        For each class, by rising p-value; empty where it has fewer than 3 wrong or 3 right clips.

    Raises
    ------
    DataError
        Where the shapes do not agree.

    References
    ----------
    Westfall and Young 1993, Resampling-based multiple testing.

    Examples
    --------
    >>> wrong = np.arange(20) < 8
    >>> volumes = np.stack([np.where(wrong, 0.1, 0.0), np.full(20, 0.2)], 1)
    >>> (first, second), = presence_tests([volumes], [wrong])
    >>> first.concept, first.wrong, first.right, first.more, first.q_value < 0.01, second.q_value
    (0, 1.0, 0.0, 1.0, True, 1.0)
    """
    if [len(v) for v in volumes] != [len(w) for w in wrong]:
        raise DataError("expected volumes [M,K] and wrong [M] of the same clips for each class, got other lengths")
    rng = np.random.default_rng(seed)
    tested = [i for i, w in enumerate(wrong) if min(w.sum(), (~w).sum()) >= FEWEST and volumes[i].shape[1]]
    found: list[tuple[PresenceTest, ...]] = [() for _ in wrong]
    if not tested:
        return found
    p, q = _p_and_q(np.concatenate([_drawn(volumes[i], wrong[i], permutations, rng) for i in tested], 1))
    start = 0
    for i in tested:
        count = volumes[i].shape[1]
        own = slice(start, start + count)
        found[i] = _class_tests(volumes[i], wrong[i], p[own], q[own], rng)
        start += count
    return found


def _drawn(volume: np.ndarray, wrong: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes of the standardised rank sums [1 + B,K], the observed ones first."""
    from scipy import stats

    ranks = stats.rankdata(volume, axis=0)
    centred = ranks - ranks.mean(0)
    spread = centred.std(0)
    n, m = len(wrong), int(wrong.sum())
    # Of the sum of m of n ranks drawn without replacement.
    scale = spread * np.sqrt(m * (n - m) / max(n - 1, 1))
    labels = np.vstack([wrong[None], np.stack([rng.permutation(wrong) for _ in range(permutations)])])
    sums = labels.astype(np.float64) @ centred
    return np.asarray(np.abs(np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)).round(10))


def _p_and_q(drawn: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P-values of all tests [N], and those corrected by the step-down maximum."""
    p = (drawn >= drawn[0]).mean(0)
    order = np.argsort(-drawn[0], kind="stable")
    top = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    adjusted = np.maximum.accumulate((top >= drawn[0, order]).mean(0))
    return p, adjusted[np.argsort(order)]


def _class_tests(
    volume: np.ndarray, wrong: np.ndarray, p: np.ndarray, q: np.ndarray, rng: np.random.Generator
) -> tuple[PresenceTest, ...]:
    bad, good = volume[wrong], volume[~wrong]
    bad_draws, good_draws = (rng.integers(len(part), size=(1999, len(part))) for part in (bad, good))
    rows = []
    for k in range(volume.shape[1]):
        has, lacks = (bad[:, k] > 0).astype(float), (good[:, k] > 0).astype(float)
        drawn = has[bad_draws].mean(1) - lacks[good_draws].mean(1)
        low, high = np.percentile(drawn, (2.5, 97.5))
        above = (bad[:, None, k] > good[None, :, k]).mean() + 0.5 * (bad[:, None, k] == good[None, :, k]).mean()
        rows.append(
            PresenceTest(
                concept=k,
                wrong=float(has.mean()),
                right=float(lacks.mean()),
                difference=float(has.mean() - lacks.mean()),
                low=float(low),
                high=float(high),
                more=float(above),
                p_value=float(p[k]),
                q_value=float(q[k]),
                wrong_clips=len(bad),
                right_clips=len(good),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.p_value, row.q_value, -abs(row.more - 0.5))))
