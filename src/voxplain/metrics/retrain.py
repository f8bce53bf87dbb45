"""Retraining: does a network learn the classes from clips without (ROAR), or with only (KAR), what a map values?

Hooker et al. 2019 (arXiv 1806.10758); in video arXiv 2005.00375, whose networks start from Kinetics weights and
whose base is black. Letters: N clips, R ratios.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, overload

import numpy as np
from torch import nn

from voxplain.attribution.call import AttributionMethod
from voxplain.errors import DataError
from voxplain.metrics.units import Importance, Unit, ranked_units
from voxplain.model import VideoModel
from voxplain.perturb import base_clip, hide
from voxplain.train import EpochLog, Recipe, TrainingVideos, train
from voxplain.video import Clip, Geometry

__all__ = ["MaskedFrames", "Retrain", "Retrained", "train_on_frames"]

STUDY = Recipe(epochs=20, batch=48, lr=0.001, lr_step=20, flip=0.0)  # the study's; it starts from trained weights


@dataclass(frozen=True)
class Retrained:
    """Accuracies of networks trained on masked clips.

    Parameters
    ----------
    ratios : tuple of float
        Shares of the units.
    accuracy : tuple of float
        Of the network trained at each ratio, on test clips masked alike.
    value : float
        Mean accuracy over the ratios that hide something; to be compared with that of the random map.
    chance : float
        1/K.
    """

    ratios: tuple[float, ...]
    accuracy: tuple[float, ...]
    value: float
    chance: float


@dataclass(frozen=True, eq=False)
class MaskedFrames(Sequence[np.ndarray]):
    """N clips that are masked when they are asked for.

    Parameters
    ----------
    clips : tuple of Clip
        N clips.
    first : tuple[np.ndarray, ...]
        For each clip the number of the first ratio whose top has the voxel, uint8 [T,H,W].
    ratio : int
        Number of the ratio.
    keep : bool
        False hides the voxels of this ratio and those before, True hides the others.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    mean_colour : np.ndarray
        uint8 [3].
    """

    clips: tuple[Clip, ...]
    first: tuple[np.ndarray, ...]
    ratio: int
    keep: bool
    fill: str
    mean_colour: np.ndarray

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "MaskedFrames": ...
    def __getitem__(self, index: "int | slice") -> "np.ndarray | MaskedFrames":
        """The masked frames of one clip, uint8 [T,H,W,3]."""
        if isinstance(index, slice):
            return replace(self, clips=self.clips[index], first=self.first[index])
        frames, top = self.clips[index].frames, self.first[index] <= self.ratio
        return hide(frames, ~top if self.keep else top, base_clip(frames, self.fill, self.mean_colour))

    def __iter__(self) -> Iterator[np.ndarray]:
        """One clip at a time."""
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True)
class Retrain:
    """ROAR and KAR: accuracy of networks trained on clips without, or with only, what a map values.

    Called as (model, fresh, training, test, method): ``fresh`` builds a network with the weights that training starts
    from; ``model`` gives the maps, for each clip's own label, which the shape of what they hide may reveal, and is not
    trained. Costs a map a clip and a training a ratio; masks are computed when a clip is used.

    Parameters
    ----------
    keep : bool
        False, ROAR: the top r of the units is hidden, and lower is better; True, KAR: all but the top r is hidden, and
        higher is better.
    ratios : tuple of float
        r; the video attribution study's KAR has 0.05 in place of 0.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    importance : {"mean", "sum"}
        Value of a unit: mean or sum over its voxels.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    smooth : float
        Standard deviation of a Gaussian over each frame of the maps, in frame heights.
    recipe : Recipe
        Of the trainings; the study's, which starts from trained weights.
    seed : int
        Of ties.

    References
    ----------
    Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks, arXiv 1806.10758
    Li et al. 2020, arXiv 2005.00375 (video; from Kinetics weights, baseline black)

    Examples
    --------
    >>> Retrain(keep=True).higher_is_better
    True
    """

    keep: bool = False
    ratios: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    unit: Unit = "voxel"
    importance: Importance = "mean"
    fill: str = "black"
    smooth: float = 0.0
    recipe: Recipe = STUDY
    seed: int = 0

    needs: ClassVar[Literal["training"]] = "training"

    def __post_init__(self) -> None:
        """Check the ratios before any work is done."""
        if not 0 < len(self.ratios) < 256 or min(self.ratios) < 0 or max(self.ratios) > 1:
            raise DataError(f"expected ratios from 0 to 1, got {self.ratios}; correct them")

    @property
    def higher_is_better(self) -> bool:
        """True when the best is kept, False when it is hidden."""
        return self.keep

    def __call__(
        self,
        model: VideoModel,
        fresh: Callable[[], nn.Module],
        training: Sequence[Clip],
        test: Sequence[Clip],
        method: AttributionMethod,
        advance: Callable[[], object] = lambda: None,
    ) -> Retrained:
        """Train R networks. Raises DataError for clips without a label."""
        ratios = tuple(sorted(self.ratios))
        top = self.first_ratios(model, training, method), self.first_ratios(model, test, method)
        found = [
            float(
                np.mean(
                    self.right(
                        model,
                        fresh(),
                        self.masked(model, training, top[0], r),
                        self.masked(model, test, top[1], r),
                        advance,
                    )
                )
            )
            for r in ratios
        ]
        changed = [a for r, a in zip(ratios, found, strict=True) if not self.hides_nothing(r)]
        value = float(np.mean(changed)) if changed else float("nan")
        return Retrained(ratios, tuple(found), value, 1 / len({c.label for c in training}))

    def hides_nothing(self, ratio: float) -> bool:
        """Whether clips at this ratio are the clips as they are, whatever the map."""
        return ratio == (1.0 if self.keep else 0.0)

    def first_ratios(
        self, model: VideoModel, clips: Sequence[Clip], method: AttributionMethod
    ) -> tuple[np.ndarray, ...]:
        """For each clip, uint8 [T,H,W]: the number of the first ratio, ascending, whose top has the voxel; R: none."""
        ratios = sorted(self.ratios)
        labels = _labels(clips)
        found: list[np.ndarray] = []
        for start in range(0, len(clips), model.pass_size):
            part = slice(start, start + model.pass_size)
            for clip, a in zip(clips[part], method(model, clips[part], labels[part]), strict=True):
                units, rank = ranked_units(
                    clip, a.values, self.unit, self.importance, smooth=self.smooth, ordered=1.0, seed=self.seed
                )
                found.append(np.searchsorted(ratios, rank / len(rank), side="right").astype(np.uint8)[units])
        return tuple(found)

    def masked(
        self, model: VideoModel, clips: Sequence[Clip], first: tuple[np.ndarray, ...] | None, ratio: float
    ) -> TrainingVideos:
        """The clips as they are trained on at a ratio; ``first`` None: as they are, where the ratio hides nothing."""
        labels = np.array(_labels(clips), np.int64)
        if self.hides_nothing(ratio) or first is None:
            return TrainingVideos([c.frames for c in clips], labels)
        number = sorted(self.ratios).index(ratio)
        frames = MaskedFrames(tuple(clips), first, number, self.keep, self.fill, model.mean_colour)
        return TrainingVideos(frames, labels)

    def right(
        self,
        model: VideoModel,
        net: nn.Module,
        training: TrainingVideos,
        test: TrainingVideos,
        advance: Callable[[], object] = lambda: None,
    ) -> np.ndarray:
        """Train ``net`` in place by the recipe, then bool [V]: which of the test clips it gets right."""
        learner = train_on_frames(model, net, training, self.recipe, advance=advance)
        found = []
        for start in range(0, len(test.frames), model.pass_size):
            part = slice(start, start + model.pass_size)
            z = learner.logits(np.stack(list(test.frames[part])))
            found.append(z.argmax(1).cpu().numpy() == test.labels[part])
        return np.concatenate(found)


def _labels(clips: Sequence[Clip]) -> list[int]:
    labels = [c.label for c in clips if c.label is not None]
    if not clips or len(labels) != len(clips):
        raise DataError(f"expected clips with labels to retrain on, got {len(labels)} for {len(clips)} clips")
    return labels


def train_on_frames(
    model: VideoModel,
    net: nn.Module,
    videos: TrainingVideos,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    advance: Callable[[], object] = lambda: None,
    record: Callable[[list[EpochLog]], object] = lambda logs: None,
) -> VideoModel:
    """The model with another network, trained on clips that have the model's grid already: one clip a video.

    Raises DataError for a recipe with a stride: there are no frames between those of a clip.
    """
    if recipe.stride != 1:
        raise DataError(
            f"expected a recipe of stride 1 for clips that are already cut, got {recipe.stride}; leave it out"
        )
    learner = replace(model, net=net.to(model.device))
    geometry = Geometry.squash(*model.grid[1:])  # clips have the network's size: masks must not be resampled
    train(learner, videos, geometry=geometry, recipe=recipe, checkpoint=checkpoint, advance=advance, on_log=record)
    return learner
