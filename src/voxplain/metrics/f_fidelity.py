"""F-Fidelity: what random parts of the relevant and of the other voxels are worth, inside what a network has seen."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.errors import DataError
from voxplain.metrics.call import map_call
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.record import MetricValue, clip_rng
from voxplain.metrics.units import Unit, ranked_units
from voxplain.model import Objective, VideoModel
from voxplain.video import Clip

__all__ = ["FFidelity"]


@dataclass(frozen=True)
class FFidelity:
    """F-Fidelity: f(x without random parts of the rest) − f(x without as many random top units), mean over shares.

    Higher is better, chance level 0. Never more than the share ``limit`` of all units is hidden, and which ones is
    drawn at random, so that a network fine-tuned once on clips with up to that share of random units hidden has seen
    such clips; give that network as the model (`voxplain.benchmark.study.tuned_on_masks` makes it). On a network that
    has not seen hidden units it is comprehensiveness with small parts. ``details``: plus and minus, the drops without
    top units and without others, for each share.

    Parameters
    ----------
    shares : tuple of float
        How many of the units, most relevant first, count as the explanation.
    limit : float
        β, the largest share of the units that is hidden.
    part : float
        Of the explanation that is hidden, as long as it is no more than ``limit``.
    draws : int
        Random parts a share.
    unit : {"voxel", "block", "supervoxel", "frame"}
        What is ranked and changed as one: voxel, block (7×7 pixels at 112), supervoxel (256, split by frame) or frame.
    fill : str
        Baseline for what is hidden: an entry of `FILLS`.
    objective : str
        Class score f: an entry of `OBJECTIVES`.
    seed : int
        Of ties and parts.

    References
    ----------
    Zheng et al. 2024, F-Fidelity: a robust framework for faithfulness evaluation of explainable AI, arXiv 2410.02970

    Examples
    --------
    >>> FFidelity(shares=(0.1,), draws=2)(model, clip, heat).chance
    0.0
    """

    shares: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    limit: float = 0.1
    part: float = 0.5
    draws: int = 4
    unit: Unit = "block"
    fill: str = "mean"
    objective: Objective = "probability"
    seed: int = 0

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["map"]] = "map"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        shares = all(0 < s < 1 for s in (*self.shares, self.limit)) and 0 < self.part <= 1
        if not self.shares or not shares or self.draws < 1:
            raise DataError(f"expected shares, a limit and a part between 0 and 1, and 1 draw or more, got {self}")

    @map_call
    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        labels, rank = ranked_units(
            clip, attribution.values, self.unit, "mean", smooth=0.0, ordered=1.0, seed=self.seed
        )
        order, count = np.argsort(rank), len(rank)
        rng, hidden = clip_rng(clip, self.seed, 2), []
        for share in self.shares:
            top = max(1, round(share * count))
            size = max(1, min(round(self.part * top), round(self.limit * count), count - top))
            for _ in range(self.draws):
                hidden += [rng.choice(order[:top], size, replace=False), rng.choice(order[top:], size, replace=False)]
        shown = (np.isin(np.arange(count), units, invert=True)[labels] for units in [np.zeros(0, np.int64), *hidden])
        found = masked_scores(model, clip, shown, self.fill, attribution.column, self.objective)
        drops = (found[0] - found[1:]).reshape(len(self.shares), self.draws, 2).mean(1)
        details = {"plus": drops[:, 0].tolist(), "minus": drops[:, 1].tolist()}
        return MetricValue(float((drops[:, 0] - drops[:, 1]).mean()), 0.0, details)
