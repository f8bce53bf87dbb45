"""What a reader of an explanation sees, against known truth.

Letters: M clips, K concepts, O objects. Masks of concepts and objects are bool [T,H,W]; a concept's mask in a clip is
the union of its supervoxels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from truth_sets import Known
from voxplain.concepts.concept_run import ConceptRun
from voxplain.errors import DataError
from voxplain.explain.concept_map import ConceptMap
from voxplain.statistics import SIGNIFICANT, spearman
from voxplain.video import Clip

__all__ = ["Overlap", "agreement", "interval", "iou", "overlap", "stability", "strict_figures", "top_masks"]

SEEDS = (0, 1, 2)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0


@dataclass(frozen=True, eq=False)
class Overlap:
    """Voxels: ``both`` [M,K,O] of concept and object, ``concept`` [M,K], ``object`` [M,O], of any concept [M]."""

    both: np.ndarray
    concept: np.ndarray
    object: np.ndarray
    any_concept: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """Share of the object that the concept covers, [M,K,O]; 0 where either is absent."""
        return self.both / np.maximum(self.object[:, None], 1)

    @property
    def share(self) -> np.ndarray:
        """Share of the concept's voxels over all clips that are the object's, [K,O]."""
        return np.asarray(self.both.sum(0) / np.maximum(self.concept.sum(0), 1)[:, None])


def concept_mask_of(run: ConceptRun, clip: int, concept: int) -> np.ndarray:
    """A concept's voxels in a clip of the run."""
    return run.supervoxels[clip].masks(np.flatnonzero(run.assigned[clip] == concept))


def overlap(run: ConceptRun, known: Known) -> Overlap:
    """Count the voxels that concepts and objects share."""
    m, k, o = len(known.clips), len(run.bank), len(known.names)
    both, concept, objects, covered = np.zeros((m, k, o)), np.zeros((m, k)), np.zeros((m, o)), np.zeros(m)
    for i, truth in enumerate(known.masks):
        masks = [concept_mask_of(run, i, j) for j in range(k)]
        concept[i] = [mask.sum() for mask in masks]
        covered[i] = np.any(masks, axis=0).sum()  # the papers' levels overlap
        for name, visible in truth.items():
            at = known.names.index(name)
            objects[i, at] = visible.sum()
            both[i, :, at] = [(mask & visible).sum() for mask in masks]
    return Overlap(both, concept, objects, covered)


def coherence(run: ConceptRun, known: Known) -> np.ndarray:
    """Share of each concept's members that show the object (or the ground) which most of them show, [K]."""
    found = np.zeros(len(run.bank))
    for k, rows in enumerate(run.bank.members):
        shown = []
        for clip, supervoxel in run.origin[rows]:
            mask = run.supervoxels[clip].mask(int(supervoxel))
            shares = {name: (mask & visible).sum() / mask.sum() for name, visible in known.masks[clip].items()}
            best = max(shares, key=lambda name: shares[name])
            shown.append(best if shares[best] > 1 - sum(shares.values()) else "ground")
        found[k] = max(shown.count(name) for name in set(shown)) / len(shown)
    return found


def top_masks(run: ConceptRun) -> list[np.ndarray]:
    """The voxels of what is shown first in each clip of the run: the concept on top, or the whole that it is in."""
    return [
        own.masks(np.flatnonzero(np.isin(assigned, run.first)))
        for own, assigned in zip(run.supervoxels, run.assigned, strict=True)
    ]


