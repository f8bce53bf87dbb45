"""Estimates of `voxplain train` and `voxplain roar`: a few real steps are timed on a copy of the network."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from voxplain.attribution import AttributionMethod
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.errors import ModelError
from voxplain.inference import metered
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.model import VideoModel
from voxplain.train import Recipe, TrainingVideos, accuracy, train
from voxplain.video import Clip, Geometry

__all__ = ["map_costs", "retraining_estimate", "timed_passes", "training_estimate"]

STEPS = 2  # training steps that are timed
MAPS_OF_PAIR = 4  # of a clip, in the comparison with two networks


def training_estimate(
    model: VideoModel, videos: TrainingVideos, test: TrainingVideos | None, recipe: Recipe, geometry: Geometry
) -> Estimate:
    """The estimate of a training: its own steps are timed, at its own batch.

    Parameters
    ----------
    model : VideoModel
        The network that will be trained; it is not changed.
    videos, test : TrainingVideos
    recipe : Recipe
    geometry : Geometry

    Returns
    -------
    Estimate
        A training clip is two passes.
    """
    tested, count = 0 if test is None else len(test.frames), len(videos.frames)
    evaluations = recipe.epochs + 1  # after each epoch, and at the end
    step, forward = _step_seconds(model, videos, test or videos, recipe, geometry)
    return Estimate(
        (
            Work("training", 2 * recipe.epochs * count, recipe.epochs * count * step),
            Work("accuracy", evaluations * tested, evaluations * tested * forward),
        )
    )


def _step_seconds(
    model: VideoModel, videos: TrainingVideos, test: TrainingVideos, recipe: Recipe, geometry: Geometry
) -> tuple[float, float]:
    """Seconds of a clip in training, and of one in a measurement of accuracy."""
    trial, short = replace(model, net=copy.deepcopy(model.net)), replace(recipe, epochs=1)
    size = min(len(videos.frames), STEPS * recipe.batch)
    some, few = _first(videos, size), _first(test, min(len(test.frames), model.batch_size))

    def passes() -> None:
        accuracy(trial, few, geometry, stride=recipe.stride)

    with torch.random.fork_rng():
        train(trial, _first(videos, min(size, recipe.batch)), geometry=geometry, recipe=short)  # memory, kernels
        step = _seconds(lambda: train(trial, some, geometry=geometry, recipe=short), model) / size
    passes()
    return step, _seconds(passes, model) / len(few.frames)


def _first(videos: TrainingVideos, count: int) -> TrainingVideos:
    """Some of the videos, spread evenly, so that every class may be among them."""
    chosen = np.linspace(0, len(videos.frames) - 1, count).round().astype(int)
    return TrainingVideos([videos.frames[int(i)] for i in chosen], videos.labels[chosen])


def _seconds(work: Callable[[], object], model: VideoModel) -> float:
    start = time.perf_counter()
    work()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def timed_passes(work: Callable[[], object], model: VideoModel) -> tuple[int, float]:
    """(clips that passed the network or copies of it forward, seconds) of some work."""
    with metered(model.net) as meter:
        seconds = _seconds(work, model)
    return sum(meter.clips.values()), seconds


def map_costs(
    model: VideoModel, methods: Mapping[str, AttributionMethod], clip: Clip, target: int
) -> dict[str, tuple[int, float]]:
    """(passes, seconds) of a map of one clip by each method; those that cannot explain the network are left out."""
    found = {}
    for name, method in methods.items():
        try:
            found[name] = timed_passes(lambda method=method: method(model, clip, target), model)  # type: ignore[misc]
        except ModelError:
            continue
    return found


def retraining_estimate(
    model: VideoModel,
    fresh: Callable[[int], torch.nn.Module],
    training: Sequence[Clip],
    test: Sequence[Clip],
    methods: Mapping[str, AttributionMethod],
    metrics: Mapping[str, Retrain | LabelRandomisation],
    recipe: Recipe,
    *,
    seeds: int,
    maps: int,
) -> Estimate:
    """The estimate of `voxplain roar`: one map of each method and a few training steps are timed.

    Parameters
    ----------
    model : VideoModel
    fresh : callable
        Seed to a network.
    training, test : sequence of Clip
        With labels.
    methods, metrics : mapping
    recipe : Recipe
        Of every training.
    seeds, maps : int
        As for the command.

    Returns
    -------
    Estimate
    """
    count, tested = len(training), len(test)
    learner = replace(model, net=fresh(0).to(model.device))
    geometry, labels = Geometry.squash(*model.grid[1:]), np.array([c.label for c in training], np.int64)
    masked = [m for m in metrics.values() if isinstance(m, Retrain)]
    videos = TrainingVideos([c.frames for c in training], labels)
    if masked:  # hiding voxels is a part of the work
        first = tuple(np.random.default_rng(0).integers(0, 2, model.grid, np.uint8) for _ in training)
        ratio = next((r for r in masked[0].ratios if not masked[0].hides_nothing(r)), masked[0].ratios[0])
        videos = masked[0].masked(model, training, first, ratio)
    step, forward = _step_seconds(learner, videos, videos, recipe, geometry)
    cost = map_costs(model, methods, training[0], int(training[0].label or 0))
    passes, seconds = (sum(values) for values in zip(*cost.values(), strict=True)) if cost else (0, 0.0)
    shared = seeds * any(m.hides_nothing(r) for m in masked for r in m.ratios)
    own = seeds * len(cost) * sum(not m.hides_nothing(r) for m in masked for r in m.ratios)
    pairs = len(metrics) - len(masked)
    trainings = shared + own + 2 * pairs
    measured = (shared + own) * tested + 2 * pairs * count
    ranked = (count + tested) if masked else 0
    ranked += pairs * MAPS_OF_PAIR * min(max(maps, 1), tested)
    return Estimate(
        (
            Work("trainings", 2 * trainings * recipe.epochs * count, trainings * recipe.epochs * count * step),
            Work("accuracy", measured, measured * forward),
            Work("maps", ranked * passes, ranked * seconds),
        )
    )
