"""The clip explorer's data: frames, supervoxels and measured effects of a few test clips, as plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.evaluate import log_odds_of
from voxplain.report.cards import clip_speed, short_name
from voxplain.report.embed import run_lengths, sprite

__all__ = ["explorer"]

TOP = 3  # classes whose probability is shown


def explorer(run: ConceptRun, names: Mapping[int, str]) -> dict[str, Any] | None:
    """Data of the clip explorer for `page.js`, with rounded numbers; None without one, and for a quantity."""
    if run.evaluation is None or not run.evaluation.explored or run.quantity:
        return None
    return {
        "target": run.target,
        "ranking": run.ranking,
        "concepts": [
            {"concept": r.concept, "rank": r.rank, "score": _round(r.score), "name": names.get(r.concept, "")}
            for r in run.rows()
        ],
        "clips": [_clip(run, explored) for explored in run.evaluation.explored],
    }


def _clip(run: ConceptRun, explored: ExploredClip) -> dict[str, Any]:
    y = run.target_index
    t, h, w = explored.clip.frames.shape[:3]
    levels = [_own_ids(level) for level in explored.supervoxels.labels]
    base = explored.base
    plain = bool((base == base[0, 0, 0]).all())
    likely = softmax(explored.switched.astype(np.float64), axis=-1)
    seen = np.argsort(-likely[0], kind="stable")[:TOP]
    shown = [int(c) for c in dict.fromkeys([y, *seen.tolist()])]
    drop = log_odds_of(explored.unmodified, np.array(y)) - log_odds_of(explored.hidden, np.array(y))
    return {
        "name": short_name(explored.clip.source),
        "size": [t, h, w],
        "fps": clip_speed(explored.clip.seconds),
        "seconds": [round(float(s - explored.clip.seconds[0]), 3) for s in explored.clip.seconds],
        "frames": sprite(explored.clip.frames),
        "base": base[0, 0, 0].tolist() if plain else sprite(base),
        "levels": [
            {"runs": run_lengths(own), "concept": [int(explored.assigned[i]) for i in ids]} for own, ids in levels
        ],
        "drop": [_round(v) for v in drop],
        "switches": explored.switches.tolist(),
        "classes": [run.classes[c] if run.classes else str(c) for c in shown],
        "likely": [[round(float(row[c]), 4) for c in shown] for row in likely],
    }


def _own_ids(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(labels of one level numbered 0 … n−1, −1 for dropped voxels; the supervoxel of each number)."""
    ids = np.unique(level[level >= 0])
    return np.where(level >= 0, np.searchsorted(ids, level), -1), ids


def _round(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
