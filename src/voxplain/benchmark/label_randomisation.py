"""Maps of a network against those of a twin trained on shuffled labels, and of a sibling trained on the true ones.

Adebayo et al. 2018 (arXiv 1810.03292), whose twin has no sibling. Letters: N clips.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.retraining import NetworkFactory, facts_of
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import Progress
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.metrics.retrain import train_on_frames
from voxplain.model import VideoModel
from voxplain.nets import save_weights, weights_digest
from voxplain.progress import quiet
from voxplain.store import Store, key
from voxplain.train import EpochLog, Recipe
from voxplain.video import Clip

__all__ = ["LabelPair", "compare_label_pair", "train_label_pair"]

VERSION = 1  # of what is computed here; part of the key


@dataclass(frozen=True, eq=False)
class LabelPair:
    """Two networks trained alike from the same start, but for the labels; each with the accuracy on what it learnt.

    ``sibling`` has the true labels, ``shuffled`` has them permuted among the clips.
    """

    sibling: VideoModel
    shuffled: VideoModel
    sibling_accuracy: float
    shuffled_accuracy: float


def train_label_pair(
    model: VideoModel,
    fresh: NetworkFactory,
    training: Sequence[Clip],
    recipe: Recipe,
    *,
    folder: Path,
    progress: Progress = quiet,
) -> LabelPair:
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
    return LabelPair(sibling, shuffled, first, second)


def _twin(
    model: VideoModel,
    net: nn.Module,
    clips: Sequence[Clip],
    recipe: Recipe,
    folder: Path,
    name: str,
    advance: Callable[[], object],
) -> tuple[VideoModel, float]:
    logs: list[EpochLog] = []

    def record(so_far: list[EpochLog]) -> None:
        logs[:] = so_far
        advance()

    videos = Retrain().masked(model, clips, None, 0.0)
    learner = train_on_frames(model, net, videos, recipe, checkpoint=folder / f"{name}.safetensors", record=record)
    right = sum(int(learner.logits(c.frames[None]).argmax()) == c.label for c in clips)
    facts = {"net": model.name, "classes": json.dumps(list(model.classes))}
    if model.geometry is not None:
        facts["resize"] = json.dumps(model.geometry.resize)
    save_weights(learner.net, folder / f"{name}-weights.safetensors", facts)
    return learner, right / len(clips)


def compare_label_pair(
    model: VideoModel,
    twins: LabelPair,
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
    model: VideoModel,
    others: Sequence[VideoModel],
    nets: list[str],
    clip: Clip,
    method: AttributionMethod,
    metric: LabelRandomisation,
    store: Store,
) -> tuple[float, float]:
    if clip.label is None:
        raise DataError(f"expected clips with labels to compare twins on, got none for {clip.source}")
    target = clip.label
    place = key("twins", VERSION, method=method, metric=metric, nets=nets, **facts_of(model, [clip]))
    first, second = store.record(
        "twins", place, lambda: [metric(model, other, clip, target, method).value for other in others]
    )
    return float(first), float(second)
