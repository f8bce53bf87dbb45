"""Estimates against the work that is then done, on planted data: within a factor of 1.5.

Both sides are counted and not timed, since other programs change the speed of a machine from one second to the next:
an estimate is its passes times the rate that it measures, so it is as right as its passes are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import voxplain as vx
from voxplain.benchmark.run import run_benchmark
from voxplain.cli.benchmark_options import benchmark_clips, repeat_on
from voxplain.cli.console import Console
from voxplain.cli.estimate import calibrate
from voxplain.cli.estimate_audit import audited_work
from voxplain.cli.estimate_benchmark import benchmark_estimate
from voxplain.cli.estimate_evaluation import evaluation_estimate
from voxplain.cli.estimate_improve import improvement_estimate
from voxplain.cli.estimate_training import retraining_estimate, training_estimate
from voxplain.cli.work_estimate import Estimate
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.datasets import read_clips, scan_folder
from voxplain.datasets.planted import PlantedDesign
from voxplain.inference import Inference, metered
from voxplain.metrics import Retrain
from voxplain.model.cost import counted
from voxplain.nets import build_net
from voxplain.segment import SLIC
from voxplain.train import Recipe, TrainingVideos, accuracy, train
from voxplain.video import Geometry

FACTOR = 1.5
QUIET = Console(quiet=True)
SETTINGS = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    effect=SequentialEffects(passes=200, detail_clips=2),
    evaluation=AddRemove(steps=3, draws=4, matched=2),
    exploration=ClipExploration(clips=1, switches=2),
    inference=Inference(precision="fp32", sample=4),
)


def within(estimate: Estimate | None, counted: float) -> None:
    """The passes of an estimate are right within the factor, and each step costs time."""
    assert estimate is not None
    assert estimate.passes / FACTOR <= counted <= estimate.passes * FACTOR, (estimate, counted)
    assert all(work.seconds > 0 for work in estimate.steps if work.passes)


@dataclass
class Passes:
    """Forward and backward passes of a network and of copies of it."""

    count: int = 0


@contextmanager
def both_ways(net: torch.nn.Module) -> Iterator[Passes]:
    """Count passes forward, and twice where they are made to train."""
    found = Passes()

    def hook(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        found.count += len(output) * (2 if module.training else 1)

    handle = net.register_forward_hook(hook)
    try:
        yield found
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def explained(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> vx.ConceptRun:
    model = vx.load_model("planted")
    store = tmp_path_factory.mktemp("store")
    clips, random = small_set / "train" / "cross", small_set / "unrelated"
    return vx.explain_concepts(model, clips, random=random, target="cross", settings=SETTINGS, store=store)


def test_evaluation(explained: vx.ConceptRun, small_set: Path) -> None:
    model, settings = vx.load_model("planted"), SETTINGS  # a new one, whose fast copy is made where it is counted
    videos = scan_folder(small_set, part="test").of_class("cross")
    clips = read_clips(videos, model.reader()).clips
    estimate = evaluation_estimate(settings, calibrate(settings, model, clips[0]), explained, len(clips))
    assert [work.step for work in estimate.steps] == [
        "reading",
        "supervoxels",
        "features",
        "adding and removing",
        "exploring",
        "pages",
    ]
    with metered(model.net) as meter:
        vx.evaluate_concepts(explained, clips, model=model)
    backward = estimate.by_step()["features"].passes / 2  # which the meter does not count
    within(estimate, sum(meter.clips.values()) + backward)


@pytest.mark.parametrize(("epochs", "batch"), [(1, 8), (3, 4)])
def test_training(epochs: int, batch: int) -> None:
    videos = TrainingVideos(
        list(np.random.default_rng(0).integers(0, 256, (14, 16, 64, 64, 3), np.uint8)), np.arange(14) % 2
    )
    test = TrainingVideos(videos.frames[:5], videos.labels[:5])
    geometry, recipe = Geometry.squash(64, 64), Recipe(epochs=epochs, batch=batch)
    model = replace(vx.load_model("planted"), net=build_net("tiny", 2), classes=("a", "b"), batch_size=batch)
    before = [p.clone() for p in model.net.parameters()]
    estimate = training_estimate(model, videos, test, recipe, geometry)
    assert all(torch.equal(a, b) for a, b in zip(before, model.net.parameters(), strict=True))
    with counted(model.net) as cost:
        train(model, videos, geometry=geometry, recipe=recipe, test=test)
        accuracy(model, test, geometry, stride=1)
    assert estimate.passes == cost.forwards + cost.backwards


def test_retraining(small_set: Path, tmp_path: Path) -> None:
    from voxplain.benchmark.retraining import retrain_all

    model = vx.load_model("planted")
    training = [
        replace(clip, label=model.class_index(name))
        for name in ("cross", "orbit")
        for clip in read_clips(scan_folder(small_set).of_class(name), model.reader()).clips
    ]
    recipe = Recipe(epochs=2, batch=4)
    metrics = {"roar": Retrain(ratios=(0.0, 0.5), recipe=recipe)}
    methods = {"gradient": vx.ATTRIBUTIONS["gradient"](), "random": vx.ATTRIBUTIONS["random"]()}
    first = build_net("tiny", len(model.classes))

    def fresh(seed: int) -> torch.nn.Module:
        return first

    estimate = retraining_estimate(model, fresh, training, training[:3], methods, metrics, recipe, seeds=1, maps=4)
    with both_ways(first) as learnt, counted(model.net) as maps:
        retrain_all(model, fresh, training, training[:3], methods, metrics, store=vx.store.Store(tmp_path))
    within(estimate, learnt.count + maps.forwards)


def test_benchmark(small_set: Path, tmp_path: Path) -> None:
    model = vx.load_model("planted")
    videos = scan_folder(small_set, part="train")
    cases, _ = benchmark_clips(model, videos, ("cross", "orbit"), None, small_set, 6, QUIET)
    cases = repeat_on(2, cases)
    methods = {name: vx.ATTRIBUTIONS[name]() for name in ("gradient", "grad_cam")}
    metrics = {"insertion": vx.METRICS["insertion"](), "sensitivity": vx.METRICS["sensitivity"]()}
    store = vx.store.Store(tmp_path)

    def measure(some):
        return run_benchmark(model, some, methods, metrics, store=store)

    estimate = benchmark_estimate(model, cases, methods, metrics, measure)
    with metered(model.net) as meter:
        measure(cases)
    within(estimate, sum(meter.clips.values()))
    assert benchmark_estimate(model, cases, methods, metrics, measure) is None  # all is stored


@pytest.mark.parametrize("method", ["concept_swap", "p_clarc"])
def test_improvement(explained: vx.ConceptRun, small_set: Path, method: str) -> None:
    from voxplain.corrections.improve import chosen_correction

    model, concept = explained.model, int(explained.order[-1])  # the first is in every clip
    train_set, test = (scan_folder(small_set, part=part) for part in ("train", "test"))
    correction, _ = chosen_correction(method, [concept], [])
    if hasattr(correction, "recipe"):
        correction = replace(correction, recipe=replace(correction.recipe, epochs=2))
    options = {"seeds": 1, "clips": None}
    estimate = improvement_estimate(model, explained, train_set, test, correction, **options)
    with both_ways(model.net) as passes:
        vx.improve(model, explained, data=train_set, test=test, remove=[concept], method=correction, seeds=1)
    backward = estimate.by_step()["concepts in clips"].passes / 2
    within(estimate, passes.count + backward)


def test_audit(small_set: Path, tmp_path: Path) -> None:
    model = vx.load_model("planted")
    videos = scan_folder(small_set, part="test")
    estimate = audited_work(SETTINGS, model, videos, small_set / "unrelated", None, 1)
    with metered(model.net) as meter:
        vx.audit(model, small_set, settings=SETTINGS, store=tmp_path)
    backward = estimate.by_step()["features"].passes / 2
    within(estimate, sum(meter.clips.values()) + backward)


def test_planted_design_has_the_classes_of_these_tests() -> None:
    assert {"cross", "orbit"} <= set(PlantedDesign().classes)
