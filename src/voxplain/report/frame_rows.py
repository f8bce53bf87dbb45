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
from voxplain.report.tables import number, places_for

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
    """Two rows of a test clip, adding and removing: at each step a small clip, the concept, and how much is left.

    That is the class's probability, or the output of a quantity; as text, ``amount``, and as a bar's length ``share``,
    for an output between the least and the greatest of both rows.
    """
    frames, base = explored.clip.frames, explored.base
    made = []
    both = [(steps, _measured(steps, explored.place, target)) for steps in (evaluation.adding, evaluation.removing)]
    low, high = (0.0, 1.0) if not evaluation.adding.quantity else _ends(np.concatenate([values for _, values in both]))
    digits = places_for([low, high])
    for steps, values in both:
        told = [number(v, digits) if steps.quantity else f"{number(100 * v, 0)} %" for v in values]
        amounts = list(zip(told, np.nan_to_num((values - low) / (high - low)).tolist(), strict=True))
        count = len(values) - 1  # the last step, all concepts, is the whole or the blank clip
        masks = unions(explored, order, count - 1)
        cells = []
        for q, mask in enumerate(masks):
            shown = mask if steps.kind == "adding" else ~mask
            cells.append(_cell(explored, partly_shown(frames, shown, base), _label(steps.kind, q, order), *amounts[q]))
        cells.append(
            _cell(
                explored,
                partly_shown(frames, np.full(masks[0].shape, steps.kind == "adding"), base),
                "all concepts" if steps.kind == "adding" else "nothing left",
                *amounts[-1],
            )
        )
        made.append({"kind": steps.kind, "cells": cells})
    return made


def _measured(steps: AddRemoveCurves, place: int, target: int) -> np.ndarray:
    """Probability of the class, or the output of a quantity, at each step of the top order, float [S]."""
    z = steps.logits[steps.names.index("top"), place].astype(np.float64)
    return z[:, 0] if steps.quantity else softmax(z, axis=-1)[:, target]


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Least and greatest value, apart from each other."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    return (low, high) if high > low else (low, low + 1)


def _label(kind: str, q: int, order: np.ndarray) -> str:
    if q == 0:
        return "blank" if kind == "adding" else "whole clip"
    return f"{'+' if kind == 'adding' else '−'} concept {order[q - 1]}"


def _cell(explored: ExploredClip, frames: np.ndarray, label: str, amount: str, share: float) -> dict[str, Any]:
    frames = shrink(frames)
    return {
        "data": clip_uri(frames, clip_speed(explored.clip.seconds), crf=28),
        "poster": jpeg(frames[len(frames) // 2]),
        "width": frames.shape[2],
        "height": frames.shape[1],
        "label": label,
        "amount": amount,
        "share": share,
    }
