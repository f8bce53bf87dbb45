"""Rows of small clips as Figs 3 and 4 of the STCE paper: one test clip while concepts are added or removed."""

from typing import Any

import numpy as np
from scipy.special import softmax

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import EvaluationRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.report.cards import clip_speed
from voxplain.report.draw import partly_shown
from voxplain.report.embed import clip_uri, jpeg, shrink

__all__ = ["frame_rows", "unions"]


def unions(explored: ExploredClip, order: np.ndarray, steps: int) -> list[np.ndarray]:
    """Masks bool [T,H,W] of the first 0 … ``steps`` concepts of an order together."""
    masks = [np.zeros(explored.clip.frames.shape[:3], bool)]
    for concept in order[:steps]:
        masks.append(masks[-1] | concept_mask(explored.supervoxels, explored.assigned, int(concept)))
    return masks


def frame_rows(
    evaluation: EvaluationRun, explored: ExploredClip, order: np.ndarray, target: int
) -> list[dict[str, Any]]:
    """Two rows of a test clip, adding and removing: at each step a small clip, the concept, the class's probability."""
    frames, base = explored.clip.frames, explored.base
    made = []
    for steps in (evaluation.adding, evaluation.removing):
        likely = _probability(steps, explored.place, target)
        count = len(likely) - 1  # the last step, all concepts, is the whole or the blank clip
        masks = unions(explored, order, count - 1)
        cells = []
        for q, mask in enumerate(masks):
            shown = mask if steps.kind == "adding" else ~mask
            cells.append(_cell(explored, partly_shown(frames, shown, base), _label(steps.kind, q, order), likely[q]))
        cells.append(
            _cell(
                explored,
                partly_shown(frames, np.full(masks[0].shape, steps.kind == "adding"), base),
                "all concepts" if steps.kind == "adding" else "nothing left",
                likely[-1],
            )
        )
        made.append({"kind": steps.kind, "cells": cells})
    return made


def _probability(steps: AddRemoveCurves, place: int, target: int) -> np.ndarray:
    """Probability of the class at each step of the top order, float [S]."""
    return softmax(steps.logits[steps.names.index("top"), place].astype(np.float64), axis=-1)[:, target]


def _label(kind: str, q: int, order: np.ndarray) -> str:
    if q == 0:
        return "blank" if kind == "adding" else "whole clip"
    return f"{'+' if kind == 'adding' else '−'} concept {order[q - 1]}"


def _cell(explored: ExploredClip, frames: np.ndarray, label: str, probability: float) -> dict[str, Any]:
    frames = shrink(frames)
    return {
        "data": clip_uri(frames, clip_speed(explored.clip.seconds), crf=28),
        "poster": jpeg(frames[len(frames) // 2]),
        "width": frames.shape[2],
        "height": frames.shape[1],
        "label": label,
        "probability": float(probability),
    }
