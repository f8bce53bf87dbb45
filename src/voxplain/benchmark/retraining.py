"""Attribution methods measured by networks trained anew: ROAR and keep-and-retrain.

Every training is kept in a store and found again by all that made it, so that the work can be cut short, go on, and be
divided by methods over processes that write into one store. Letters: N clips, V test clips.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from torch import nn

from voxplain.attribution import AttributionMethod
from voxplain.errors import DataError, ModelError
from voxplain.metrics import Retrain
from voxplain.metrics.units import Importance, Unit
from voxplain.model import Target, VideoModel, stack
from voxplain.model.fingerprint import fingerprint
from voxplain.progress import quiet
from voxplain.runtime import Engine, Progress, Task, identify, inline_engine
from voxplain.runtime.task import Form
from voxplain.store import Store
from voxplain.train import Recipe
from voxplain.video import Clip

__all__ = ["FixedTarget", "NetworkFactory", "RankVoxels", "TrainOnMasked", "Trained", "labels_of", "retrain_all"]

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
class FixedTarget:
    """A method whose maps are of another class than the clip's own label: "predicted", or a class by name.

    A map of the own label can reveal it: the shape of the hidden region is visible to the network that is retrained.
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


@dataclass(frozen=True, eq=False)
class RankVoxels(Task[Tops]):
    """First ratio at which each voxel of every clip is hidden or kept: `Retrain.first_ratios` of a method's maps."""

    step: ClassVar[str] = "tops"
    version: ClassVar[int] = 3  # 3: maps are computed one clip at a time
    form: ClassVar[Form] = "labels"

    clips: Sequence[Clip]
    labels: tuple[int | None, ...]
    method: AttributionMethod
    ratios: tuple[float, ...]
    unit: Unit
    importance: Importance
    smooth: float
    seed: int
    metric: Retrain = field(compare=False)

    def compute(self, model: VideoModel) -> np.ndarray:
        """A map a clip; uint8 [N,T,H,W]."""
        return np.stack(self.metric.first_ratios(model, self.clips, self.method))

    def read(self, stored: np.ndarray) -> Tops:
        """One array a clip."""
        return tuple(stored)


@dataclass(frozen=True, eq=False)
class TrainOnMasked(Task[list[bool]]):
    """Which test clips a network gets right that was trained on masked clips; ``method`` None: nothing is masked."""

    step: ClassVar[str] = "retrain"
    version: ClassVar[int] = 2
    form: ClassVar[Form] = "record"

    training: Sequence[Clip]
    test: Sequence[Clip]
    labels: tuple[int | None, ...]
    test_labels: tuple[int | None, ...]
    method: AttributionMethod | None
    recipe: Recipe
    metric: Retrain | None  # None: as ``method``
    start: str  # identity of the network that training starts from
    masks: "_Masks" = field(compare=False)

    def compute(self, model: VideoModel) -> list[bool]:
        """One training."""
        m = self.masks
        own = m.metric.masked(model, self.training, m.tops[0], m.ratio)
        held_out = m.metric.masked(model, self.test, m.tops[1], m.ratio)
        return [bool(right) for right in m.metric.right(model, m.net, own, held_out)]

    def read(self, stored: list[bool]) -> list[bool]:
        """As they are."""
        return list(stored)


@dataclass(frozen=True, eq=False)
class _Masks:
    """What a training needs that its other fields determine: the network to train, the voxels, and the ratio."""

    metric: Retrain
    net: nn.Module
    tops: tuple[Tops | None, Tops | None]
    ratio: float


def labels_of(clips: Sequence[Clip]) -> tuple[int | None, ...]:
    """The label of every clip."""
    return tuple(None if clip.label is None else int(clip.label) for clip in clips)


@dataclass(frozen=True, eq=False)
class _Trainings:
    """What all trainings of one call share."""

    engine: Engine
    model: VideoModel
    fresh: NetworkFactory
    training: Sequence[Clip]
    test: Sequence[Clip]

    def by_ratio(
        self,
        name: str,
        method: AttributionMethod,
        metric_name: str,
        metric: Retrain,
        ratios: tuple[float, ...],
        seeds: int,
        advance: Callable[[], object],
    ) -> list[Trained]:
        """The trainings of one method by one metric. Metrics that rank voxels alike share the ranking of ``ratios``."""
        every = replace(metric, ratios=ratios)
        tops: tuple[Tops | None, Tops | None] = (None, None)
        found = []
        for ratio in metric.ratios:
            whole = metric.hides_nothing(ratio)
            if not whole and tops[0] is None:
                tops = self._tops(method, every, self.training), self._tops(method, every, self.test)
            for seed in range(seeds):
                one = replace(every, recipe=replace(metric.recipe, seed=seed))
                right = self._right(None if whole else method, one, ratio, tops)
                found.append(Trained(metric_name, "" if whole else name, ratio, seed, tuple(right)))
                advance()
        return found

    def _tops(self, method: AttributionMethod, metric: Retrain, clips: Sequence[Clip]) -> Tops:
        """Stored, because the maps of all clips may take longer than a training."""
        m = metric
        return self.engine.run(
            RankVoxels(clips, labels_of(clips), method, m.ratios, m.unit, m.importance, m.smooth, m.seed, metric)
        )

    def _right(
        self, method: AttributionMethod | None, metric: Retrain, ratio: float, tops: tuple[Tops | None, Tops | None]
    ) -> list[bool]:
        net = self.fresh(metric.recipe.seed)
        start = identify(self.engine.store, fingerprint(replace(self.model, net=net)), "start").name
        return self.engine.run(
            TrainOnMasked(
                self.training,
                self.test,
                labels_of(self.training),
                labels_of(self.test),
                method,
                metric.recipe,
                None if method is None else replace(metric, ratios=(ratio,)),
                start,
                _Masks(metric, net, tops, ratio),
            )
        )


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
    """Train a network for every method, metric, ratio and seed.

    Parameters
    ----------
    model : VideoModel
        Gives the maps, of each clip's own label, and is not trained.
    fresh : callable
        Seed to a network with the weights that training starts from.
    training, test : sequence of Clip
        Clips with labels.
    methods, metrics : mapping
        Name to method, name to `Retrain`.
    seeds : int
        Trainings of each kind. Where a ratio hides nothing, one training a seed is used for all methods.
    store : Store
        Where trainings are kept and found again.
    progress : callable
        Progress display.

    Returns
    -------
    trained : list of Trained
    failed : dict
        Method to the error with which it raised.

    Raises
    ------
    DataError
        For clips without a label or fewer than one seed.
    """
    if seeds < 1:
        raise DataError(f"expected 1 seed or more, got {seeds}; correct it")
    work = _Trainings(inline_engine(model, store), model, fresh, training, test)
    found: list[Trained] = []
    failed: dict[str, str] = {}
    each = seeds * sum(len(m.ratios) for m in metrics.values())
    ratios = tuple(sorted({r for m in metrics.values() for r in m.ratios}))
    with progress("networks trained anew", len(methods) * each) as advance:
        for name, method in methods.items():
            try:
                for metric_name, metric in metrics.items():
                    found += work.by_ratio(name, method, metric_name, metric, ratios, seeds, advance)
            except ModelError as error:
                failed[name] = str(error)
    unique = {(t.metric, t.method, t.ratio, t.seed): t for t in found if t.method not in failed}
    return list(unique.values()), failed
