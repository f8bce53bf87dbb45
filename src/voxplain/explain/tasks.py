"""The tasks of a concept explanation: what is computed for one clip, and the clusters of a class.

Letters: N supervoxels, D feature dimensions, D' dimensions of the model's layer, C classes, K concepts.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from voxplain.concepts.clip_exploration import ClipExploration, ExploredClip
from voxplain.concepts.cluster import Clusterer
from voxplain.concepts.cluster_filter import ClusterFilter
from voxplain.concepts.discover import ConceptBank, discover
from voxplain.concepts.effect import ARRAYS, Effects, HideConcepts
from voxplain.concepts.evaluate import AddRemove, AddRemoveCurves
from voxplain.concepts.features import Embedder, Embedding, embed_clip
from voxplain.concepts.variants import Variant, variant_logits
from voxplain.model import Objective, VideoModel
from voxplain.runtime import Task
from voxplain.runtime.task import Form
from voxplain.segment import Deduplicate, Segmenter, Supervoxels
from voxplain.video import Clip

__all__ = [
    "AddRemoveInClip",
    "ClassGradient",
    "ClipLogits",
    "ClipPass",
    "DiscoverConcepts",
    "EffectsInClip",
    "EmbedSupervoxels",
    "EmbedWholeClip",
    "ExploreClip",
    "SegmentClip",
    "VariantsInClip",
]

Arrays = dict[str, np.ndarray]
_CURVES = tuple(f.name for f in fields(AddRemoveCurves) if f.name not in ("kind", "names"))
_EXPLORED = ("unmodified", "blank", "hidden", "switches", "switched")


@dataclass(frozen=True, eq=False)
class SegmentClip(Task[Supervoxels]):
    """Supervoxels of a clip, near copies dropped where ``deduplicate`` is given."""

    step: ClassVar[str] = "supervoxels"
    form: ClassVar[Form] = "labels"
    uses_network: ClassVar[bool] = False

    clip: Clip
    segmenter: Segmenter
    deduplicate: Deduplicate | None

    def compute(self, model: VideoModel) -> np.ndarray:
        """Labels int16 [L,T,H,W]."""
        found = self.segmenter(self.clip)
        return (self.deduplicate(found) if self.deduplicate else found).labels

    def read(self, stored: np.ndarray) -> Supervoxels:
        """The supervoxels of the labels."""
        return Supervoxels(stored)


@dataclass(frozen=True, eq=False)
class EmbedSupervoxels(Task[Embedding]):
    """Features of the supervoxels ``ids`` of a clip, and what the embedder gives beside them."""

    step: ClassVar[str] = "features"
    version: ClassVar[int] = 4

    clip: Clip
    labels: np.ndarray
    ids: np.ndarray
    embedder: Embedder
    gradient_of: tuple[int, Objective] | None = None  # class and objective whose gradient the same passes give

    def compute(self, model: VideoModel) -> Arrays:
        """Values [N,D], and layer values [N,D'], gradient [D'] and logits [C] where there are some."""
        supervoxels = Supervoxels(self.labels)
        found = self.embedder.embed(model, self.clip, supervoxels, ids=self.ids, gradient_of=self.gradient_of)
        return {f.name: v for f in fields(Embedding) if (v := getattr(found, f.name)) is not None}

    def read(self, stored: Arrays) -> Embedding:
        """The embedding of the arrays."""
        return Embedding(**stored)


@dataclass(frozen=True, eq=False)
class EmbedWholeClip(Task[np.ndarray]):
    """Feature of a whole clip, float32 [D']; one forward pass a window."""

    step: ClassVar[str] = "clip-features"
    version: ClassVar[int] = 2

    clip: Clip
    window_step: int

    def compute(self, model: VideoModel) -> Arrays:
        """The feature as ``value``."""
        return {"value": embed_clip(model, self.clip, window_step=self.window_step)}

    def read(self, stored: Arrays) -> np.ndarray:
        """The feature."""
        return stored["value"]


@dataclass(frozen=True, eq=False)
class ClipLogits(Task[np.ndarray]):
    """Logits of a clip of the network's length, float32 [C]."""

    step: ClassVar[str] = "logits"
    version: ClassVar[int] = 2

    clip: Clip
    shared: bool = field(default=True, compare=False)  # whether the shards of a run divide it

    @property
    def shared_by(self) -> Clip | None:
        """The clip, unless every shard computes the task itself."""
        return self.clip if self.shared else None

    def compute(self, model: VideoModel) -> Arrays:
        """One forward pass."""
        return {"logits": model.logits(self.clip.frames[None])[0].cpu().numpy()}

    def read(self, stored: Arrays) -> np.ndarray:
        """The logits."""
        return stored["logits"]


@dataclass(frozen=True, eq=False)
class ClipPass(Task[Arrays]):
    """Logits [C], and the gradient [D'] where one is asked for, of the pass that embeds a clip of the network's length.

    A key of its own: autograd may choose other kernels than the passes of `ClipLogits` and `ClassGradient`.
    """

    step: ClassVar[str] = "passes"

    clip: Clip
    embedder: Embedder
    gradient_of: tuple[int, Objective] | None
    shared: bool = field(default=True, compare=False)  # whether the shards of a run divide it

    @property
    def shared_by(self) -> Clip | None:
        """The clip, unless every shard computes the task itself."""
        return self.clip if self.shared else None

    def compute(self, model: VideoModel) -> Arrays:
        """What the features of the whole clip as one supervoxel bring with them."""
        whole = Supervoxels(np.zeros((1, *self.clip.frames.shape[:3]), np.int16))
        return self.of(self.embedder.embed(model, self.clip, whole, gradient_of=self.gradient_of))

    @staticmethod
    def of(found: Embedding) -> Arrays:
        """The part of an embedding that is the result."""
        both = {"logits": found.logits, "gradient": found.gradient}
        return {name: values for name, values in both.items() if values is not None}


@dataclass(frozen=True, eq=False)
class ClassGradient(Task[np.ndarray]):
    """Gradient of the objective at the layer for a clip of the network's length, float32 [D']."""

    step: ClassVar[str] = "gradients"

    clip: Clip
    target: int
    objective: Objective

    def compute(self, model: VideoModel) -> Arrays:
        """One forward pass, and the backward pass from the logits to the layer."""
        found = model.gradient(self.clip.frames[None], self.target, objective=self.objective)
        return {"gradient": found[0].cpu().numpy()}

    def read(self, stored: Arrays) -> np.ndarray:
        """The gradient."""
        return stored["gradient"]


@dataclass(frozen=True, eq=False)
class DiscoverConcepts(Task[ConceptBank]):
    """The concepts of a class: clusters of the features ``values`` [N,D] of its supervoxels."""

    step: ClassVar[str] = "concepts"
    version: ClassVar[int] = 2
    uses_network: ClassVar[bool] = False

    values: np.ndarray
    origin: np.ndarray  # int64 [N,2] = (clip, supervoxel)
    clusterer: Clusterer
    keep: int
    cluster_filter: ClusterFilter
    searched: int
    reach: float
    seed: int

    def compute(self, model: VideoModel | None = None) -> Arrays:
        """The fields of the bank, its members and their distances end to end."""
        bank = discover(
            self.values,
            self.origin[:, 0],
            clusterer=self.clusterer,
            keep=self.keep,
            cluster_filter=self.cluster_filter,
            searched=self.searched,
            reach=self.reach,
            seed=self.seed,
        )
        return {
            "centers": bank.centers,
            "sizes": bank.sizes,
            "clip_count": bank.clip_count,
            "members": np.concatenate(bank.members),
            "distance": np.concatenate(bank.distance),
            "kept": np.array([len(m) for m in bank.members], np.int64),
            "reach": bank.reach,
            "stability": bank.stability,
        }

    def read(self, stored: Arrays) -> ConceptBank:
        """The bank of the arrays."""
        cuts = np.cumsum(stored["kept"])[:-1]
        return ConceptBank(
            centers=stored["centers"],
            members=tuple(np.split(stored["members"], cuts)),
            distance=tuple(np.split(stored["distance"], cuts)),
            sizes=stored["sizes"],
            clip_count=stored["clip_count"],
            method=repr(self.clusterer),
            reach=stored["reach"],
            stability=stored["stability"],
        )


@dataclass(frozen=True, eq=False)
class EffectsInClip(Task[Effects]):
    """Direct effects of ``count`` concepts in a clip; see `HideConcepts` for the forward passes."""

    step: ClassVar[str] = "effects"

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    count: int
    effect: HideConcepts
    place: int  # of the clip among those of the class: seeds the control regions

    def compute(self, model: VideoModel) -> Arrays:
        """The measured arrays of `Effects`."""
        found = self.effect(model, self.clip, Supervoxels(self.labels), self.assigned, self.count, place=self.place)
        return {name: getattr(found, name) for name in ARRAYS}

    def read(self, stored: Arrays) -> Effects:
        """The effects of the arrays."""
        base, hidden, control, alone, blank, volume = (stored[name] for name in ARRAYS)
        return Effects(base, hidden, control, alone, blank, volume)


@dataclass(frozen=True, eq=False)
class VariantsInClip(Task[np.ndarray]):
    """Logits float32 [F,V,C] of V modifications of a clip with F fills; one forward pass each."""

    step: ClassVar[str] = "variants"
    version: ClassVar[int] = 2

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    variants: tuple[Variant, ...]
    fills: tuple[str, ...]
    seed: int
    place: int  # of the clip among those of the class: seeds the control regions
    shared: bool = field(default=True, compare=False)  # whether the shards of a run divide it

    @property
    def shared_by(self) -> Clip | None:
        """The clip, unless every shard computes the task itself."""
        return self.clip if self.shared else None

    def compute(self, model: VideoModel) -> Arrays:
        """The logits."""
        supervoxels = Supervoxels(self.labels)
        found = variant_logits(
            model,
            self.clip,
            supervoxels,
            self.assigned,
            self.variants,
            fills=self.fills,
            seed=self.seed,
            place=self.place,
        )
        return {"logits": found}

    def read(self, stored: Arrays) -> np.ndarray:
        """The logits."""
        return stored["logits"]


@dataclass(frozen=True, eq=False)
class AddRemoveInClip(Task[tuple[AddRemoveCurves, AddRemoveCurves]]):
    """Adding and removing concepts in a test clip; see `AddRemove` for the forward passes."""

    step: ClassVar[str] = "steps"
    version: ClassVar[int] = 2

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    ranked: np.ndarray
    target: int
    evaluation: AddRemove
    place: int  # of the clip among the test clips: seeds the control regions

    def compute(self, model: VideoModel) -> Arrays:
        """The arrays of both curves, as ``adding.logits`` and so on."""
        supervoxels = Supervoxels(self.labels)
        both = self.evaluation(model, self.clip, supervoxels, self.assigned, self.ranked, self.target, place=self.place)
        return {f"{curves.kind}.{name}": getattr(curves, name) for curves in both for name in _CURVES}

    def read(self, stored: Arrays) -> tuple[AddRemoveCurves, AddRemoveCurves]:
        """(adding, removing)."""
        listed = ("top", "least", *(f"random{d}" for d in range(self.evaluation.draws)))

        def curves(kind: str) -> AddRemoveCurves:
            arrays: dict[str, Any] = {name: stored[f"{kind}.{name}"] for name in _CURVES}
            return AddRemoveCurves(kind, listed, **arrays)

        return curves("adding"), curves("removing")


@dataclass(frozen=True, eq=False)
class ExploreClip(Task[ExploredClip]):
    """A test clip with each of its concepts hidden, alone and together; see `ClipExploration`."""

    step: ClassVar[str] = "explorations"

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    ranked: np.ndarray
    exploration: ClipExploration
    fill: str
    place: int
    mean_colour: np.ndarray

    def compute(self, model: VideoModel) -> Arrays:
        """The measured arrays of `ExploredClip`."""
        supervoxels = Supervoxels(self.labels)
        found = self.exploration(
            model, self.clip, supervoxels, self.assigned, self.ranked, fill=self.fill, place=self.place
        )
        return {name: getattr(found, name) for name in _EXPLORED}

    def read(self, stored: Arrays) -> ExploredClip:
        """The record of the arrays."""
        return ExploredClip(
            self.clip, Supervoxels(self.labels), self.assigned, self.place, self.fill, self.mean_colour, **stored
        )
