"""Concept swap: training on pairs of clips that differ in the concept alone, with the label kept.

Letters: x a clip, x′ its counterpart, y the label, z(x) [C] the logits, CE the cross-entropy.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxplain.corrections.examples import Examples, swap
from voxplain.corrections.fine_tune import RECIPE, Batch, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["ConceptSwap"]


@dataclass(frozen=True)
class ConceptSwap:
    """Short training on each clip and its counterpart, ½·(CE(x, y) + CE(x′, y)) + λ·mean_c (z_c(x) − z_c(x′))².

    In the counterpart of a clip with the concept, its voxels are replaced by those of a clip without it at the same
    place. Into a clip without it, the concept of another clip, of whatever class, is pasted. The second term asks for
    the same answer, which the labels alone do not: a class can be predicted rightly and still be made likelier by the
    concept.

    Parameters
    ----------
    consistency : float
        λ, 0 or more.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For a negative λ; when called, for clips that all have the concept, or none.

    References
    ----------
    In the line of background swaps: Choi et al., Why can't I dance in the mall?, NeurIPS 2019; Zou et al., ActorCutMix,
    2021; Li et al., StillMix, CVPR 2023. Pasting a concept is the intervention of Goyal et al., CaCE, 2019; the second
    term is the logit pairing of Kannan et al., 2018, with counterfactuals in place of adversarial examples.
    """

    consistency: float = 0.3
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the weight."""
        if self.consistency < 0:
            raise DataError(f"expected a consistency of 0 or more, got {self.consistency}; choose 0.3 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without counterparts."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        present = examples.present
        having, free = np.flatnonzero(present), np.flatnonzero(~present)
        if not len(having) or not len(free):
            raise DataError(
                f"expected clips with and without the concept, got {len(having)} and {len(free)}; give training clips "
                "of several classes, or another concept"
            )

        def counterparts(
            frames: NDArray[np.uint8], index: NDArray[np.intp], rng: np.random.Generator
        ) -> NDArray[np.uint8]:
            there = present[index]
            donors = np.where(there, rng.choice(free, len(index)), rng.choice(having, len(index)))
            masks = np.where(there[:, None, None, None], examples.unwanted[index], examples.unwanted[donors])
            return swap(frames, masks, examples.frames[donors])

        def loss(tuned: VideoModel, batch: Batch) -> Tensor:
            assert batch.counterparts is not None
            both = tuned.forward(torch.cat([batch.x, batch.counterparts])).float()
            z, other = both.chunk(2)
            fit = nn.functional.cross_entropy(both, batch.labels.repeat(2))
            return fit + self.consistency * (z - other).pow(2).mean()

        return fine_tune(
            model,
            examples,
            recipe=self.recipe,
            counterparts=counterparts,
            loss=loss,
            seed=seed,
            checkpoint=checkpoint,
            purpose=f"swap {self.consistency}",
        )
