"""The search for extremal perturbations: masks of given areas, each found on its own, joined to one map a clip.

Letters: N clips, A areas, P problems (clip, area), solved one after the other, T×H×W the network's grid, H'×W' with the
margin of the mask generator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details
from voxplain.attribution.masks.blur_pyramid import Perturb, Perturbation, gaussian_blur, perturbation, pixels
from voxplain.attribution.masks.mask_descent import (
    REWARDS,
    Descent,
    Patience,
    Variant,
    check_field,
    check_probability,
    descend,
    network_loss,
    scaled,
)
from voxplain.attribution.masks.mask_generator import MaskGenerator, SmoothMask
from voxplain.attribution.passes import logits, recording, score

__all__ = ["AREA_WEIGHTS", "AreaWeights", "ExtremalSearch", "MaskSearch", "Regulariser", "check"]

AreaWeights = Literal["equal", "inverse"]
# From an area to the weight of its mask.
AREA_WEIGHTS: dict[str, Callable[[float], float]] = {"equal": lambda a: 1.0, "inverse": lambda a: 1 / a}

# From masks [P,T,H',W'], their areas and the iteration to what is added to the reward, [P].
Regulariser = Callable[[Tensor, Sequence[float], int], Tensor]


@dataclass(frozen=True)
class MaskSearch:
    """What `ExtremalPerturbation2D`, `ExtremalPerturbation3D` and `STEP` have in common; lengths in pixels at 112 rows.

    Parameters
    ----------
    levels : int
        Of the blur pyramid.
    blur : float
        σ of the strongest blur.
    reward_weight : float
        w; 100 for 2D-EP and 3D-EP in the authors' code.
    smooth : float
        σ of the Gaussian on each frame of the final map; 10 in the study.
    mask : SmoothMask
        How masks are made of parameters.
    learning_rate : float, optional
        By default 40 / iterations, at most 0.4; the video attribution study has 0.05, as here for 800.
    momentum : float
        Of the descent.
    dampening : float
        Share of each new gradient that is held back.
    patience : int
        Iterations without movement after which a mask is done; 0: run them all, as the study does.
    tolerance : float
        Mean change of the mask's parameters (0–1) that counts as no movement.
    weights : {"equal", "inverse"}
        Of the masks of several areas in the map: "equal", their sum, as in the study; "inverse", each divided by its
        area, so that a mask of half of the clip adds no more than one of a twentieth.
    """

    levels: int = 8
    blur: float = 20.0
    reward_weight: float = 1.0
    smooth: float = 5.0
    mask: SmoothMask = field(default_factory=SmoothMask)
    learning_rate: float | None = None
    momentum: float = 0.9
    dampening: float = 0.9
    patience: int = 0
    tolerance: float = 0.001
    weights: AreaWeights = "inverse"

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_field(self.weights in AREA_WEIGHTS, f"weights among {', '.join(AREA_WEIGHTS)}", self.weights)

    def descent(self, iterations: int) -> Descent:
        """The optimiser for that many iterations."""
        rate = min(0.4, 40 / iterations) if self.learning_rate is None else self.learning_rate
        return Descent(rate, self.momentum, self.dampening)


def check(areas: Sequence[float], variant: str, iterations: int) -> None:
    """Raise DataError on areas, a variant or iterations that cannot be."""
    check_field(len(areas) > 0 and all(0 < a < 1 for a in areas), "areas between 0 and 1, one or more", areas)
    check_field(variant in ("preserve", "delete", "dual"), "a variant of preserve, delete, dual", variant)
    check_field(iterations >= 1, "1 iteration or more", iterations)


@dataclass(frozen=True, eq=False)
class ExtremalSearch:
    """One call of one of the three methods, which differ in what they add to the reward."""

    batch: Batch
    variant: Variant
    perturbation: Perturbation
    iterations: int
    regulariser: Regulariser
    search: MaskSearch
    settled: int = 0  # the iteration from which the regulariser stays the same but for slow growth

    def maps(self, areas: Sequence[float]) -> tuple[Tensor, list[Details]]:
        """Maps [N,T,H,W]; details: for each quantity a list over areas.

        achieved_area is the mean of the mask inside the frame; the areas requested are shares of the frame with its
        margin, so that a mask inside the frame covers more of it: up to 1.43 times at 112². probability_kept is the
        target's with only the mask kept, probability_deleted with the mask taken away.
        """
        batch, (frames, rows, columns) = self.batch, self.batch.model.grid
        check_probability(batch.model)
        generator = self.search.mask.generator(rows, columns)
        maps, details = [], []
        with recording(batch.model.net):
            x = batch.x.float().clone()  # what a caller makes in inference mode can take part in no gradient
            for clip, target in zip(x.split(1), batch.targets, strict=True):
                perturb = perturbation(clip, self.perturbation, self.search.levels, self.search.blur)
                total = torch.zeros(1, frames, rows, columns, device=x.device)
                facts: dict[str, Any] = {"areas": list(areas)}
                for area in areas:
                    mask, own = self._one(perturb, target, area, generator)
                    total += AREA_WEIGHTS[self.search.weights](area) * mask
                    for name, value in own.items():
                        facts.setdefault(name, []).append(value)
                maps.append(scaled(gaussian_blur(total, pixels(self.search.smooth, rows))))
                details.append(facts)
        return torch.cat(maps), details

    def _one(self, perturb: Perturb, target: int, area: float, generator: MaskGenerator) -> tuple[Tensor, Details]:
        """The mask [1,T,H,W] of one clip and one area, and facts about it."""
        model = self.batch.model

        def loss(parameters: Tensor, _: Sequence[int], iteration: int) -> Tensor:
            masks = generator(parameters)
            reward = self._reward(perturb, generator.crop(masks), target)
            return self.search.reward_weight * reward + self.regulariser(masks, [area], iteration)

        start = torch.ones(1, model.grid[0], *generator.parameters, device=model.device)
        descent = self.search.descent(self.iterations)
        patience = Patience(self.search.patience, self.search.tolerance, self.settled)
        found, used = descend(start, loss, self.iterations, descent, patience)
        with torch.no_grad():
            mask = generator.crop(generator(found))
            final = loss(found, [0], self.iterations - 1)
            kept, gone = (
                float(score(logits(model, perturb(m, [0])), [target], "probability")) for m in (mask, 1 - mask)
            )
        return mask, {
            "final_loss": float(final),
            "achieved_area": float(mask.mean()),
            "probability_kept": kept,
            "probability_deleted": gone,
            "iterations": used[0],
        }

    def _reward(self, perturb: Perturb, mask: Tensor, target: int) -> Tensor:
        """The network's part of the loss of a mask [1,T,H,W], [1]."""
        model, loss = self.batch.model, torch.zeros(1, device=mask.device)
        if self.variant in ("preserve", "dual"):
            loss = loss + network_loss(model, perturb(mask, [0]), [target], REWARDS["preserve"])
        if self.variant in ("delete", "dual"):
            loss = loss + network_loss(model, perturb(1 - mask, [0]), [target], REWARDS["delete"])
        return loss
