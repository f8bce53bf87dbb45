"""Insertion with several contents of the hidden voxels, among them those of other clips."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.curves import curve, unit_steps
from voxplain.errors import DataError
from voxplain.metrics.call import map_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue
from voxplain.metrics.units import Unit, ranked_units
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["InfilledInsertion"]


@dataclass(frozen=True)
class InfilledInsertion:
    """Infilled insertion: mean insertion area over baselines, which may be the voxels of other clips.

    Higher is better. One baseline decides which maps insert well: a black ground makes every dark place unimportant.
    The voxels of another clip at the same places keep the statistics of the data, but may show evidence of their own;
    their class should be another. ``details``: areas, one for each baseline in the order ``fills``, ``others``; spread,
    the greatest of them less the least.

    Parameters
    ----------
    fills : tuple of str
        Baselines: entries of `FILLS`.
    others : tuple of uint8 [T,H,W,3]
        Frames of other clips, each a baseline.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    steps : int
        Of each curve.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of ties.

    References
    ----------
    Petsiuk, Das and Saenko 2018, RISE, arXiv 1806.07421 (insertion)
    Sturmfels, Lundberg and Lee 2020, Visualizing the impact of feature attribution baselines, Distill

    Examples
    --------
    >>> len(InfilledInsertion(fills=("mean", "blur"), steps=8)(model, clip, heat).details["areas"])
    2
    """

    fills: tuple[str, ...] = ("mean", "black", "blur")
    others: tuple[np.ndarray, ...] = ()
    unit: Unit = "voxel"
    steps: int = 32
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check that there is a baseline."""
        if self.steps < 1 or not (self.fills or self.others):
            raise DataError(
                f"expected 1 step or more and a baseline or more, got {self.steps} and fills {self.fills}; correct them"
            )

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        for other in self.others:
            if other.shape != clip.frames.shape or other.dtype != np.uint8:
                raise DataError(
                    f"expected others of uint8 {clip.frames.shape}, got {other.dtype} {other.shape}; read them with "
                    "the model's own reader"
                )
        labels, rank = ranked_units(
            clip, attribution.values, self.unit, "mean", smooth=0.0, ordered=1.0, seed=self.seed
        )
        steps = min(self.steps, len(rank))
        when = unit_steps(rank, steps)[labels]
        areas = [
            curve(
                when,
                steps,
                lambda shown, base=base: masked_scores(  # type: ignore[misc]
                    model, clip, shown, base, attribution.column, self.objective
                ),
            ).auc
            for base in (*self.fills, *self.others)
        ]
        return MetricValue(float(np.mean(areas)), None, {"areas": areas, "spread": max(areas) - min(areas)})
