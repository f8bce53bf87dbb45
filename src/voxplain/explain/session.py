"""What every step of a run shares: the model, the settings, the store, and the work on single clips."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch

from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.concepts.pooled import PooledFeatures
from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.central_window import central_window
from voxplain.explain.tasks import Arrays, Embed, SegmentClip, Work
from voxplain.inference import Accelerated, Inference, stay_on_one_thread
from voxplain.lazy import Lazy, bounded
from voxplain.model import Objective, VideoModel
from voxplain.nets import weights_digest
from voxplain.runtime import MissingShards
from voxplain.segment import Supervoxels
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["Executor", "Progress", "Session", "open_session"]

Progress = Callable[[str, int], AbstractContextManager[Callable[..., object]]]
Derive = tuple[int, Objective]
T = TypeVar("T")
CHECKED = 3  # clips, two supervoxels of each, on which fast arithmetic is checked
LABELS = 32 << 20  # bytes of label volumes kept in memory; the store has them all


class Executor(Protocol):
    """Where pieces of work are done, ``workers`` of them at once."""

    workers: int

    def __call__(self, work: Work) -> Arrays:
        """The work's result; called from several threads."""


@dataclass(frozen=True, eq=False)
class Session:
    """What every step of one run needs: the model, the settings, where results are kept and where they are made."""

    given: VideoModel  # as the user gave it
    fast: Accelerated  # what computes in its place
    settings: ConceptSettings
    store: Store
    progress: Progress
    compute: Executor

    @property
    def model(self) -> VideoModel:
        """The network that computes: the one given, or a fast copy of it."""
        return self.fast.model

    @cached_property
    def network(self) -> dict[str, Any]:
        """Everything of the model that a result depends on, for cache keys."""
        m = self.given
        # Strides, kinds of pooling and activations have no weights: the printed structure tells them apart, less the
        # addresses in it that change from run to run.
        return {
            "weights": weights_digest(m.net),
            "structure": re.sub(r"0x[0-9a-fA-F]+", "", repr(m.net)),
            "layer": m.layer,
            "mean": m.mean,
            "std": m.std,
            "layout": m.layout,
            "grid": m.grid,
            "pool": m.pool,
            "channel_axis": m.channel_axis,
            "precision": self.fast.precision,
            "folded": self.fast.folded,
            "channels_last": self.fast.channels_last,
        }

    def each(self, what: str, count: int, work: Callable[[int], T]) -> list[T]:
        """``work(0)`` to ``work(count − 1)`` on the workers' threads, in order; ``what`` is shown while it works.

        Where the result is another shard's and missing there is None instead: `raise_if_missing` must see the list
        before it is used.
        """

        def attempt(i: int) -> T:
            try:
                return work(i)
            except MissingShards:
                return cast(T, None)

        done: list[T] = []
        with self.progress(what, count) as advance:
            pool = ThreadPoolExecutor(max_workers=self.compute.workers, initializer=stay_on_one_thread)
            try:
                for result in bounded(pool, attempt, range(count), 2 * self.compute.workers):
                    done.append(result)
                    advance()
            finally:
                pool.shutdown(cancel_futures=True)  # what is begun is finished and kept
        return done

    def supervoxels(self, clip: Clip, *, deduplicate: bool) -> Supervoxels:
        """A clip's supervoxels, near copies dropped where ``deduplicate``."""
        s = self.settings
        near = s.deduplicate if deduplicate else None
        name = key("supervoxels", 1, frames=clip.frames, segmenter=s.segmenter, deduplicate=near)
        make = lambda: self.compute(SegmentClip(clip, s.segmenter, near))["labels"]  # noqa: E731
        return Supervoxels(self.store.labels("supervoxels", name, make))

    def features(
        self, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray, embedder: Embedder, derive: Derive | None = None
    ) -> Arrays:
        """What `Embed` gives of some of a clip's supervoxels."""
        asked = {"derive": derive} if derive else {}
        name = key(
            "features",
            2,
            frames=clip.frames,
            labels=supervoxels.labels,
            ids=ids,
            embedder=embedder,
            **asked,
            **self.network,
        )
        make = lambda: self.compute(Embed(clip, supervoxels.labels, ids, embedder, derive))  # noqa: E731
        return self.store.arrays("features", name, make)

    def derive(self, clip: Clip, target: int | None) -> Derive | None:
        """The gradient that embedding a clip of a class gives besides, where its forward is that of the whole clip."""
        whole = isinstance(self.settings.embedder, PooledFeatures) and len(clip.frames) == self.model.grid[0]
        return (target, self.settings.objective) if whole and target is not None else None

    def gradient(self, clip: Clip, target: int, make: Callable[[], Arrays]) -> np.ndarray:
        """The objective's gradient at the layer for a clip of the network's length, float32 [D]."""
        name = key("gradient", 1, frames=clip.frames, target=target, objective=self.settings.objective, **self.network)
        return self.store.arrays("gradients", name, make)["gradient"]

    def draw(self, clip: Clip, supervoxels: Supervoxels, most: int) -> np.ndarray:
        """Ids of at most ``most`` supervoxels of a clip, drawn by the seed and the clip's content."""
        ids = np.arange(supervoxels.count)
        if most >= len(ids):
            return ids
        # Ids follow place and level: one draw for all clips would show the same places of each.
        own = int(content_hash(clip.frames)[:16], 16)
        return np.sort(np.random.default_rng((self.settings.seed, own)).choice(ids, most, replace=False))

    def embedded(
        self, clips: Sequence[Clip], what: str, *, deduplicate: bool, target: int | None = None
    ) -> list[np.ndarray]:
        """Features float32 [N_i,D] of every clip's supervoxels; ``target``: the class whose gradient is asked later."""

        def one(i: int) -> np.ndarray:
            clip = clips[i]
            parts = self.supervoxels(clip, deduplicate=deduplicate)
            derive = self.derive(clip, target)
            found = self.features(clip, parts, np.arange(parts.count), self.settings.embedder, derive)
            if derive:
                self.gradient(clip, derive[0], lambda: {"gradient": found["gradient"]})
            return found["values"]

        return self.each(f"supervoxels and features of {what}", len(clips), one)

    def segmented(self, clips: Sequence[Clip], *, deduplicate: bool) -> Sequence[Supervoxels]:
        """The supervoxels of every clip, read from the store when they are asked for."""
        return Lazy(
            lambda i: self.supervoxels(clips[i], deduplicate=deduplicate),
            range(len(clips)),
            size=lambda parts: parts.labels.nbytes,
            keep=LABELS,
        )


