"""Take one test clip apart: what the network says when concepts of it are hidden, alone and together.

A reader of the report can then switch concepts on and off and see what was measured, not what a sum predicts.
Letters: K concepts, C classes, n concepts that can be switched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.model import VideoModel, logits_of
from voxplain.perturb import FILLS, base_clip, hide
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["ClipExploration", "ExploredClip"]


@dataclass(frozen=True, eq=False)
class ExploredClip:
    """A test clip and the network's logits with concepts of it hidden; all float32.

    ``place`` its index among the evaluated videos; ``fill`` and ``mean_colour`` (uint8 [3]) say what hidden voxels
    show; ``unmodified`` and ``blank`` [C]; ``hidden`` [K,C], each concept
    hidden alone, NaN where the clip lacks it; ``switches`` int64 [n], concepts that can be switched, best first;
    ``switched`` [2^n,C], where bit i of the row says that switches[i] is hidden.
    """

    clip: Clip
    supervoxels: Supervoxels
    assigned: np.ndarray
    place: int
    fill: str
    mean_colour: np.ndarray
    unmodified: np.ndarray
    blank: np.ndarray
    hidden: np.ndarray
    switches: np.ndarray
    switched: np.ndarray

    def __post_init__(self) -> None:
        """Check that the shapes go together."""
        c = len(self.unmodified)
        got = (self.blank.shape, self.hidden.shape[1:], self.switched.shape, self.assigned.shape)
        if got != ((c,), (c,), (2 ** len(self.switches), c), (self.supervoxels.count,)):
            raise DataError(f"expected logits over {c} classes for every switch position, got shapes {got}")

    @property
    def base(self) -> np.ndarray:
        """What hidden voxels show, uint8 [T,H,W,3]."""
        return base_clip(self.clip.frames, self.fill, self.mean_colour)

    def __repr__(self) -> str:
        """What was measured, not data."""
        return f"ExploredClip({self.clip.source!r}, concepts={len(self.hidden)}, switches={len(self.switches)})"


@dataclass(frozen=True)
class ClipExploration:
    """Measure one test clip for the report's clip explorer; forwards: 2 + concepts present + 2^switches."""

    clips: int = 3  # test clips of a class: from the best recognised to the worst, evenly
    switches: int = 5  # concepts that can be switched on and off in any combination

    def __post_init__(self) -> None:
        """Refuse counts that cost without end or mean nothing."""
        if self.clips < 0 or not 0 <= self.switches <= 10:
            raise DataError(
                f"expected 0 or more clips and from 0 to 10 switches to explore, got {self.clips} and {self.switches}; "
                "each switch doubles the forwards"
            )

    def choose(self, margin: np.ndarray) -> list[int]:
        """Indices of the clips to explore of V by their margin [V], the best recognised first."""
        ranked = np.argsort(-margin, kind="stable")
        places = np.unique(np.linspace(0, len(ranked) - 1, min(self.clips, len(ranked))).round().astype(int))
        return [int(ranked[p]) for p in places]

    def __call__(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        assigned: np.ndarray,
        ranked: np.ndarray,
        *,
        fill: str,
        place: int,
    ) -> ExploredClip:
        """Explore a clip of the network's grid; ``ranked`` concept indices, best first; ``fill`` an entry of FILLS."""
        if fill not in FILLS:
            raise DataError(f"expected a fill of {', '.join(FILLS)}, got {fill!r}; choose one")
        present = [int(k) for k in ranked if (assigned == k).any()]
        masks = {k: concept_mask(supervoxels, assigned, k) for k in present}
        switches = present[: self.switches]
        base = base_clip(clip.frames, fill, model.mean_colour)

        def pictures() -> Iterator[np.ndarray]:
            yield base
            for mask in masks.values():
                yield hide(clip.frames, mask, base)
            for row in range(2 ** len(switches)):
                gone = np.zeros(clip.frames.shape[:3], bool)
                for i, k in enumerate(switches):
                    if row >> i & 1:
                        gone |= masks[k]
                yield hide(clip.frames, gone, base)

        logits = logits_of(model, pictures())
        hidden = np.full((len(ranked), logits.shape[1]), np.nan, np.float32)
        hidden[present] = logits[1 : 1 + len(present)]
        switched = logits[1 + len(present) :]
        return ExploredClip(
            clip,
            supervoxels,
            assigned,
            place,
            fill,
            model.mean_colour,
            switched[0],
            logits[0],
            hidden,
            np.array(switches, np.int64),
            switched,
        )
