"""Planted cases for `improve.py`: networks that were trained on clips with a defect, and what each of them relies on.

Each network is trained from the weights that come with voxplain, on clips with a defect in 95 % of one class's and 5 %
of the others'. Clips are drawn into memory; test scenes are drawn without the defect and with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from truth_architectures import Architecture, Stage, fit
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.settings import PRESETS
from voxplain.corrections import Examples
from voxplain.corrections.content_effect import with_presence
from voxplain.corrections.locate import locate
from voxplain.datasets.planted import (
    PlantedDesign,
    Scene,
    design_of,
    draw_scene,
    has_defect,
    masks,
    render,
    with_defect,
    without_defect,
)
from voxplain.datasets.planted.draw import draw_unrelated
from voxplain.explain import explain_concepts
from voxplain.model import OBJECTIVES, VideoModel
from voxplain.nets import load_weights, save_weights, tiny
from voxplain.store import Store
from voxplain.train import TrainingVideos
from voxplain.video import Clip, Geometry
from voxplain.zoo.load import PLANTED

__all__ = ["Case", "Seed", "Truth", "covering"]

CLASSES, TRAIN, TEST, UNRELATED, EXPLAINED = 4, 100, 72, 40, 16
FRAMES, SIZE = 8, 48  # 7 times less to compute than 16 frames of 64 × 64
LARGER = {"radius": (0.21, 0.25), "shake": 0.75, "frames": FRAMES, "size": SIZE}
STAGE = Stage(7, 4e-3, batch=16)
LOCAL = {"patch": "shortcut", "caption": "caption", "colour": "distractor0"}  # with a place: names of its objects


def _model(design: PlantedDesign, name: str) -> VideoModel:
    return VideoModel(
        net=tiny(CLASSES).eval(),
        layer="pool",
        grid=(FRAMES, SIZE, SIZE),
        classes=design.classes,
        geometry=Geometry((SIZE, SIZE), (SIZE, SIZE)),
        batch_size=32,
        name=name,
    )


def _train(model: VideoModel, frames: np.ndarray, labels: np.ndarray, seed: int) -> None:
    fit(
        model,
        TrainingVideos(tuple(frames), labels),
        Architecture(tiny, "pool", (STAGE,)),
        seed,
        lambda text: print(model.name, text, flush=True),
    )


@dataclass(frozen=True)
class Seed:
    """Scenes of one seed without defect, shared by the cases of all defects."""

    number: int
    held_out: bool
    work: Path

    @property
    def name(self) -> str:
        return f"{'held-out' if self.held_out else 'standard'}-{self.number}"

    @cached_property
    def design(self) -> PlantedDesign:
        return replace(design_of(CLASSES, held_out=self.held_out), **LARGER)

    def scenes(self, count: int, offset: int) -> tuple[list[Scene], np.ndarray]:
        """``count`` scenes of each class, and their labels."""
        d, first = self.design, self.number * 1_000_000 + offset
        drawn = [draw_scene(d, label, first + i) for label in d.classes for i in range(count)]
        return drawn, np.repeat(np.arange(CLASSES), count)

    @cached_property
    def training(self) -> tuple[list[Scene], np.ndarray, np.ndarray]:
        """Scenes, frames and labels."""
        drawn, labels = self.scenes(TRAIN, 0)
        return drawn, np.stack([render(s) for s in drawn]), labels

    @cached_property
    def test(self) -> tuple[list[Scene], np.ndarray, np.ndarray]:
        drawn, labels = self.scenes(TEST, 700_000)
        return drawn, np.stack([render(s) for s in drawn]), labels

    @cached_property
    def unrelated(self) -> list[Clip]:
        first = self.number * 1_000_000 + 900_000
        return [_clip(render(draw_unrelated(self.design, first + i)), f"unrelated {i}") for i in range(UNRELATED)]


def _clip(frames: np.ndarray, source: str) -> Clip:
    return Clip(frames, np.arange(len(frames)) / 12.0, source)


@dataclass(frozen=True)
class Case:
    """One network with a planted defect of the design's second class by shape."""

    kind: str
    seed: Seed

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.seed.name}"

    @property
    def home(self) -> Path:
        return self.seed.work / self.name

    @cached_property
    def design(self) -> PlantedDesign:
        design = self.seed.design
        return replace(design, shortcut=design.appearance[1], shortcut_kind=self.kind)

    @property
    def trapped(self) -> int:
        return self.design.classes.index(str(self.design.shortcut))

    @cached_property
    def training(self) -> tuple[list[Scene], np.ndarray, np.ndarray]:
        """The seed's scenes, with the defect in most of the trapped class's and in few of the others'."""
        labels = self.seed.training[2]
        return self._with_defects(np.where(labels == self.trapped, self.rate, 1 - self.rate))

    @property
    def rate(self) -> float:
        """Share of the trapped class's training clips with the defect."""
        return self.design.shortcut_rate

    def _with_defects(self, rate: np.ndarray) -> tuple[list[Scene], np.ndarray, np.ndarray]:
        scenes, frames, labels = self.seed.training
        defective = np.random.default_rng((self.seed.number, 11)).random(len(labels)) < rate
        changed = [with_defect(self.design, s) if d else s for s, d in zip(scenes, defective, strict=True)]
        drawn = [render(s) if d else f for s, d, f in zip(changed, defective, frames, strict=True)]
        return changed, np.stack(drawn), labels

    def network(self) -> VideoModel:
        """The network that relies on the defect."""
        return self._trained(self.name, lambda: self.training)

    def unbiased_network(self) -> VideoModel:
        """A network trained alike on the same scenes with the defect in half of the clips of every class."""
        half = np.full(CLASSES * TRAIN, 0.5)
        return self._trained(f"{self.name}-unbiased", lambda: self._with_defects(half))

    def _trained(self, name: str, videos: Callable[[], tuple[list[Scene], np.ndarray, np.ndarray]]) -> VideoModel:
        kept = self.home / f"{name}.safetensors"
        torch.manual_seed(self.seed.number)
        model = _model(self.design, name)
        if not kept.exists():
            load_weights(model.net, PLANTED, head="drop")
            _, frames, labels = videos()
            _train(model, frames, labels, self.seed.number)
            self.home.mkdir(parents=True, exist_ok=True)
            save_weights(model.net, kept, {})
        load_weights(model.net, kept)
        return model

    def truth(self) -> "Truth":
        """Test scenes without the defect and with it."""
        scenes, frames, labels = self.seed.test
        bare = [without_defect(self.design, s) for s in scenes]  # a colour may be the defect's by chance
        clean = [f if b is s else render(b) for b, s, f in zip(bare, scenes, frames, strict=True)]
        marked = [render(with_defect(self.design, s)) for s in bare]
        return Truth(np.stack([np.stack(clean), np.stack(marked)]), labels, self.trapped, self.design.shortcut_rate)

    def defect_mask(self, scene: Scene) -> np.ndarray:
        """Voxels of the defect where the scene has it: of its objects, or the background (ground and camera)."""
        if not has_defect(self.design, scene):
            return np.zeros((FRAMES, SIZE, SIZE), bool)
        found = masks(scene)
        if self.kind not in LOCAL:
            return ~np.any(list(found.values()), 0)
        return np.any([mask for thing, mask in found.items() if thing.startswith(LOCAL[self.kind])], 0)

    def explained(self, model: VideoModel) -> tuple[ConceptRun, tuple[int, ...]]:
        """The explanation of the trapped class, and the concepts that together cover the defect best."""
        scenes, frames, labels = self.training
        own = np.flatnonzero(labels == self.trapped)[:EXPLAINED]
        clips = [_clip(frames[i], f"clip {i}") for i in own]
        settings = replace(PRESETS["default"], videos=EXPLAINED, unrelated_videos=UNRELATED, unrelated_crops=15)
        run = explain_concepts(
            model,
            clips,
            random=self.seed.unrelated,
            target=str(self.design.shortcut),
            settings=settings,
            store=Store(self.home / "store"),
        )
        truths = {f"clip {i}": self.defect_mask(scenes[i]) for i in own}
        pairs = list(zip(run.supervoxels, run.assigned, strict=True))
        masks = np.stack([[concept_mask(v, a, k) for v, a in pairs] for k in range(len(run.bank))])
        return run, covering(masks, np.stack([truths[str(clip.source)] for clip in run.clips]))

    def marked(self, model: VideoModel, run: ConceptRun, concepts: tuple[int, ...]) -> Examples:
        """The training clips with the voxels of the concepts."""
        _, frames, labels = self.training
        clips = [_clip(f, f"clip {i}") for i, f in enumerate(frames)]
        found = locate(model, run, clips, list(labels), remove=concepts, store=Store(self.home / "store"))
        return with_presence(model, found)

    def mask_quality(self, examples: Examples) -> dict[str, float]:
        """How well the concept's masks cover the defect; shares from 0 to 1."""
        truth = np.stack([self.defect_mask(scene) for scene in self.training[0]])
        has, found = truth.any((1, 2, 3)), examples.present
        enough = examples.unwanted.mean((1, 2, 3)) >= examples.smallest
        inside = (examples.unwanted & truth).sum((1, 2, 3))
        return {
            "clip_recall": float(found[has].mean()),
            "clip_precision": float(has[found].mean()) if found.any() else 0.0,
            "clip_precision_by_volume": float(has[enough].mean()) if enough.any() else 0.0,
            "defect_in_absent": float(has[examples.absent].mean()) if examples.absent.any() else 0.0,
            "voxel_recall": float((inside[has] / truth[has].sum((1, 2, 3))).mean()),
            "voxel_precision": float(inside[has].sum() / max(examples.unwanted[has].sum(), 1)),
        }


