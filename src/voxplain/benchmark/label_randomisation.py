"""Maps of a network against those of networks trained alike on shuffled and on true labels.

Adebayo et al. 2018 (arXiv 1810.03292), who compare with shuffled labels only. Letters: N clips.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.retraining import NetworkFactory
from voxplain.errors import DataError, ModelError
from voxplain.metrics import LabelRandomisation, Retrain
from voxplain.metrics.retrain import train_on_frames
from voxplain.model import VideoModel
from voxplain.model.fingerprint import fingerprint
from voxplain.nets import save_weights
from voxplain.progress import quiet
from voxplain.runtime import Progress, Task, identify, inline_engine
from voxplain.runtime.task import Form
from voxplain.store import Store
from voxplain.train import EpochLog, Recipe
from voxplain.video import Clip, Geometry

__all__ = ["CompareMaps", "LabelPair", "compare_label_pair", "train_label_pair"]


@dataclass(frozen=True, eq=False)
class LabelPair:
    """Two networks trained alike from the same start, but for the labels; each with the accuracy on what it learnt.

    ``true`` was trained on the true labels, ``shuffled`` on the labels permuted among the clips.
    """

    true: VideoModel
    shuffled: VideoModel
    true_accuracy: float
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
    with progress("networks with true and shuffled labels", 2 * recipe.epochs) as advance:
        for name, own in (("true", labels), ("shuffled", permuted)):
            clips = [replace(c, label=int(y)) for c, y in zip(training, own, strict=True)]
            made.append(_trained(model, fresh(recipe.seed), clips, recipe, folder, f"{name}-{recipe.seed}", advance))
    (true, first), (shuffled, second) = made
    return LabelPair(true, shuffled, first, second)


def _trained(
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
    if isinstance(model.geometry, Geometry):
        facts["resize"] = json.dumps(model.geometry.resize)
    save_weights(learner.net, folder / f"{name}-weights.safetensors", facts)
    return learner, right / len(clips)


@dataclass(frozen=True, eq=False)
class CompareMaps(Task[tuple[float, float]]):
    """Similarity of a clip's map to those of the networks trained on shuffled and on true labels."""

    step: ClassVar[str] = "label-randomisation"
    form: ClassVar[Form] = "record"

    clip: Clip
    target: int
    method: AttributionMethod
    metric: LabelRandomisation
    others: tuple[str, str]  # identities of the two networks
    models: tuple[VideoModel, VideoModel] = field(compare=False)

    def compute(self, model: VideoModel) -> list[float]:
        """A map of each of three networks."""
        return [self.metric(model, other, self.clip, self.target, self.method).value for other in self.models]

    def read(self, stored: list[float]) -> tuple[float, float]:
        """(to shuffled, to true)."""
        return float(stored[0]), float(stored[1])


def compare_label_pair(
    model: VideoModel,
    pair: LabelPair,
    clips: Sequence[Clip],
    methods: Mapping[str, AttributionMethod],
    metric: LabelRandomisation,
    *,
    store: Store,
    progress: Progress = quiet,
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, str]]:
    """Similarity of each clip's map to those of the networks trained on (shuffled, true) labels, by method.

    A method that explains the network gives other maps for a network that has learnt shuffled labels. How much the maps
    of two networks differ that have learnt the same is what the second number shows: without it a low similarity to the
    first shows nothing.

    Returns
    -------
    similarity : dict
        Method to one pair of numbers a clip.
    failed : dict
        Method to the error with which it raised.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    failed: dict[str, str] = {}
    engine = inline_engine(model, store)
    models = pair.shuffled, pair.true
    names = [identify(store, fingerprint(other), "pair").name for other in models]
    with progress("maps of networks with shuffled and true labels", len(methods) * len(clips)) as advance:
        for name, method in methods.items():
            rows = []
            try:
                for clip in clips:
                    if clip.label is None:
                        raise DataError(f"expected clips with labels to compare maps of, got none for {clip.source}")
                    task = CompareMaps(clip, int(clip.label), method, metric, (names[0], names[1]), models)
                    rows.append(engine.run(task))
                    advance()
            except ModelError as error:
                failed[name] = str(error)
                continue
            found[name] = rows
    return found, failed
