"""Logits of a test clip with its concepts hidden, one by one and in every combination of the first few.

The report's clip explorer shows them: every combination is measured, none is a sum of single effects. Letters: K
concepts, C classes, n concepts that can be switched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import concept_mask
from voxplain.errors import DataError
from voxplain.model import VideoModel, logits_of
from voxplain.perturb import FILLS, base_clip, hide
from voxplain.record_html import fields_table
from voxplain.segment import Supervoxels
from voxplain.video import Clip

__all__ = ["ClipExploration", "ExploredClip"]


@dataclass(frozen=True, eq=False)
class ExploredClip:
    """A test clip and the network's logits with its concepts hidden.

    Parameters
    ----------
    clip : Clip
    supervoxels : Supervoxels
    assigned : ndarray, int64 [N]
        Concept of each supervoxel.
    place : int
        Index among the evaluated videos.
    fill : str
        Fill of hidden voxels, an entry of `FILLS`.
    mean_colour : ndarray, uint8 [3]
        The network's mean colour, for the fill "mean".
    unmodified, blank : ndarray, float32 [C]
        Logits of the whole clip, and with everything hidden.
    hidden : ndarray, float32 [K,C]
        Each concept hidden alone; NaN where the clip lacks it.
    switches : ndarray, int64 [n]
        Concepts that can be switched, best first.
    switched : ndarray, float32 [2^n,C]
        In row r, switches[i] is hidden where bit i of r is 1.
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

    _repr_html_ = fields_table

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
    """Measure one test clip for the report's clip explorer.

    Parameters
    ----------
    clips : int
        Test clips of a class, evenly spread over the order of their log-odds.
    switches : int
        Concepts that can be switched on and off in any combination; each doubles the forward passes, which are
        1 + concepts present + 2^switches.
    """

    clips: int = 3
    switches: int = 5

    def __post_init__(self) -> None:
        """Check the ranges: 10 switches are 1,024 forward passes a clip."""
        if self.clips < 0 or not 0 <= self.switches <= 10:
            raise DataError(
                f"expected 0 or more clips and from 0 to 10 switches to explore, got {self.clips} and {self.switches}; "
                "each switch doubles the forwards"
            )

    def choose(self, log_odds: np.ndarray) -> list[int]:
        """Indices of the clips to explore, by the log-odds [V] of their class, the highest first.

        Examples
        --------
        >>> ClipExploration(clips=3).choose(np.array([0.0, 5.0, -3.0, 2.0, 1.0]))
        [1, 4, 2]
        """
        ranked = np.argsort(-log_odds, kind="stable")
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
        """Explore a clip of the network's grid.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
        supervoxels : Supervoxels
        assigned : ndarray, int64 [N]
            Concept of each supervoxel, −1 for none.
        ranked : ndarray of int
            Concept indices, best first.
        fill : str
            Fill of hidden voxels, an entry of `FILLS`.
        place : int
            Index among the evaluated videos.

        Raises
        ------
        DataError
            For an unknown fill.
        """
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
                hidden_mask = np.zeros(clip.frames.shape[:3], bool)
                for i, k in enumerate(switches):
                    if row >> i & 1:
                        hidden_mask |= masks[k]
                yield hide(clip.frames, hidden_mask, base)

        logits = logits_of(model, pictures(), finite=False)
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
