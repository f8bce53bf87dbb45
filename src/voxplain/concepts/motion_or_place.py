"""Whether a concept matters by its motion, its appearance or its place: its voxels held still, shuffled or moved."""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.effect import Effects
from voxplain.concepts.joint_effects import loss, ratio_interval
from voxplain.concepts.variants import CHANGES
from voxplain.model import Objective

__all__ = ["MATTERS_BY", "MotionOrPlace", "motion_or_place"]

Share = tuple[float, float, float]  # value and interval
MATTERS_BY = ("motion", "appearance", "place", "unclear")
# On planted networks motion classes lose 0.27 to 0.90 of the effect when held still, shape classes up to 0.20 but one.
_MOTION = 0.25
_PLACE = 0.5
_TRACES = 1.5


@dataclass(frozen=True)
class MotionOrPlace:
    """Shares of a concept's effect that are lost when its voxels are changed and not hidden.

    Each share is the mean loss of the objective by the change over the mean loss by hiding, with the ends of its 95 %
    interval over clips: 0, the change does no harm; 1, it costs as much as hiding.

    Parameters
    ----------
    concept : int
    frozen : (float, float, float)
        Held still in the place of one frame.
    shuffled : (float, float, float)
        Frames in a random order.
    moved : (float, float, float)
        Moved elsewhere in the picture.
    clips : int
        Clips measured.
    """

    concept: int
    frozen: Share
    shuffled: Share
    moved: Share
    clips: int

    @property
    def matters_by(self) -> str:
        """An entry of `MATTERS_BY`.

        "place" where moving costs at least half of the effect and more than holding still; else "motion" where holding
        still costs at least a quarter; both with an interval above 0. Else "appearance" where both intervals end below
        one half. Otherwise "unclear", and where a change costs more than one and a half times what hiding does: then
        it is the traces of the change that the network responds to.
        """
        (frozen, frozen_low, frozen_high), (moved, moved_low, moved_high) = self.frozen, self.moved
        if max(frozen, moved) > _TRACES:
            return "unclear"
        if moved >= _PLACE and moved_low > 0 and moved > frozen:
            return "place"
        if frozen >= _MOTION and frozen_low > 0:
            return "motion"
        return "appearance" if frozen_high < 0.5 and moved_high < 0.5 else "unclear"


def motion_or_place(
    effects: Effects, target: int, objective: Objective = "log_odds", *, seed: int = 0
) -> tuple[MotionOrPlace, ...]:
    """Shares of the effect that are lost by holding still, shuffling and moving, for every concept so measured.

    Parameters
    ----------
    effects : Effects
    target : int
        Class index.
    objective : str
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of MotionOrPlace
        In the order of the concepts; shares are NaN where hiding does not lower the objective.
    """
    found = []
    for k in sorted({concepts[0] for kind, concepts in effects.variants if kind in CHANGES}):
        fill = effects.fill_of((k,), target, objective)
        hidden, *changed = (loss(effects, kind, (k,), target, objective, fill=fill) for kind in ("hidden", *CHANGES))
        known = ~np.isnan(hidden + np.sum(changed, axis=0))
        rng = np.random.default_rng(seed)
        frozen, shuffled, moved = (ratio_interval(part[known], hidden[known], rng) for part in changed)
        found.append(MotionOrPlace(k, frozen, shuffled, moved, int(known.sum())))
    return tuple(found)
