"""Common parts of all steps of a concept explanation: settings, engine, and the steps that work on one clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from weakref import WeakKeyDictionary

import numpy as np
import torch

from voxplain.concepts.features import Embedder, Embedding, MaskedCrops
from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.central_window import central_window
from voxplain.explain.tasks import ClassGradient, ClipLogits, ClipPass, EmbedSupervoxels, SegmentClip
from voxplain.inference import Accelerated, Inference
from voxplain.lazy import Lazy
from voxplain.model import Objective, VideoModel
from voxplain.model.fingerprint import Fingerprint, fingerprint, function_digest
from voxplain.runtime import Engine, Executor, Progress, Results, Shard, arithmetic, identify
from voxplain.segment import Supervoxels
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["Session", "open_session"]

CHECKED = 3  # clips, two supervoxels of each, on which fast arithmetic is checked
LABELS = 32 << 20  # bytes of label volumes kept in memory; the store has them all


@dataclass(frozen=True, eq=False)
class Session:
    """Settings and engine of one run, with the steps on single clips."""

    given: VideoModel  # as the user gave it
    fingerprint: Fingerprint
    fast: Accelerated  # the copy of it that computes
    settings: ConceptSettings
    engine: Engine

    @property
    def model(self) -> VideoModel:
        """The network that computes: the one given, or a fast copy of it."""
        return self.fast.model

    def supervoxels(self, clip: Clip, *, deduplicate: bool) -> Supervoxels:
        """A clip's supervoxels, near copies dropped where ``deduplicate``."""
        s = self.settings
        return self.engine.run(SegmentClip(clip, s.segmenter, s.deduplicate if deduplicate else None))

    def features(self, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray, target: int | None) -> Embedding:
        """Features of some of a clip's supervoxels for a class; None: features that depend on no class."""
        how = self._embedder(target)
        found = self.engine.run(EmbedSupervoxels(clip, supervoxels.labels, ids, *how))
        if found.logits is not None:
            # Stored separately as well, so that the features are not read again for them.
            self.engine.keep(ClipPass(central_window(self.model, clip), *how), ClipPass.of(found))
        return found

    def logits(self, clip: Clip, target: int | None, *, shared: bool = True) -> np.ndarray:
        """Logits float32 [C] of a clip's central window, where one pass embeds a clip those of `features`.

        ``target`` as given to `features`. ``shared``: the shards of a run divide the clips.
        """
        window = central_window(self.model, clip)
        if self.settings.embedder.one_pass:
            return self.engine.run(ClipPass(window, *self._embedder(target), shared))["logits"]
        return self.engine.run(ClipLogits(window, shared))

    def gradient(self, clip: Clip, target: int) -> np.ndarray:
        """The objective's gradient at the layer for a clip's central window, float32 [D']; see `logits`."""
        window = central_window(self.model, clip)
        if self.settings.embedder.one_pass:
            return self.engine.run(ClipPass(window, *self._embedder(target)))["gradient"]
        return self.engine.run(ClassGradient(window, target, self.settings.objective))

    def _embedder(self, target: int | None) -> tuple[Embedder, tuple[int, Objective] | None]:
        """The embedder for a class, or for none, and what its passes give the gradient of."""
        embedder = self.settings.embedder
        if target is None:
            return embedder.without_class(), None
        return embedder, (target, self.settings.objective) if embedder.one_pass else None

    def draw(self, clip: Clip, supervoxels: Supervoxels, most: int) -> np.ndarray:
        """Ids of at most ``most`` supervoxels of a clip, drawn by the seed and the clip's content."""
        ids = np.arange(supervoxels.count)
        if most >= len(ids):
            return ids
        # Ids follow place and level: one draw for all clips would take the same places of each.
        own = int(content_hash(clip.frames)[:16], 16)
        return np.sort(np.random.default_rng((self.settings.seed, own)).choice(ids, most, replace=False))

    def embedded(self, clips: Sequence[Clip], name: str, *, deduplicate: bool, target: int) -> Results[np.ndarray]:
        """Features float32 [N_i,D] of every clip's supervoxels, for a class."""

        def one(i: int) -> np.ndarray:
            clip = clips[i]
            supervoxels = self.supervoxels(clip, deduplicate=deduplicate)
            return self.features(clip, supervoxels, np.arange(supervoxels.count), target).values

        return self.engine.map(f"supervoxels and features of {name}", len(clips), one)

    def segmented(self, clips: Sequence[Clip], *, deduplicate: bool) -> Sequence[Supervoxels]:
        """The supervoxels of every clip, read from the store on access."""
        return Lazy(
            lambda i: self.supervoxels(clips[i], deduplicate=deduplicate),
            range(len(clips)),
            size=lambda supervoxels: supervoxels.labels.nbytes,
            keep=LABELS,
        )


def open_session(
    model: VideoModel,
    settings: ConceptSettings,
    store: Store,
    clips: Sequence[Clip],
    *,
    executor: Callable[[VideoModel], Executor],
    shard: Shard | None,
    progress: Progress,
) -> Session:
    """A session whose network computes as set by `settings.inference`, checked on supervoxels of ``clips``."""
    places = np.unique(np.linspace(0, len(clips) - 1, min(CHECKED, len(clips))).round().astype(int))
    windows = [central_window(model, clips[int(i)]) for i in places]
    supervoxels = [settings.segmenter(clip) for clip in windows]
    ids = [np.arange(0, s.count, max(1, s.count // 2))[:2] for s in supervoxels]
    crops = [MaskedCrops().shown(model, c, s, i) for c, s, i in zip(windows, supervoxels, ids, strict=True)]
    found = fingerprint(model)
    fast = _fast(model, found, settings.inference, np.concatenate(crops))
    # A network that does not give such features raises its error before any work is done.
    first = (0, settings.objective) if settings.embedder.one_pass else None
    settings.embedder.embed(fast.model, windows[0], supervoxels[0], ids=ids[0][:1], gradient_of=first)
    identity = identify(store, found, arithmetic(fast.model, fast.precision))
    return Session(model, found, fast, settings, Engine(identity, store, executor(fast.model), shard, progress))


_MADE: WeakKeyDictionary[torch.nn.Module, dict[str, Accelerated]] = WeakKeyDictionary()


def _fast(model: VideoModel, found: Fingerprint, inference: Inference, frames: np.ndarray) -> Accelerated:
    """The fast copy of a model by ``inference``, cached between explaining and evaluating a class."""
    given = {f.name: getattr(model, f.name) for f in fields(model) if f.name != "net"}
    view = {name: function_digest(value) if callable(value) else value for name, value in given.items()}
    name = key("inference", 1, frames=frames, inference=inference, network=found.name, view=view)
    kept = _MADE.get(model.net, {})
    if name in kept:
        return kept[name]
    made = inference(model, frames)
    if made.model.net is not model.net:  # else the network would be kept alive by its own entry
        _MADE[model.net] = {name: made}
    return made
