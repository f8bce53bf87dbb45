"""The planted clips of the study: drawn in memory, the same pixels on every machine, with what a network relies on.

Letters: T×H×W the grid. A set is given by its design, sizes and seed; `content_hash` of its frames names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from voxplain.datasets.planted import PlantedDesign, Scene, design_of, draw_scene, freeze, without
from voxplain.datasets.planted.scene import draw
from voxplain.hashing import content_hash
from voxplain.model import OBJECTIVES, VideoModel, logits_of
from voxplain.video import Clip

__all__ = [
    "FULL",
    "QUICK",
    "KnownClip",
    "PlantedClips",
    "StudyClips",
    "StudySize",
    "drawn",
    "known_clips",
    "set_hash",
    "study_design",
]

SEEDS = {"standard": 1, "held-out": 501}
# Of the seeds of each part; settings are chosen on clips "to tune", which are in no table.
OFFSETS = {"train": 0, "test": 400, "tune": 600, "explain": 800}
LEAST_DROP = 1.0  # of the log-odds without the object, below which a clip has no object that is relied on


@dataclass(frozen=True)
class StudySize:
    """How much the study computes.

    Parameters
    ----------
    frames, side : int
        The grid: T, and H = W.
    classes : int
        Of the design, see `design_of`.
    train, test : int
        Clips a class, to train on and to measure accuracy on.
    clips : int
        Clips a class that methods explain, of the classes that an object decides.
    epochs : int
        Passes through the training clips at most.
    """

    frames: int = 16
    side: int = 64
    classes: int = 7
    train: int = 200
    test: int = 40
    clips: int = 8
    epochs: int = 24


FULL = StudySize()
QUICK = StudySize(frames=8, side=32, classes=5, train=100, test=20, clips=1, epochs=36)


@dataclass(frozen=True, eq=False)
class KnownClip:
    """A clip of a class, its objects' masks, and what the network loses without each object and with it held still.

    ``relied``: the object whose absence costs the network most log-odds.
    """

    clip: Clip
    target: int
    masks: dict[str, np.ndarray]
    drop: dict[str, float]
    frozen: dict[str, float]
    moving: bool  # whether a motion decides the class

    @property
    def relied(self) -> str:
        """The object that the network relies on most."""
        return max(self.drop, key=lambda name: self.drop[name])

    @property
    def mask(self) -> np.ndarray:
        """The voxels of the object that the network relies on most, bool [T,H,W]."""
        return self.masks[self.relied]

    @property
    def distractor(self) -> np.ndarray | None:
        """The voxels of the object that it relies on least, if there is another one that is seen."""
        others = [n for n in sorted(self.drop, key=lambda n: self.drop[n]) if n != self.relied and self.masks[n].any()]
        return self.masks[others[0]] if others else None


class StudyClips(Protocol):
    """A set of clips that networks are trained on and methods explain."""

    @property
    def name(self) -> str:
        """Of the set, and of its folder of results."""
        ...

    def classes(self, size: StudySize) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        ...

    def part(self, size: StudySize, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 [N,T,H,W,3] and labels int64 [N] of a part: train, test or explain."""
        ...

    def known(self, model: VideoModel, size: StudySize) -> list[KnownClip]:
        """The clips to explain: those that the network classifies right, with what it should rely on."""
        ...

    def digest(self, size: StudySize) -> str:
        """Hash of the frames that are explained."""
        ...


@dataclass(frozen=True)
class PlantedClips:
    """Planted clips of a design: "standard" or "held-out"."""

    name: str

    def classes(self, size: StudySize) -> tuple[str, ...]:
        """The design's."""
        return study_design(self.name, size).classes

    def part(self, size: StudySize, part: str) -> tuple[np.ndarray, np.ndarray]:
        """See `drawn`."""
        return drawn(self.name, size, part)

    def known(self, model: VideoModel, size: StudySize) -> list[KnownClip]:
        """See `known_clips`."""
        return known_clips(model, self.name, size)

    def digest(self, size: StudySize) -> str:
        """See `set_hash`."""
        return set_hash(self.name, size)


def study_design(design: str, size: StudySize) -> PlantedDesign:
    """The classes and objects of a design, "standard" or "held-out"."""
    return replace(design_of(size.classes, held_out=design == "held-out"), frames=size.frames, size=size.side)


def _scenes(design: PlantedDesign, label: str, count: int, seed: int) -> list[Scene]:
    return [draw_scene(design, label, seed * 1_000_000 + i) for i in range(count)]


def drawn(name: str, size: StudySize, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [N,T,H,W,3] and labels int64 [N] of a part: train, test or explain."""
    design = study_design(name, size)
    count, offset = {"train": size.train, "test": size.test, "explain": size.clips}[part], OFFSETS[part]
    scenes = [(k, s) for k, c in enumerate(design.classes) for s in _scenes(design, c, count, SEEDS[name] + offset)]
    return np.stack([draw(s)[0] for _, s in scenes]), np.array([k for k, _ in scenes], np.int64)


def set_hash(name: str, size: StudySize) -> str:
    """Hash of the frames that are explained; the same on every machine."""
    return content_hash(drawn(name, size, "explain")[0])


def known_clips(model: VideoModel, name: str, size: StudySize, part: str = "explain") -> list[KnownClip]:
    """The clips to explain, or to tune, that the network classifies right and where it relies on an object."""
    design, found = study_design(name, size), []
    for label in design.decided:
        target = design.classes.index(label)
        for i, scene in enumerate(_scenes(design, label, size.clips, SEEDS[name] + OFFSETS[part])):
            known = _known(model, scene, target, label in design.motions, f"{name}/{label}/{i}")
            if known is not None:
                found.append(known)
    return found


def _known(model: VideoModel, scene: Scene, target: int, moving: bool, source: str) -> KnownClip | None:
    names = [o.name for o in scene.objects]
    scenes: Sequence[Scene] = [scene, *(without(scene, n) for n in names), *(freeze(scene, n) for n in names)]
    frames = [draw(s)[0] for s in scenes]
    z = torch.from_numpy(logits_of(model, iter(frames))).double()
    value = OBJECTIVES["log_odds"](z, target).numpy()
    drop = dict(zip(names, (value[0] - value[1 : 1 + len(names)]).tolist(), strict=True))
    if int(z[0].argmax()) != target or max(drop.values()) < LEAST_DROP:
        return None
    frozen = dict(zip(names, (value[0] - value[1 + len(names) :]).tolist(), strict=True))
    clip = Clip.from_array(frames[0], source=source)
    known = KnownClip(clip, target, draw(scene)[1], drop, frozen, moving)
    return known if known.mask.any() else None
