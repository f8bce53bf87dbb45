"""Direct effect of a concept: change of the logits when its supervoxels are hidden in the class's clips.

Logits are kept, so the drop of any objective, for any class, needs no further forward pass. It is an intervention on
the input in the sense of CaCE (Goyal et al. 2019). Letters: M clips, K concepts, C classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from voxplain.errors import DataError
from voxplain.model import OBJECTIVES, Objective, VideoModel, logits_of
from voxplain.perturb import FILLS, base_clip, hide, reveal
from voxplain.segment import Supervoxels, volume_matched
from voxplain.video import Clip

__all__ = ["Effects", "HideConcepts", "concept_mask", "join_effects"]


@dataclass(frozen=True, eq=False)
class Effects:
    """Logits of M clips, unmodified and with each of K concepts hidden; NaN where a clip lacks the concept.

    Parameters
    ----------
    base : ndarray, float32 [M,C]
        Unmodified clips.
    hidden : ndarray, float32 [M,K,C]
        The concept hidden.
    control : ndarray, float32 [M,K,C]
        Random supervoxels of the concept's volume hidden, mean over draws.
    alone : ndarray, float32 [M,K,C]
        Only the concept shown.
    blank : ndarray, float32 [M,C]
        Nothing shown.
    volume : ndarray, float32 [M,K]
        Share of the clip's voxels that the concept covers, 0 to 1.
    """

    base: np.ndarray
    hidden: np.ndarray
    control: np.ndarray
    alone: np.ndarray
    blank: np.ndarray
    volume: np.ndarray

    def __post_init__(self) -> None:
        """Check that the shapes go together."""
        m, k, c = self.hidden.shape
        shapes = [self.base.shape, self.control.shape, self.alone.shape, self.blank.shape, self.volume.shape]
        if shapes != [(m, c), (m, k, c), (m, k, c), (m, c), (m, k)]:
            raise DataError(f"expected base [M,C], control and alone [M,K,C], blank [M,C], volume [M,K], got {shapes}")

    def __repr__(self) -> str:
        """Shapes, not data."""
        return "Effects(clips={}, concepts={}, classes={})".format(*self.hidden.shape)

    def _objective(self, z: np.ndarray, target: int, objective: Objective) -> np.ndarray:
        flat = torch.from_numpy(np.ascontiguousarray(z.reshape(-1, z.shape[-1]))).double()
        return OBJECTIVES[objective](flat, target).numpy().reshape(z.shape[:-1])

    def drop(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Loss of the objective when the concept is hidden, [M,K]; NaN where it is absent."""
        base = self._objective(self.base, target, objective)
        return base[:, None] - self._objective(self.hidden, target, objective)

    def control_drop(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Loss when random supervoxels of the same volume are hidden, [M,K]."""
        base = self._objective(self.base, target, objective)
        return base[:, None] - self._objective(self.control, target, objective)

    def gain_alone(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Gain over the blank clip when only the concept is shown, [M,K]."""
        blank = self._objective(self.blank, target, objective)
        return self._objective(self.alone, target, objective) - blank[:, None]


def concept_mask(supervoxels: Supervoxels, assigned: np.ndarray, concept: int) -> np.ndarray:
    """Union of the supervoxels assigned to a concept, bool [T,H,W]; ``assigned`` int64 [N] holds concept indices."""
    return supervoxels.masks(np.flatnonzero(assigned == concept))


@dataclass(frozen=True)
class HideConcepts:
    """Measure the direct effect of every concept in one clip; `join_effects` puts the records of clips together.

    Parameters
    ----------
    fill : str
        Fill of hidden voxels: mean, grey, black or blur; evidence for blur in docs/defaults.md.
    controls : int
        Random regions for each clip and concept; their logits are averaged.
    seed : int
        Seed of the random regions.
    """

    fill: str = "blur"
    controls: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the fill and that there is a control."""
        if self.fill not in FILLS or self.controls < 1:
            raise DataError(
                f"expected a fill of {', '.join(FILLS)} and 1 control or more, got {self.fill!r} and {self.controls}; "
                "correct them"
            )

    def __call__(
        self,
        model: VideoModel,
        clip: Clip,
        supervoxels: Supervoxels,
        assigned: np.ndarray,
        concepts: int,
        *,
        place: int = 0,
    ) -> Effects:
        """Effects in one clip.

        Parameters
        ----------
        model : VideoModel
        clip : Clip
            Of the network's length.
        supervoxels : Supervoxels
        assigned : ndarray, int64 [N]
            Concept of each supervoxel, −1 for none.
        concepts : int
            K.
        place : int
            Index of the clip; the random regions of different clips differ.

        Returns
        -------
        Effects
            With M = 1, from 2 + K·(2 + controls) forward passes.
        """
        base = base_clip(clip.frames, self.fill, model.mean_colour)
        rng = np.random.default_rng((self.seed, place))
        masks = {k: concept_mask(supervoxels, assigned, k) for k in range(concepts) if (assigned == k).any()}
        logits = logits_of(model, self._pictures(clip.frames, base, masks, supervoxels, rng))
        shape = (concepts, logits.shape[1])
        hidden, control, alone = (np.full(shape, np.nan, np.float32) for _ in range(3))
        volume = np.zeros(concepts, np.float32)
        rows = logits[2:].reshape(len(masks), 2 + self.controls, logits.shape[1])
        for row, (k, mask) in zip(rows, masks.items(), strict=True):
            hidden[k], alone[k], control[k] = row[0], row[1], row[2:].mean(0)
            volume[k] = mask.mean()
        return Effects(logits[:1], hidden[None], control[None], alone[None], logits[1:2], volume[None])

    def _pictures(
        self,
        frames: np.ndarray,
        base: np.ndarray,
        masks: dict[int, np.ndarray],
        sv: Supervoxels,
        rng: np.random.Generator,
    ) -> Iterator[np.ndarray]:
        yield frames
        yield base
        for mask in masks.values():
            yield hide(frames, mask, base)
            yield reveal(frames, mask, base)
            for _ in range(self.controls):
                yield hide(frames, volume_matched(rng, sv, int(mask.sum())), base)


def join_effects(parts: Sequence[Effects]) -> Effects:
    """The effects of several clips as one record, in their order."""
    names = [f.name for f in fields(Effects)]
    return Effects(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