def covering(masks: np.ndarray, truth: np.ndarray) -> tuple[int, ...]:
    """Concepts of bool [K,N,T,H,W] whose union covers [N,T,H,W] best: added while the intersection over union rises."""
    chosen: tuple[int, ...] = ()
    best, union = 0.0, np.zeros_like(truth)
    while len(chosen) < len(masks):
        overlaps = {}
        for k in set(range(len(masks))) - set(chosen):
            more = union | masks[k]
            overlaps[k] = (more & truth).sum() / max((more | truth).sum(), 1)
        k = max(overlaps, key=lambda i: (overlaps[i], -i))
        if overlaps[k] <= best:
            break
        best, union, chosen = overlaps[k], union | masks[k], (*chosen, k)
    return chosen


@dataclass(frozen=True, eq=False)
class Truth:
    """Test scenes of all classes, each without the defect [0] and with it [1]: frames [2,N,…] and labels [N]."""

    frames: np.ndarray
    labels: np.ndarray
    trapped: int
    rate: float

    @property
    def against(self) -> np.ndarray:
        """Clips that contradict the defect, bool [2,N]."""
        own = self.labels == self.trapped
        return np.stack([own, ~own])

    def measured(self, model: VideoModel) -> dict:
        """Right clips [2,N] and figures of one network."""
        z = [model.logits(frames).cpu().double() for frames in self.frames]
        right = np.stack([(v.argmax(1).numpy() == self.labels) for v in z])
        odds = [OBJECTIVES["log_odds"](v, self.trapped).numpy() for v in z]
        classes = np.unique(self.labels)
        group = np.array([[right[d, self.labels == k].mean() for k in classes] for d in (0, 1)])
        usual = np.where(classes == self.trapped, self.rate, 1 - self.rate)  # share of clips with the defect
        return {
            "right": right.astype(int).tolist(),
            "groups": group.round(4).tolist(),
            "worst": float(group.min()),
            "agreeing": float(right[~self.against].mean()),
            "contradicting": float(right[self.against].mean()),
            "iid": float((usual * group[1] + (1 - usual) * group[0]).mean()),
            "reliance": float(np.abs(odds[1] - odds[0]).mean()),
        }
