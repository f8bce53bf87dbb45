"""The clip explorer's data: frames, supervoxels and measured effects of a few test clips, as plain values.

Letters: n concepts that can be switched; C classes whose probability is shown, or one quantity.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.evaluate import log_odds_of
from voxplain.report.cards import clip_speed, short_name
from voxplain.report.embed import run_lengths, sprite
from voxplain.report.tables import number, places_for

__all__ = ["explorer"]

TOP = 3  # classes whose probability is shown


def explorer(run: ConceptRun, names: Mapping[int, str]) -> dict[str, Any] | None:
    """Data of the clip explorer for `page.js`, with rounded numbers; None without one."""
    if run.evaluation is None or not run.evaluation.explored:
        return None
    unit = f", {run.units}" if run.units else ""
    return {
        "target": run.target,
        "shown": f"Output{unit}" if run.quantity else "Predicted probability",
        "changed": "output" if run.quantity else "log-odds",
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
    names, values, texts = _output(run, explored) if run.quantity else _probabilities(run, explored)
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
        "classes": names,
        "likely": [[round(float(v), 4) for v in row] for row in values],
        "amounts": texts,
    }


def _probabilities(run: ConceptRun, explored: ExploredClip) -> tuple[list[str], np.ndarray, list[list[str]]]:
    """Names of the target and of the likeliest classes, their probabilities [2^n,C] and these as texts."""
    likely = softmax(explored.switched.astype(np.float64), axis=-1)
    seen = np.argsort(-likely[0], kind="stable")[:TOP]
    shown = [int(c) for c in dict.fromkeys([run.target_index, *seen.tolist()])]
    texts = [[f"{100 * row[c]:.{1 if row[c] < 0.1 else 0}f} %" for c in shown] for row in likely]
    return [run.classes[c] if run.classes else str(c) for c in shown], likely[:, shown], texts


def _output(run: ConceptRun, explored: ExploredClip) -> tuple[list[str], np.ndarray, list[list[str]]]:
    """The quantity's name, its output as a share of the way from the least to the greatest [2^n,1], and as texts."""
    values = explored.switched[:, :1].astype(np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    digits = places_for([low, high])
    shares = np.nan_to_num((values - low) / (high - low)) if high > low else np.ones_like(values)
    return [run.target], shares, [[number(float(v), digits)] for (v,) in values]


def _own_ids(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(labels of one level numbered 0 … n−1, −1 for dropped voxels; the supervoxel of each number)."""
    ids = np.unique(level[level >= 0])
    return np.where(level >= 0, np.searchsorted(ids, level), -1), ids


def _round(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
