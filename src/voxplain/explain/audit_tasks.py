"""The tasks of an audit: one concept moved against another in a clip, and a concept pasted into another clip.

Letters: P pairs of concepts, A axes, C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from voxplain.audits.relations import AXES, against_and_together
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.variants import with_rim
from voxplain.model import VideoModel, logits_of
from voxplain.perturb import base_clip
from voxplain.runtime import Task
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["AddedToClip", "RelationsInClip"]

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class RelationsInClip(Task[np.ndarray]):
    """Logits float32 [P,A,2,C] of a clip with the first concept of a pair moved against the second, and both together.

    NaN where the clip lacks one of them or they are at one place along the axis.
    """

    step: ClassVar[str] = "relations"

    clip: Clip
    labels: np.ndarray
    assigned: np.ndarray
    pairs: tuple[tuple[int, int], ...]
    fill: str

    def compute(self, model: VideoModel) -> Arrays:
        """The logits, one forward pass each."""
        supervoxels = Supervoxels(self.labels)
        frames, base = self.clip.frames, base_clip(self.clip.frames, self.fill, model.mean_colour)
        masks = {k: concept_mask(supervoxels, self.assigned, k) for pair in self.pairs for k in pair}
        made: list[tuple[int, int]] = []

        def pictures() -> Iterator[np.ndarray]:
            for p, (a, b) in enumerate(self.pairs):
                if not masks[a].any() or not masks[b].any():
                    continue
                for n, axis in enumerate(AXES):
                    both = against_and_together(frames, masks[a], masks[b], base, axis)
                    if both is not None:
                        made.append((p, n))
                        yield from both

        listed = list(pictures())
        classes = len(model.classes) or model.logits(frames[None]).shape[1]
        logits = np.full((len(self.pairs), len(AXES), 2, classes), np.nan, np.float32)
        if listed:
            found = logits_of(model, iter(listed), finite=False).reshape(len(made), 2, -1)
            for place, row in zip(made, found, strict=True):
                logits[place] = row
        return {"logits": logits}

    def read(self, stored: Arrays) -> np.ndarray:
        """The logits."""
        return stored["logits"]


@dataclass(frozen=True, eq=False)
class AddedToClip(Task[np.ndarray]):
    """Logits float32 [2,C] of a clip with voxels of another clip pasted into it: a concept's, and a random region's."""

    step: ClassVar[str] = "added"

    clip: Clip
    donor: Clip
    concept: np.ndarray  # bool [T,H,W] of the donor
    region: np.ndarray  # bool [T,H,W], of the same volume

    def compute(self, model: VideoModel) -> Arrays:
        """Two forward passes."""
        masks = (with_rim(self.concept), with_rim(self.region))
        pasted = (np.where(mask[..., None], self.donor.frames, self.clip.frames) for mask in masks)
        return {"logits": logits_of(model, pasted, finite=False)}

    def read(self, stored: Arrays) -> np.ndarray:
        """The logits."""
        return stored["logits"]