def open_session(
    model: VideoModel,
    settings: ConceptSettings,
    store: Store,
    progress: Progress,
    on: Callable[[VideoModel], Executor],
    clips: Sequence[Clip],
) -> Session:
    """A session whose network computes as `settings.inference` says, checked on supervoxels of ``clips``."""
    places = np.unique(np.linspace(0, len(clips) - 1, min(CHECKED, len(clips))).round().astype(int))
    seen = [central_window(model, clips[int(i)]) for i in places]
    parts = [settings.segmenter(clip) for clip in seen]
    ids = [np.arange(0, p.count, max(1, p.count // 2))[:2] for p in parts]
    shown = [MaskedCrops().shown(model, c, p, i) for c, p, i in zip(seen, parts, ids, strict=True)]
    fast = _fast(model, settings.inference, np.concatenate(shown))
    for embedder in filter(None, (settings.embedder, settings.cav_embedder)):
        embedder(fast.model, seen[0], parts[0], ids=ids[0][:1])  # what refuses its features says so before any work
    return Session(model, fast, settings, store, progress, on(fast.model))


_MADE: WeakKeyDictionary[torch.nn.Module, dict[str, Accelerated]] = WeakKeyDictionary()


def _fast(model: VideoModel, inference: Inference, frames: np.ndarray) -> Accelerated:
    """What ``inference`` makes of a model; explaining a class and proving it afterwards make it once."""
    view = {f.name: getattr(model, f.name) for f in fields(model) if f.name != "net"}
    name = key("inference", 1, frames=frames, inference=inference, weights=weights_digest(model.net), view=view)
    kept = _MADE.get(model.net, {})
    if name in kept:
        return kept[name]
    made = inference(model, frames)
    if made.model.net is not model.net:  # else the network would be kept alive by its own entry
        _MADE[model.net] = {name: made}
    return made
