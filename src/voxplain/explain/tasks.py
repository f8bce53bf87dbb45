"""What can be done with one clip wherever it is done: in a thread, another process, or on another machine.

Each piece is a record of its inputs that is called with the model and gives arrays by name. It knows nothing of the
store: who asks for it keeps what comes back.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.concepts.effect import Effects, HideConcepts
from voxplain.concepts.evaluate import AddRemove, AddRemoveCurves
from voxplain.concepts.features import Embedder, embed_clip
from voxplain.concepts.pooled import PooledFeatures
from voxplain.model import Objective, VideoModel
from voxplain.segment import Deduplicate, Segmenter, Supervoxels
from voxplain.video import Clip

__all__ = [
    "PROBED",
    "STEPS",
    "AddRemoveInClip",
    "Arrays",
    "ClassGradient",
    "EffectsInClip",
    "Embed",
    "EmbedWhole",
    "ExploreClip",
    "Logits",
    "SegmentClip",
    "Work",
]

Arrays = dict[str, np.ndarray]
Work = Callable[[VideoModel], Arrays]

STEPS = tuple(f.name for f in fields(AddRemoveCurves) if f.name not in ("kind", "names"))
PROBED = ("unmodified", "blank", "hidden", "switches", "switched")


@dataclass(frozen=True, eq=False)
class SegmentClip:
    """Supervoxels of a clip: ``labels`` int16 [L,T,H,W], near copies dropped where ``deduplicate`` is given."""

    clip: Clip
    segmenter: Segmenter
    deduplicate: Deduplicate | None
    network: ClassVar[bool] = False  # needed for this; the other pieces need it

    def __call__(self, model: VideoModel) -> Arrays:
        """Needs no network."""
        found = self.segmenter(self.clip)
        return {"labels": (self.deduplicate(found) if self.deduplicate else found).labels}


@dataclass(frozen=True, eq=False)
class Embed:
    """Features of some of a clip's supervoxels: ``values`` float32 [n,D], in which concepts are found.

    ``own`` [n,D'] besides where those are not in the space of the model's layer, where CAVs and gradients are, and with
    ``derive`` the clip's ``gradient`` [D'].
    """

    clip: Clip
    labels: np.ndarray
    ids: np.ndarray
    embedder: Embedder
    derive: tuple[int, Objective] | None = None  # class and objective whose gradient is wanted of the same forward

    def __call__(self, model: VideoModel) -> Arrays:
        """As many forwards as the embedder takes."""
        parts = Supervoxels(self.labels)
        if isinstance(self.embedder, PooledFeatures):
            found: Arrays = {}

            def run(frames: np.ndarray) -> None:
                assert self.derive is not None
                found["gradient"] = model.gradient(frames, self.derive[0], objective=self.derive[1])[0].cpu().numpy()

            both = self.embedder.both(model, self.clip, parts, ids=self.ids, run=run if self.derive else None)
            return found | dict(zip(("values", "own"), both, strict=True))
        return {"values": self.embedder(model, self.clip, parts, ids=self.ids)}


@dataclass(frozen=True, eq=False)
class EmbedWhole:
    """Feature of a whole clip: ``value`` float32 [D]."""

    clip: Clip
    window_step: int

    def __call__(self, model: VideoModel) -> Arrays:
        """One forward a window."""
        return {"value": embed_clip(model, self.clip, window_step=self.window_step)}


@dataclass(frozen=True, eq=False)
class Logits:
    """What the network says of a clip of its length: ``logits`` float32 [C]."""

    clip: Clip

    def __call__(self, model: VideoModel) -> Arrays:
        """One forward."""
        return {"logits": model.logits(self.clip.frames[None])[0].cpu().numpy()}


@dataclass(frozen=True, eq=False)
class ClassGradient:
    """The objective's gradient at the layer for a clip of the network's length: ``gradient`` float32 [D]."""

    clip: Clip
    target: int
    objective: Objective

    def __call__(self, model: VideoModel) -> Arrays:
        """One forward, and backward from the logits to the layer."""
        return {
            "gradient": model.gradient(self.clip.frames[None], self.target, objective=self.objective)[0].cpu().numpy()
        }


@dataclass(frozen=True, eq=False)
class EffectsInClip:
    """Direct effects of ``count`` concepts in a clip: the fields of `Effects` by name."""

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    count: int
    effect: HideConcepts
    place: int

    def __call__(self, model: VideoModel) -> Arrays:
        """See `HideConcepts` for the forwards."""
        found = self.effect(model, self.clip, Supervoxels(self.labels), self.assigned, self.count, place=self.place)
        return {f.name: getattr(found, f.name) for f in fields(Effects)}


@dataclass(frozen=True, eq=False)
class AddRemoveInClip:
    """Adding and removing concepts in a test clip: the arrays of both `AddRemoveCurves` (``adding.logits``, …)."""

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    ranked: np.ndarray
    target: int
    evaluation: AddRemove
    place: int

    def __call__(self, model: VideoModel) -> Arrays:
        """See `AddRemove` for the forwards."""
        both = self.evaluation(
            model, self.clip, Supervoxels(self.labels), self.assigned, self.ranked, self.target, place=self.place
        )
        return {f"{steps.kind}.{name}": getattr(steps, name) for steps in both for name in STEPS}


@dataclass(frozen=True, eq=False)
class ExploreClip:
    """A test clip measured for the clip explorer: the arrays of `ExploredClip` by name."""

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    ranked: np.ndarray
    exploration: ClipExploration
    fill: str
    place: int

    def __call__(self, model: VideoModel) -> Arrays:
        """See `ClipExploration` for the forwards."""
        found = self.exploration(
            model, self.clip, Supervoxels(self.labels), self.assigned, self.ranked, fill=self.fill, place=self.place
        )
        return {name: getattr(found, name) for name in PROBED}
