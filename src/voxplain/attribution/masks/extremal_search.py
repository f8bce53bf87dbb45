"""The search for extremal perturbations: masks of given areas, each found on its own, joined to one map a clip.

Letters: N clips, A areas, P problems (clip, area) at once, T×H×W the network's grid, H'×W' with the margin of the mask
generator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from voxplain.attribution.call import Batch, Details
from voxplain.attribution.masks.blur_pyramid import Perturb, Perturbation, gaussian_blur, perturbation, pixels
from voxplain.attribution.masks.mask_descent import (
    REWARDS,
    Descent,
    Patience,
    Variant,
    chunks,
    descend,
    network_loss,
    refuse,
    scaled,
)
from voxplain.attribution.masks.mask_generator import MaskGenerator, SmoothMask
from voxplain.attribution.passes import logits, recording, score

__all__ = ["ExtremalSearch", "MaskSearch", "Regulariser", "check"]

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
        σ of the Gaussian on each frame of the final map.
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
    """

    levels: int = 8
    blur: float = 20.0
    reward_weight: float = 1.0
    smooth: float = 10.0
    mask: SmoothMask = field(default_factory=SmoothMask)
    learning_rate: float | None = None
    momentum: float = 0.9
    dampening: float = 0.9
    patience: int = 0
    tolerance: float = 0.001

    def descent(self, iterations: int) -> Descent:
        """The optimiser for that many iterations."""
        rate = min(0.4, 40 / iterations) if self.learning_rate is None else self.learning_rate
        return Descent(rate, self.momentum, self.dampening)


def check(areas: Sequence[float], variant: str, iterations: int) -> None:
    """Raise DataError on areas, a variant or iterations that cannot be."""
    refuse(len(areas) > 0 and all(0 < a < 1 for a in areas), "areas between 0 and 1, one or more", areas)
    refuse(variant in ("preserve", "delete", "dual"), "a variant of preserve, delete, dual", variant)
    refuse(iterations >= 1, "1 iteration or more", iterations)


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

        achieved_area is the mean of the mask inside the frame; the areas asked for are shares of the frame with its
        margin, so that a mask inside the frame covers more of it: up to 1.43 times at 112². probability_kept is the
        target's with only the mask kept, probability_deleted with the mask taken away.
        """
        batch, (frames, rows, columns) = self.batch, self.batch.model.grid
        generator = self.search.mask.generator(rows, columns)
        problems = [(clip, area) for clip in range(len(batch.clips)) for area in areas]
        details: list[Details] = [{"areas": list(areas)} for _ in batch.clips]
        with recording(batch.model.net):
            x = batch.x.float().clone()  # what a caller makes in inference mode can take part in no gradient
            total = torch.zeros(len(x), frames, rows, columns, device=x.device)
            for chunk in chunks(len(problems), batch.model.batch_size // (2 if self.variant == "dual" else 1)):
                masks, facts = self._chunk(x, [problems[i] for i in chunk], generator)
                for i, mask in zip(chunk, masks, strict=True):
                    total[problems[i][0]] += mask
                for name, values in facts.items():
                    for i, value in zip(chunk, values, strict=True):
                        details[problems[i][0]].setdefault(name, []).append(value)
            return scaled(gaussian_blur(total, pixels(self.search.smooth, rows))), details

    def _chunk(
        self, x: Tensor, problems: Sequence[tuple[int, float]], generator: MaskGenerator
    ) -> tuple[Tensor, dict[str, list[Any]]]:
        """Masks [P,T,H,W] of problems (clip, area), and facts about each."""
        targets, first, last = self.batch.targets, problems[0][0], problems[-1][0]
        perturb = perturbation(x[first : last + 1], self.perturbation, self.search.levels, self.search.blur)

        def loss(parameters: Tensor, running: Sequence[int], iteration: int) -> Tensor:
            masks = generator(parameters)
            clips = [problems[i][0] for i in running]
            reward = self._reward(
                perturb, generator.crop(masks), [c - first for c in clips], [targets[c] for c in clips]
            )
            areas = [problems[i][1] for i in running]
            return self.search.reward_weight * reward + self.regulariser(masks, areas, iteration)

        start = torch.ones(len(problems), x.shape[2], *generator.parameters, device=x.device)
        descent = self.search.descent(self.iterations)
        patience = Patience(self.search.patience, self.search.tolerance, self.settled)
        found, used = descend(start, loss, self.iterations, descent, patience)
        clips, ys = [clip - first for clip, _ in problems], [targets[clip] for clip, _ in problems]
        with torch.no_grad():
            masks = generator.crop(generator(found))
            final = loss(found, range(len(problems)), self.iterations - 1)
            kept, gone = (
                score(logits(self.batch.model, perturb(m, clips)), ys, "probability") for m in (masks, 1 - masks)
            )
        return masks, {
            "final_loss": final.tolist(),
            "achieved_area": masks.mean((1, 2, 3)).tolist(),
            "probability_kept": kept.tolist(),
            "probability_deleted": gone.tolist(),
            "iterations": used,
        }

    def _reward(self, perturb: Perturb, masks: Tensor, clips: Sequence[int], targets: Sequence[int]) -> Tensor:
        """The network's part of the loss, [P]."""
        model, loss = self.batch.model, torch.zeros(len(masks), device=masks.device)
        if self.variant in ("preserve", "dual"):
            loss = loss + network_loss(model, perturb(masks, clips), targets, REWARDS["preserve"])
        if self.variant in ("delete", "dual"):
            loss = loss + network_loss(model, perturb(1 - masks, clips), targets, REWARDS["delete"])
        return loss
