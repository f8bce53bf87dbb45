"""Direct effect of a concept: change of the logits when its supervoxels are hidden in the class's clips.

Logits are kept, so the drop of any objective, for any class, needs no further forward pass. It is an intervention on
the input in the sense of CaCE (Goyal et al. 2019). Letters: M clips, K concepts, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch

from voxplain.errors import DataError
from voxplain.model import OBJECTIVES, Objective, VideoModel, logits_of
from voxplain.perturb import FILLS, base_clip, hide, reveal
from voxplain.record_html import fields_table
from voxplain.segment import Supervoxels, volume_matched
from voxplain.video import Clip

__all__ = ["ARRAYS", "ClassClips", "Effects", "HideConcepts", "concept_mask", "join_effects"]


ARRAYS = ("base", "hidden", "control", "alone", "blank", "volume")  # of `Effects`, what `HideConcepts` measures


@dataclass(frozen=True, eq=False)
class Effects:
    """Logits of M clips, unmodified and with each of K concepts hidden; NaN where a clip lacks the concept.

    With F fills, a drop is what the fills agree on: that with the fill by which the concept's mean drop is smallest.
    A concept may be measured in some clips, and with some fills, only: NaN where ``volume`` is above 0 stands for
    "not measured".

    Parameters
    ----------
    base : ndarray, float32 [M,C]
        Unmodified clips.
    hidden : ndarray, float32 [M,K,C] or [F,M,K,C]
        The concept hidden.
    control : ndarray, float32, shape of ``hidden``
        Random supervoxels of the concept's volume hidden, mean over draws.
    alone : ndarray, float32, shape of ``hidden``
        Only the concept shown.
    blank : ndarray, float32 [M,C] or [F,M,C]
        Nothing shown.
    volume : ndarray, float32 [M,K]
        Share of the clip's voxels that the concept covers, 0 to 1.
    fills : tuple of str
        What replaced hidden voxels; names of the first axis where there is one.
    clips : ndarray, int64 [M], optional
        Which clips of the class the rows are; by default the first M.
    variants : tuple of (str, tuple of int)
        Further modifications: a kind of `voxplain.concepts.variants.KINDS` and the concepts that it is applied to.
    variant_logits : ndarray, float32 [F,M,V,C], optional
        Logits of the V variants; NaN where not measured.
    forwards : int
        Forward passes of modified clips that the measurement took; 0 where they were not counted.
    """

    base: np.ndarray
    hidden: np.ndarray
    control: np.ndarray
    alone: np.ndarray
    blank: np.ndarray
    volume: np.ndarray
    fills: tuple[str, ...] = ()
    clips: np.ndarray | None = None
    variants: tuple[tuple[str, tuple[int, ...]], ...] = ()
    variant_logits: np.ndarray | None = None
    forwards: int = 0

    _repr_html_ = fields_table

    def __post_init__(self) -> None:
        """Check that the shapes go together."""
        *fills, m, k, c = self.hidden.shape
        shapes = [self.base.shape, self.control.shape, self.alone.shape, self.blank.shape, self.volume.shape]
        if shapes != [(m, c), (*fills, m, k, c), (*fills, m, k, c), (*fills, m, c), (m, k)]:
            raise DataError(f"expected base [M,C], control and alone [M,K,C], blank [M,C], volume [M,K], got {shapes}")
        if (fills and len(self.fills) != fills[0]) or (self.clips is not None and self.clips.shape != (m,)):
            raise DataError(f"expected a name for each of {fills} fills and clips [M], got {self.fills}, {self.clips}")
        v = self.variant_logits
        if v is not None and v.shape != (*fills, m, len(self.variants), c):
            raise DataError(f"expected variant_logits [F,M,V,C] of {len(self.variants)} variants, got {v.shape}")

    def __repr__(self) -> str:
        """Shapes, not data."""
        return "Effects(clips={}, concepts={}, classes={})".format(*self.hidden.shape[-3:])

    @property
    def measured(self) -> np.ndarray:
        """Whether hiding was measured with a fill, or is 0 because the clip lacks the concept, bool [M,K]."""
        hidden = self.hidden.reshape(-1, *self.hidden.shape[-3:])
        return np.asarray((self.volume == 0) | ~np.isnan(hidden).any(3).all(0))

    def objective(self, z: np.ndarray, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """The objective of logits [...,C], float64 [...]."""
        flat = torch.from_numpy(np.ascontiguousarray(z.reshape(-1, z.shape[-1]))).double()
        return OBJECTIVES[objective](flat, target).numpy().reshape(z.shape[:-1])

    def drop(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Loss of the objective when the concept is hidden, [M,K]; NaN where it is absent or not measured."""
        return self._agreed(self.drop_by_fill(target, objective), target, objective)

    def drop_by_fill(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """The drop with each fill, [F,M,K]; F = 1 where only one was used."""
        base = self.objective(self.base, target, objective)
        drop: np.ndarray = base[:, None] - self.objective(self.hidden, target, objective)
        return drop.reshape(-1, *drop.shape[-2:])

    def variant(self, kind: str, concepts: tuple[int, ...]) -> np.ndarray:
        """Logits of one modification of every clip, float32 [F,M,C]; NaN where not measured.

        Parameters
        ----------
        kind : str
            A kind of `voxplain.concepts.variants.KINDS`.
        concepts : tuple of int
            In increasing order; with none the unmodified clip, or with "alone" the blank one.
        """
        m, k, c = self.hidden.shape[-3:]
        if not concepts:
            blank = self.blank.reshape(-1, m, c)
            return blank if kind == "alone" else np.broadcast_to(self.base, blank.shape)
        if len(concepts) == 1 and kind in ("hidden", "control", "alone"):
            return np.asarray(getattr(self, kind).reshape(-1, m, k, c)[:, :, concepts[0]])
        fills = self.hidden.size // (m * k * c)
        if self.variant_logits is None or (kind, concepts) not in self.variants:
            return np.full((fills, m, c), np.nan, np.float32)
        logits = self.variant_logits.reshape(fills, m, len(self.variants), c)
        return logits[:, :, self.variants.index((kind, concepts))]

    def mean_drops(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Mean drop with each fill, [F,K], over the clips in which the concept was hidden with every fill.

        A clip that lacks the concept counts as 0; NaN where there is no such clip.
        """
        drop = np.where(self.volume > 0, self.drop_by_fill(target, objective), 0.0)
        every = ~np.isnan(drop).any(0)
        count = np.maximum(every.sum(0), 1)
        return np.asarray(np.where(every.any(0), np.where(every, drop, 0.0).sum(1) / count, np.nan))

    def fill_of(self, concepts: Sequence[int], target: int, objective: Objective = "log_odds") -> int:
        """Index of the fill with which concepts cost least: that of the smallest sum of their mean drops."""
        return int(self.mean_drops(target, objective)[:, list(concepts)].sum(1).argmin())

    def control_drop(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Loss when random supervoxels of the same volume are hidden, [M,K]."""
        base = self.objective(self.base, target, objective)
        lost = base[:, None] - self.objective(self.control, target, objective)
        return self._agreed(lost, target, objective)

    def gain_alone(self, target: int, objective: Objective = "log_odds") -> np.ndarray:
        """Gain over the blank clip when only the concept is shown, [M,K]."""
        blank = self.objective(self.blank, target, objective)
        return self._agreed(self.objective(self.alone, target, objective) - blank[..., None], target, objective)

    def _agreed(self, values: np.ndarray, target: int, objective: Objective) -> np.ndarray:
        """Each concept's values [F,M,K] or [M,K] with the fill by which it costs least, [M,K]."""
        values = values.reshape(-1, *values.shape[-2:])
        if len(values) == 1:
            return np.asarray(values[0])
        fills = self.mean_drops(target, objective).argmin(0)
        return np.asarray(values[fills, :, np.arange(len(fills))].T)


def concept_mask(supervoxels: Supervoxels, assigned: np.ndarray, concept: int) -> np.ndarray:
    """Union of the supervoxels assigned to a concept, bool [T,H,W]; ``assigned`` int64 [N] holds concept indices."""
    return supervoxels.masks(np.flatnonzero(assigned == concept))


class ClassClips(Protocol):
    """The M clips of a class with their concepts, as a method of effects needs them; `voxplain.explain` has one."""

    def in_each(self, method: "HideConcepts") -> list[Effects]:
        """The effects that a method measures in every clip."""

    def volume(self) -> np.ndarray:
        """Share of each clip's voxels that each concept covers, float32 [M,K]; 0 where the clip lacks it."""

    def measure(
        self,
        title: str,
        asked: Mapping[int, Sequence[tuple[str, tuple[int, ...]]]],
        *,
        fills: tuple[str, ...],
        seed: int,
        shared: bool,
    ) -> Mapping[int, np.ndarray]:
        """Logits float32 [F,V,C] of V variants of some clips, by clip.

        ``title`` is for progress. ``shared``: the shards of a run divide the clips, and each waits for the others.
        """


@dataclass(frozen=True)
class HideConcepts:
    """Measure the direct effect of every concept in one clip; `join_effects` puts the records of clips together.

    Parameters
    ----------
    fill : str
        Fill of hidden voxels: mean, grey, black, blur or median; evidence for blur in docs/defaults.md.
    controls : int
        Random regions for each clip and concept; their logits are averaged.
    seed : int
        Seed of the random regions.
    """

    fill: str = "blur"
    controls: int = 1
    seed: int = 0

    top: ClassVar[int] = 0  # concepts of which details are measured

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
        logits = logits_of(model, self._pictures(clip.frames, base, masks, supervoxels, rng), finite=False)
        shape = (concepts, logits.shape[1])
        hidden, control, alone = (np.full(shape, np.nan, np.float32) for _ in range(3))
        volume = np.zeros(concepts, np.float32)
        rows = logits[2:].reshape(len(masks), 2 + self.controls, logits.shape[1])
        for row, (k, mask) in zip(rows, masks.items(), strict=True):
            hidden[k], alone[k], control[k] = row[0], row[1], row[2:].mean(0)
            volume[k] = mask.mean()
        return Effects(logits[:1], hidden[None], control[None], alone[None], logits[1:2], volume[None])

    @property
    def fills(self) -> tuple[str, ...]:
        """The fill, as methods with several name theirs."""
        return (self.fill,)

    def forwards(self, clips: int, concepts: int) -> int:
        """Forward passes for a class in whose clips all concepts are."""
        return clips * (2 + concepts * (2 + self.controls))

    def of_class(self, clips: ClassClips, target: int, kind: str = "drop") -> Effects:
        """Effects in all clips of a class, whatever the target and the kind of effect that ranks."""
        return join_effects(clips.in_each(self))

    def details(
        self,
        clips: ClassClips,
        effects: Effects,
        target: int,
        ranked: Sequence[int],
        significant: Sequence[int],
        groups: Sequence[tuple[int, ...]] = (),
    ) -> Effects:
        """The effects as they are: this method measures no more."""
        return effects

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
    base, hidden, control, alone, blank, volume = (np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS)
    return Effects(base, hidden, control, alone, blank, volume)
