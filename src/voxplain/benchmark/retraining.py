"""Judge attribution methods by networks trained anew: ROAR and keep-and-retrain.

Every training is kept in a store and found again by all that made it, so that the work can be cut short, go on, and be
shared out by methods over processes that write into one store. Letters: N clips, V test clips.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import Progress
from voxplain.metrics import Retrain
from voxplain.model import Target, VideoModel, stack
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["FixedTarget", "NetworkFactory", "Trained", "facts_of", "retrain_all"]

VERSION = 1  # of what is computed here; part of the keys
NetworkFactory = Callable[[int], nn.Module]  # seed → a network with the weights that training starts from
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
    fresh: NetworkFactory
    training: Sequence[Clip]
    test: Sequence[Clip]
    store: Store
    facts: Mapping[str, Any]  # of clips and network, for keys


@dataclass(frozen=True)
class FixedTarget:
    """A method whose maps are of another class than the clip's own label: "predicted", or a class by name.

    A map of the own label can tell it: the shape of what is hidden is seen by the network that is trained anew.
    """

    method: AttributionMethod
    target: str

    def __call__(self, model: VideoModel, clip: Clip | Sequence[Clip], target: Target | Sequence[Target]) -> Any:
        """The method's maps of the class; ``target`` is not used."""
        if isinstance(clip, Clip):
            return self(model, [clip], [])[0]
        if self.target != "predicted":
            return self.method(model, clip, [model.class_index(self.target)] * len(clip))
        return self.method(model, clip, model.logits(stack(clip)).argmax(1).tolist())


def facts_of(model: VideoModel, *parts: Sequence[Clip]) -> dict[str, Any]:
    """For keys: clips, labels, and what maps depend on besides the method."""
    return {
        "clips": [[content_hash(c.frames) for c in clips] for clips in parts],
        "labels": [[c.label for c in clips] for clips in parts],
        "weights": weights_digest(model.net),
        "layer": model.layer,
        "grid": model.grid,
        "layout": model.layout,
        "mean": model.mean,
        "std": model.std,
    }


def retrain_all(
    model: VideoModel,
    fresh: NetworkFactory,
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
    work = _Work(model, fresh, training, test, store, facts_of(model, training, test))
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
    work: _Work,
    name: str,
    method: AttributionMethod,
    metric_name: str,
    metric: Retrain,
    metrics: Mapping[str, Retrain],
    seeds: int,
    advance: Callable[[], object],
) -> list[Trained]:
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
    place = key("tops", VERSION, method=method, **ranking, **facts_of(work.model, clips))
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
