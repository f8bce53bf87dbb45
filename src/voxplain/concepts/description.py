"""Measured properties of a concept: its distribution over time and over the frame, and its motion.

The warnings about background and shortcuts are computed from them. Letters: M clips, K concepts, B time bins, G×G cells
of the frame.
"""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.rank import ConceptScores

__all__ = ["BINS", "CELLS", "ConceptDescription", "Stability", "describe_concepts", "ranking_stability"]

BINS = 16  # of a clip's length
CELLS = 16  # a side of the picture
CLIPS = 40  # clips that are measured; more change the third digit
RING = 1 / 16  # of the picture's side, that counts as its edge


@dataclass(frozen=True, eq=False)
class ConceptDescription:
    """Means over the clips that have the concept.

    Parameters
    ----------
    when : ndarray, float32 [B]
        Share of the frame that is covered in each part of the clip.
    where : ndarray, float32 [G,G]
        Share of the time for which a cell is covered.
    motion : float
        Mean change between frames inside the concept, over that of the whole clip.
    edge : float
        Covered share of the frame's outer ring over the covered share of the frame; 1: no preference, 0: never at the
        edge.
    wander : float
        Standard deviation of its centre over clips, in frame widths.
    """

    when: np.ndarray
    where: np.ndarray
    motion: float
    edge: float
    wander: float

    @property
    def like_background(self) -> bool:
        """Whether it is at the edges of the picture and does not move more than the rest."""
        return self.edge >= 1.0 and self.motion <= 1.0

    @property
    def fixed(self) -> bool:
        """Whether it is at the same place in every clip, and still: like a caption, a logo or a timer."""
        return self.wander <= 0.06 and self.motion <= 0.5


def describe_concepts(run: ConceptRun) -> list[ConceptDescription]:
    """The description of each concept, from at most 40 clips spread evenly over the run's."""
    places = np.unique(np.linspace(0, len(run.clips) - 1, min(CLIPS, len(run.clips))).round().astype(int))
    parts: list[list[ConceptDescription]] = [[] for _ in range(len(run.bank))]
    centres: list[list[np.ndarray]] = [[] for _ in range(len(run.bank))]
    for i in places:
        change = _change(run.clips[i].frames)
        for k in np.unique(run.assigned[i]):
            if 0 <= k < len(parts):
                mask = concept_mask(run.supervoxels[i], run.assigned[i], int(k))
                parts[k].append(_of_clip(mask, change))
                centres[k].append(_centre(mask))
    return [_mean(own, np.array(at)) for own, at in zip(parts, centres, strict=True)]


def _change(frames: np.ndarray) -> np.ndarray:
    """Mean change of colour to the frame before, float32 [T,H,W]; the first frame repeats the second's."""
    if len(frames) < 2:
        return np.zeros(frames.shape[:3], np.float32)
    steps = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(-1, dtype=np.float32)
    return np.concatenate([steps[:1], steps])


def _of_clip(mask: np.ndarray, change: np.ndarray) -> ConceptDescription:
    from PIL import Image

    t, h, w = mask.shape
    covered = mask.mean((1, 2))
    when = np.interp((np.arange(BINS) + 0.5) / BINS, (np.arange(t) + 0.5) / t, covered).astype(np.float32)
    where = np.asarray(Image.fromarray(mask.mean(0, dtype=np.float32)).resize((CELLS, CELLS), Image.Resampling.BOX))
    total = float(change.mean())
    motion = float(change[mask].mean()) / total if total > 0 else 0.0
    ring = np.ones((h, w), bool)
    y, x = max(1, round(h * RING)), max(1, round(w * RING))
    ring[y:-y, x:-x] = False
    return ConceptDescription(when, where, motion, float(mask[:, ring].mean() / mask.mean()), 0.0)


def _centre(mask: np.ndarray) -> np.ndarray:
    """The centre of a mask in the picture, in picture heights and widths."""
    y, x = np.nonzero(mask.any(0))
    return np.array([y.mean() / mask.shape[1], x.mean() / mask.shape[2]])


def _mean(parts: list[ConceptDescription], centres: np.ndarray) -> ConceptDescription:
    if not parts:
        return ConceptDescription(np.zeros(BINS, np.float32), np.zeros((CELLS, CELLS), np.float32), 0.0, 0.0, 0.0)
    return ConceptDescription(
        np.mean([p.when for p in parts], 0),
        np.mean([p.where for p in parts], 0),
        float(np.mean([p.motion for p in parts])),
        float(np.mean([p.edge for p in parts])),
        float(np.sqrt(centres.var(0).sum())) if len(parts) > 1 else float("nan"),
    )


@dataclass(frozen=True)
class Stability:
    """How much of the ranking is kept under other draws of the class's videos.

    Parameters
    ----------
    top : float
        Share of draws in which the same concept comes first.
    correlation : float
        Mean rank correlation (Spearman) of the draws with the ranking.
    """

    top: float
    correlation: float


def ranking_stability(score: ConceptScores, draws: int = 200, seed: int = 0) -> Stability:
    """Bootstrap over the class's videos: those of the score, else draws of its R repeats.

    Parameters
    ----------
    score : ConceptScores
        A clip in which a concept was not measured (NaN) does not count for it.
    draws : int
        Draws of the repeats, where the score has no draws of videos.
    seed : int
        Of those draws.
    """
    first, drawn = score.value, score.video_draws
    if len(first) < 2:
        return Stability(1.0, 1.0)
    if drawn is None:
        values, rng = score.scores.astype(np.float64), np.random.default_rng(seed)
        known = ~np.isnan(values)
        chosen = rng.integers(0, values.shape[1], (draws, values.shape[1]))
        counts = np.stack([np.bincount(row, minlength=values.shape[1]) for row in chosen], 1)
        drawn = (np.nan_to_num(values) @ counts) / np.maximum(known @ counts, 1)
    # What was not measured is last, as in the ranking.
    drawn = np.where(np.isnan(drawn) | np.isnan(first)[:, None], -np.inf, drawn)
    first = np.where(np.isnan(first), -np.inf, first)
    ranks = np.argsort(np.argsort(np.vstack([first, drawn.T]), axis=1), axis=1)
    same = [float(np.corrcoef(ranks[0], row)[0, 1]) for row in ranks[1:]]
    return Stability(float((drawn.argmax(0) == first.argmax()).mean()), float(np.mean(same)))
