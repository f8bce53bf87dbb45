"""The estimate of `voxplain improve`: the concepts of one clip are located, and a short correction is made."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from voxplain.cli.estimate_training import timed_passes
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.concepts.concept_run import ConceptRun
from voxplain.corrections.content_effect import REPEATS, TESTED
from voxplain.corrections.correction import Correction
from voxplain.corrections.examples import Examples
from voxplain.datasets import VideoSet, read_clips
from voxplain.errors import VoxplainError
from voxplain.explain.central_window import central_window
from voxplain.explain.concept_map import ConceptMap
from voxplain.model import VideoModel

__all__ = ["improvement_estimate"]


def improvement_estimate(
    model: VideoModel,
    run: ConceptRun,
    train: VideoSet,
    test: VideoSet | None,
    correction: Correction,
    *,
    seeds: int,
    clips: int | None,
    removes: bool = True,
) -> Estimate:
    """The estimate of corrections by all seeds, with what they are compared with.

    Parameters
    ----------
    model : VideoModel
    run : ConceptRun
    train : VideoSet
    test : VideoSet or None
        None: every fourth training video.
    correction : Correction
    seeds, clips : int
        As for the command.
    removes : bool
        Whether concepts are removed: which clips have them, and whether the network relies on them, is measured.

    Returns
    -------
    Estimate
    """
    located = sum(min(len(train.of_class(name)), clips or len(train)) for name in train.classes)
    tested = located // 4 if test is None else len(test)
    count = located if test is not None else located - tested
    located += 0 if test is None else tested
    clip = central_window(model, read_clips(train.of_class(run.target), model.reader(), limit=1).clips[0])
    where = ConceptMap(run)
    where.locate(model, clip)
    passes, seconds = timed_passes(lambda: where.locate(model, clip), model)
    few = np.repeat(clip.frames[None], min(tested, model.batch_size) or 1, 0)
    model.logits(few)
    measured, took = timed_passes(lambda: model.logits(few), model)
    kinds = [correction, correction, *([correction.uncorrected] if correction.uncorrected is not None else [])]
    trained = [_of_clip(model, kind, clip.frames, len(model.classes), count) for kind in kinds]
    networks = 1 + seeds * 3
    # The clips with the concept are measured again without it: about as many as there are of its class.
    seen = networks * tested * (1 + 1 / max(len(train.classes), 1))
    # Two variants for each paste: of every clip for presence, of half of them for each test of reliance.
    pasted = 2 * (REPEATS * located + seeds * TESTED * count) if removes else 0
    return Estimate(
        (
            Work("concepts in clips", 2 * located * passes, located * seconds),
            Work("training", seeds * count * sum(p for p, _ in trained), seeds * count * sum(s for _, s in trained)),
            Work("effects of pasted concepts", pasted, pasted * took / measured),
            Work("measuring", seen, seen * took / measured),
        )
    )


def _of_clip(
    model: VideoModel, correction: Correction, frames: np.ndarray, classes: int, count: int
) -> tuple[float, float]:
    """(passes, seconds) of a clip in a whole correction, from a short one of made-up examples."""
    method: Any = correction
    recipe = next((method.recipe for f in fields(method) if f.name == "recipe"), None)
    size = min(count, 2 * (recipe.batch if recipe else 16))
    size = max(size, 2 * classes)
    masks = np.zeros((size, *frames.shape[:3]), np.bool_)
    masks[(np.arange(size) // classes) % 2 == 0, :, : frames.shape[1] // 3, : frames.shape[2] // 3] = True
    made = Examples(np.repeat(frames[None], size, 0), np.arange(size, dtype=np.int64) % classes, masks, masks)
    noise = np.random.default_rng(0).integers(0, 16, made.frames.shape, np.uint8)  # else no clip differs from another
    made = replace(made, frames=made.frames // 2 + noise)
    if recipe is not None:
        method = replace(method, recipe=replace(recipe, epochs=1))
    try:
        passes, seconds = timed_passes(lambda: method(model, made, seed=0), model)
    except VoxplainError:  # what such examples do not allow is not estimated
        return 0.0, 0.0
    epochs = recipe.epochs if recipe is not None else 1
    return (2 if recipe is not None else 1) * epochs * passes / size, epochs * seconds / size
