"""Planted slices for `audit.py`: networks that were trained on clips in which a defect goes with another class.

Each network is trained as in `improve_planted.Case`, from the weights that come with voxplain on clips of four classes,
but with the defect in all clips of the trapped class and in none of the others', and with smaller shapes, so that the
network rests on the defect enough to take clips of other classes that have it for the trapped class.

The audited set: of the two other classes that a shape decides 24 clips each, ten of which have the defect; of the trapped
class and of the class without a shape as many as in training. Scenes have seeds of their own.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from improve_planted import LOCAL, Case, Seed
from voxplain.datasets import VideoSet
from voxplain.datasets.planted import PlantedDesign, Scene, draw_scene, render, with_defect, without_defect
from voxplain.video.encode import write_video

__all__ = ["CLIPS", "PLANTED", "SLICE", "AuditedCase", "AuditedSeed"]

CLIPS, PLANTED = 24, 10
RADIUS = (0.15, 0.18)  # of the shapes; with 0.21 to 0.25 the networks need the defect too little
SLICE = 0.3  # accuracy without the defect less that with it, from which on a slice counts as planted
OFFSET = 800_000  # of the scenes of the audited set within the scenes of a seed


@dataclass(frozen=True)
class AuditedSeed(Seed):
    """Scenes of one seed, with smaller shapes than in `Seed`."""

    @cached_property
    def design(self) -> PlantedDesign:
        return replace(super().design, radius=RADIUS)


@dataclass(frozen=True)
class AuditedCase(Case):
    """A network that relies on a defect, and the clips on which it is audited; ``null``: none of them has it."""

    null: bool = False

    @property
    def name(self) -> str:
        return f"slice-{super().name}"

    @cached_property
    def design(self) -> PlantedDesign:
        return replace(super().design, shortcut_rate=1.0)

    @property
    def audited(self) -> tuple[str, ...]:
        """The classes in which a slice is planted: those of a shape, without the trapped one."""
        return tuple(label for label in self.design.appearance if label != self.design.shortcut)

    def defective(self, label: str) -> int:
        """How many of the class's clips have the defect; they are the first."""
        if self.null:
            return 0
        return {self.design.shortcut: CLIPS, self.design.empty: 0}.get(label, PLANTED)

    def videos(self) -> tuple[VideoSet, dict[str, Scene]]:
        """The audited videos, written to files, and the scene of each by path."""
        design, home = self.design, self.home / ("null" if self.null else "videos")
        scenes: dict[Path, Scene] = {}
        for k, label in enumerate(design.classes):
            first = self.seed.number * 1_000_000 + OFFSET + 1000 * k + 500 * self.null
            for i in range(CLIPS):
                scene = without_defect(design, draw_scene(design, label, first + i))
                scenes[home / label / f"{i:02d}.mp4"] = (
                    with_defect(design, scene) if i < self.defective(label) else scene
                )
        for path, scene in scenes.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, render(scene))
        paths = tuple(scenes)
        labels = np.array([design.classes.index(path.parent.name) for path in paths], np.int64)
        return VideoSet(design.classes, paths, labels), {str(path): scene for path, scene in scenes.items()}
