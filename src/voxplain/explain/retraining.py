"""Judge attribution methods by networks trained anew: ROAR, keep-and-retrain, and a twin trained on shuffled labels.

Every training is kept in a store and found again by all that made it, so that the work can be cut short, go on, and be
shared out by methods over processes that write into one store. Letters: N clips, V test clips.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import Progress
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.metrics.retrain import taught
from voxplain.model import VideoModel
from voxplain.nets import save_weights, weights_digest
from voxplain.progress import quiet
from voxplain.store import Store, content_hash, key
from voxplain.train import EpochLog, Recipe
from voxplain.video import Clip

__all__ = ["Fresh", "Trained", "Twins", "compare_twins", "retrain_all", "train_twins"]

VERSION = 1  # of what is computed here; part of the keys
Fresh = Callable[[int], nn.Module]  # seed → a network with the weights that training starts from
Tops = tuple[np.ndarray, ...]  # N of uint8 [T,H,W]


@dataclass(frozen=True)
class Trained:
    """One network trained anew: ``right`` [V], the test clips it gets right; ``method`` "" where nothing is hidden."""

    metric: str
    method: str
    ratio: float
    seed: int
    right: tuple[bool, ...]


@dataclass(frozen=True)
class _Work:
    """What all trainings of one call share."""

    model: VideoModel
    fresh: Fresh
    training: Sequence[Clip]
    test: Sequence[Clip]
    store: Store
    facts: Mapping[str, Any]  # of clips and network, for keys


def _facts(model: VideoModel, *parts: Sequence[Clip]) -> dict[str, Any]:
    """For keys: clips, labels, and what maps depend on besides the method."""
    return {
        "clips": [[content_hash(c.frames) for c in clips] for clips in parts],
        "labels": [[c.label for c in clips] for clips in parts],
        "weights": weights_digest(model.net), "layer": model.layer, "grid": model.grid, "layout": model.layout,
        "mean": model.mean, "std": model.std,
    }  # fmt: skip


def retrain_all(
    model: VideoModel,
    fresh: Fresh,
    training: Sequence[Clip],
    test: Sequence[Clip],
    methods: Mapping[str, AttributionMethod],
    metrics: Mapping[str, Retrain],
    *,
    seeds: int = 1,
    store: Store,
    progress: Progress = quiet,
) -> tuple[list[Trained], dict[str, str]]:
    """Every method by every metric, at every ratio, from every seed; and why a method was refused.

    ``model`` gives the maps, of each clip's own label, and is not trained. Where a ratio hides nothing, one training a
    seed stands for all methods. Raises DataError for clips without a label or fewer than one seed.
    """
    if seeds < 1:
        raise DataError(f"expected 1 seed or more, got {seeds}; correct it")
    work = _Work(model, fresh, training, test, store, _facts(model, training, test))
    found: list[Trained] = []
    refused: dict[str, str] = {}
    each = seeds * sum(len(m.ratios) for m in metrics.values())
    with progress("networks trained anew", len(methods) * each) as advance:
        for name, method in methods.items():
            try:
                for metric_name, metric in metrics.items():
                    found += _by_ratio(work, name, method, metric_name, metric, metrics, seeds, advance)
            except ModelError as error:
                refused[name] = str(error)
    unique = {(t.metric, t.method, t.ratio, t.seed): t for t in found if t.method not in refused}
    return list(unique.values()), refused


def _by_ratio(
    work: _Work, name: str, method: AttributionMethod, metric_name: str, metric: Retrain,
    metrics: Mapping[str, Retrain], seeds: int, advance: Callable[[], object],
) -> list[Trained]:  # fmt: skip
    """The trainings of one method by one metric."""
    # Metrics that rank voxels alike share the ranking: it holds the ratios of all.
    every = replace(metric, ratios=tuple(sorted({r for m in metrics.values() for r in m.ratios})))
    tops: list[Tops | None] = [None, None]
    found = []
    for ratio in metric.ratios:
        whole = metric.hides_nothing(ratio)
        if not whole and tops[0] is None:
            tops = [_tops(work, method, every, clips) for clips in (work.training, work.test)]
        for seed in range(seeds):
            one = replace(every, recipe=replace(metric.recipe, seed=seed))
            right = _right(work, None if whole else method, one, ratio, tops)
            found.append(Trained(metric_name, "" if whole else name, ratio, seed, tuple(right)))
            advance()
    return found


def _tops(work: _Work, method: AttributionMethod, metric: Retrain, clips: Sequence[Clip]) -> Tops:
    """What `Retrain.first_ratios` says; kept, because the maps of all clips may take longer than a training."""
    ranking = {n: getattr(metric, n) for n in ("ratios", "unit", "importance", "smooth", "seed")}
    place = key("tops", VERSION, method=method, **ranking, **_facts(work.model, clips))
    return tuple(work.store.labels("tops", place, lambda: np.stack(metric.first_ratios(work.model, clips, method))))


def _right(
    work: _Work, method: AttributionMethod | None, metric: Retrain, ratio: float, tops: Sequence[Tops | None]
) -> list[bool]:
    """Which test clips one network gets right, found in the store or trained now."""
    net = work.fresh(metric.recipe.seed)
    facts: dict[str, Any] = {"start": weights_digest(net), "recipe": metric.recipe, **work.facts}
    if method is not None:
        facts |= {"method": method, "metric": replace(metric, ratios=(ratio,))}

    def make() -> list[bool]:
        own = metric.masked(work.model, work.training, tops[0], ratio)
        held_out = metric.masked(work.model, work.test, tops[1], ratio)
        return [bool(r) for r in metric.right(work.model, net, own, held_out)]

    return list(work.store.record("retrain", key("retrain", VERSION, **facts), make))


@dataclass(frozen=True, eq=False)
class Twins:
    """Two networks trained alike from the same start, but for the labels; each with the accuracy on what it learnt.

    ``sibling`` has the true labels, ``shuffled`` has them permuted among the clips.
    """

    sibling: VideoModel
    shuffled: VideoModel
    sibling_accuracy: float
    shuffled_accuracy: float


def train_twins(
    model: VideoModel, fresh: Fresh, training: Sequence[Clip], recipe: Recipe, *, folder: Path,
    progress: Progress = quiet,
) -> Twins:  # fmt: skip
    """Train both by one recipe; weights stay in ``folder``, and a later call goes on from the last epoch.

    The comparison needs a shuffled network that has learnt its labels by heart: see its accuracy.
    """
    labels = np.array([c.label for c in training], np.int64)
    permuted = labels[np.random.default_rng([recipe.seed, 1]).permutation(len(labels))]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with progress("twins trained", 2 * recipe.epochs) as advance:
        for name, own in (("sibling", labels), ("shuffled", permuted)):
            clips = [replace(c, label=int(y)) for c, y in zip(training, own, strict=True)]
            made.append(_twin(model, fresh(recipe.seed), clips, recipe, folder, f"{name}-{recipe.seed}", advance))
    (sibling, first), (shuffled, second) = made
    return Twins(sibling, shuffled, first, second)


def _twin(
    model: VideoModel, net: nn.Module, clips: Sequence[Clip], recipe: Recipe, folder: Path, name: str,
    advance: Callable[[], object],
) -> tuple[VideoModel, float]:  # fmt: skip
    logs: list[EpochLog] = []

    def record(so_far: list[EpochLog]) -> None:
        logs[:] = so_far
        advance()

    videos = Retrain().masked(model, clips, None, 0.0)
    learner = taught(model, net, videos, recipe, checkpoint=folder / f"{name}.safetensors", record=record)
    right = sum(int(learner.logits(c.frames[None]).argmax()) == c.label for c in clips)
    facts = {"net": model.name, "classes": json.dumps(list(model.classes))}
    if model.geometry is not None:
        facts["resize"] = json.dumps(model.geometry.resize)
    save_weights(learner.net, folder / f"{name}-weights.safetensors", facts)
    return learner, right / len(clips)


def compare_twins(
    model: VideoModel,
    twins: Twins,
    clips: Sequence[Clip],
    methods: Mapping[str, AttributionMethod],
    metric: LabelRandomisation,
    *,
    store: Store,
    progress: Progress = quiet,
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, str]]:
    """Similarity of each clip's map to those of (the shuffled twin, the sibling) by method; and who was refused.

    A method that explains the network says other things of a network that has learnt nothing true. How much two
    networks differ that have learnt the same, the sibling tells: without it a low similarity shows nothing.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    refused: dict[str, str] = {}
    others = (twins.shuffled, twins.sibling)
    nets = [weights_digest(m.net) for m in others]
    with progress("maps of twins", len(methods) * len(clips)) as advance:
        for name, method in methods.items():
            rows = []
            try:
                for clip in clips:
                    rows.append(_likeness(model, others, nets, clip, method, metric, store))
                    advance()
            except ModelError as error:
                refused[name] = str(error)
                continue
            found[name] = rows
    return found, refused


def _likeness(
    model: VideoModel, others: Sequence[VideoModel], nets: list[str], clip: Clip, method: AttributionMethod,
    metric: LabelRandomisation, store: Store,
) -> tuple[float, float]:  # fmt: skip
    if clip.label is None:
        raise DataError(f"expected clips with labels to compare twins on, got none for {clip.source}")
    target = clip.label
    place = key("twins", VERSION, method=method, metric=metric, nets=nets, **_facts(model, [clip]))
    first, second = store.record(
        "twins", place, lambda: [metric(model, other, clip, target, method).value for other in others]
    )
    return float(first), float(second)