def agreement(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """Mean intersection over union of two lists of masks of the same clips."""
    return float(np.mean([iou(a, b) for a, b in zip(first, second, strict=True)]))


def stability(
    explain: Callable[..., ConceptRun], clips: Sequence[Clip], label: str, run: ConceptRun
) -> dict[str, float]:
    """Agreement of the concepts on top under other seeds and under other clips; ``explain(clips, label, seed)``.

    NaN for the clips where half of them are too few for a concept.
    """
    tops = [top_masks(run), *(top_masks(explain(clips, label, seed)) for seed in SEEDS[1:])]
    found = {"seed_iou": float(np.mean([agreement(a, b) for a, b in combinations(tops, 2)]))}
    order = np.random.default_rng(0).permutation(len(clips))
    halves = []
    for part in np.array_split(order, 2):
        try:
            half = explain([clips[i] for i in part], label)
        except DataError:
            return found | {"bootstrap_iou": float("nan")}
        assert half.model is not None
        places, empty = [ConceptMap(half).locate(half.model, clip) for clip in clips], np.zeros(half.model.grid, bool)
        halves.append([np.any([found.get(k, empty) for k in half.first], axis=0) for found in places])
    return found | {"bootstrap_iou": agreement(*halves)}


def interval(values: Sequence[float], rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean over classes with its 95 % percentile bootstrap interval; NaN is left out."""
    x = np.asarray(values, float)
    x = x[~np.isnan(x)]
    if not len(x):
        return (float("nan"),) * 3
    means = x[rng.integers(len(x), size=(2000, len(x)))].mean(1)
    return float(x.mean()), float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def strict_figures(run: ConceptRun, known: Known) -> dict[str, float]:
    """The figures of one class, by name.

    top_recall, top_precision, top_iou   of the concept on top with the relied-on object that it overlaps most, mean
                                         over clips with that object
    strict_rank_first                    whether that IoU is at least 0.5
    best_iou                             largest such IoU of any concept, whatever its rank
    fragments                            concepts of whose voxels more than half are one relied-on object; parts of a
                                         whole count once
    coherence, top_coherence             `coherence`, mean over concepts and of the one on top
    unexplained                          share of the relied-on objects' voxels that no significant concept holds
    no_concept                           share of all voxels that are of no concept
    significant                          whether a concept of which the object is at least a quarter is significant
    patch_listed                         whether a significant concept has a recall of half or more of the patch of a
                                         shortcut, and shows more of it than of any object; with a shortcut only
    rank_first                           lenient: the top covers at least half as much of the object as the best does
    spearman, spearman_log_odds          rank correlation of the scores with the reliance on what concepts cover
    spearman_logit_drop                  of the drop of the logit with the reliance measured by the logit
    spearman_clear                       as spearman_log_odds, with scores and reliances below a fiftieth of the largest
                                         set to 0: the order of concepts on which almost nothing rests is left out
    """
    found, top = overlap(run, known), int(run.order[0])
    first = _together(found, list(run.first))
    recall, q = found.recall, run.scores[run.ranking].q_value
    relied = [known.names.index(name) for name in known.relied]
    union = found.concept[:, :, None] + found.object[:, None] - found.both
    ious = np.stack(
        [_mean_where(found.both[:, :, o] / np.maximum(union[:, :, o], 1), found.object[:, o]) for o in relied]
    )
    union = first.concept[:, :, None] + first.object[:, None] - first.both
    shown = [_mean_where(first.both[:, :, o] / np.maximum(union[:, :, o], 1), first.object[:, o])[0] for o in relied]
    best = relied[int(np.argmax(shown))]
    there = (first.object[:, best] > 0) & (first.concept[:, 0] > 0)
    precision = first.both[there, 0, best] / first.concept[there, 0]
    share = found.share[:, relied]
    parts = np.isin(np.arange(len(run.bank)), [k for whole in run.wholes for k in whole.parts[1:]])
    sure = np.flatnonzero(q < SIGNIFICANT)
    held = found.both[:, sure][:, :, relied].sum(1) if len(sure) else np.zeros((len(known.clips), len(relied)))
    scores = run.scores[run.ranking].value
    covered = recall[:, :, best].mean(0)
    coherent = coherence(run, known)
    reliance = lambda drop: recall.mean(0) @ np.nan_to_num(drop).mean(0)  # noqa: E731
    truth = {"spearman_log_odds": known.drop, "spearman": known.drop_logit}
    return {
        "top_recall": float(_mean_where(first.recall[:, :, best], first.object[:, best])[0]),
        "top_precision": float(precision.mean()) if len(precision) else 0.0,
        "top_iou": float(max(shown)),
        "strict_rank_first": float(max(shown) >= 0.5),
        "best_iou": float(ious.max()),
        "fragments": float(((share.max(1) > 0.5) & ~parts).sum() / len(relied)),
        "coherence": float(coherent.mean()),
        "top_coherence": float(coherent[top]),
        "unexplained": float(1 - held.sum() / found.object[:, relied].sum()),
        "no_concept": float(1 - found.any_concept.sum() / (len(known.clips) * run.supervoxels[0].labels[0].size)),
        "significant": float((share[sure] >= 0.25).any()) if len(sure) else 0.0,
        **({"patch_listed": _listed(found, sure, known.names.index("shortcut"))} if "shortcut" in known.names else {}),
        "rank_first": float(covered[top] >= 0.5 * covered.max()),
        "spearman_logit_drop": spearman(
            np.nan_to_num(run.effects.drop(run.target_index, "logit")).mean(0), reliance(known.drop_logit)
        ),
        "spearman_clear": spearman(_clear(scores), _clear(reliance(known.drop))),
        **{name: spearman(scores, reliance(drop)) for name, drop in truth.items()},
    }


def _listed(found: Overlap, sure: np.ndarray, patch: int) -> float:
    """Whether one of the concepts ``sure`` has recall 0.5 or more of an object and shows that object most."""
    recall = [_mean_where(found.recall[:, :, patch], found.object[:, patch])[k] for k in sure]
    return float(any(r >= 0.5 and found.share[k].argmax() == patch for r, k in zip(recall, sure, strict=True)))


def _clear(values: np.ndarray) -> np.ndarray:
    """The values, 0 where below a fiftieth of the largest."""
    return np.where(np.abs(values) < values.max() / 50, 0.0, values)


def _together(found: Overlap, concepts: list[int]) -> Overlap:
    """The overlap of several concepts without common voxels, as of one."""
    both, concept = (x[:, concepts].sum(1, keepdims=True) for x in (found.both, found.concept))
    return Overlap(both, concept, found.object, concept[:, 0])


def _mean_where(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean [K] of values [M,K] over the clips with a positive weight [M]."""
    return np.asarray(values[weight > 0].mean(0)) if (weight > 0).any() else np.zeros(values.shape[1])
