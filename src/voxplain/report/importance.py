"""Which concepts a page shows first: the important ones, near copies folded into them, and the negligible rest."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.statistics import SIGNIFICANT

__all__ = ["Importance", "importance"]

NEGLIGIBLE = 0.05  # share of the first concept's score below which one that is not significant is negligible
SAME = 0.5  # mean intersection over union of two concepts in the clips, from which on they are near copies
CLIPS = 12  # in which near copies are looked for


@dataclass(frozen=True)
class Importance:
    """The concepts of a run in three groups, each best first.

    Parameters
    ----------
    important : tuple of int
        Concepts to show.
    copies : mapping of int to tuple of int
        For each of them, concepts that cover nearly the same voxels and rank lower.
    negligible : tuple of int
        Concepts that are not significant and score less than 5 % of the first.
    """

    important: tuple[int, ...]
    copies: Mapping[int, tuple[int, ...]]
    negligible: tuple[int, ...]


def importance(run: ConceptRun) -> Importance:
    """Group the concepts of a run.

    Parameters
    ----------
    run : ConceptRun

    Returns
    -------
    Importance
        Every concept is in exactly one of the three groups.
    """
    rows, chance = run.rows(), run.scores[run.ranking].chance
    most = max(rows[0].score - chance, 0.0)
    overlap = _overlap(run)
    important: list[int] = []
    copies: dict[int, list[int]] = {}
    negligible: list[int] = []
    for row in rows:
        first = next((k for k in important if overlap[k, row.concept] >= SAME), None)
        if first is not None:
            copies.setdefault(first, []).append(row.concept)
        elif row.rank > 1 and not row.q_value < SIGNIFICANT and row.score - chance < NEGLIGIBLE * most:
            negligible.append(row.concept)
        else:
            important.append(row.concept)
    return Importance(tuple(important), {k: tuple(own) for k, own in copies.items()}, tuple(negligible))


def _overlap(run: ConceptRun) -> np.ndarray:
    """Mean intersection over union of two concepts over the clips that have both, [K,K]; 0 without such clips."""
    count = len(run.bank)
    total, clips = np.zeros((count, count)), np.zeros((count, count))
    if len(run.supervoxels[0].labels) < 2:  # each voxel is of one supervoxel, so of one concept
        return total
    for i in np.unique(np.linspace(0, len(run.clips) - 1, min(CLIPS, len(run.clips))).round().astype(int)):
        known = [int(k) for k in np.unique(run.assigned[i]) if 0 <= k < count]
        if not known:
            continue
        masks = np.stack([concept_mask(run.supervoxels[i], run.assigned[i], k).ravel() for k in known])
        both = masks.astype(np.float32) @ masks.T.astype(np.float32)
        size = np.diag(both)
        place = np.ix_(known, known)
        total[place] += both / np.maximum(size[:, None] + size[None] - both, 1)
        clips[place] += 1
    return total / np.maximum(clips, 1)
