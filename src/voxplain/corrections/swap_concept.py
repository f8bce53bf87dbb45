"""Concept swap: training on clips whose concept is replaced, or pasted into others, with the label kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.corrections.examples import Examples, swap
from voxplain.corrections.fine_tune import RECIPE, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["ConceptSwap"]


@dataclass(frozen=True)
class ConceptSwap:
    """Short training on clips in which the unwanted concept no longer tells the class.

    In a share of the clips with the concept its voxels are replaced by those of a clip without it at the same place. In
    a share of the clips without it, the concept of another clip, of whatever class, is pasted. The labels stay.

    Parameters
    ----------
    remove, paste : float
        The two shares, 0 to 1.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For shares outside 0 to 1; when called, for clips that all have the concept, or none.

    References
    ----------
    In the line of background swaps: Choi et al., Why can't I dance in the mall?, NeurIPS 2019; Zou et al., ActorCutMix,
    2021; Li et al., StillMix, CVPR 2023. Pasting a concept is the intervention of Goyal et al., CaCE, 2019.
    """

    remove: float = 0.5
    paste: float = 0.5
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the shares."""
        if not (0 <= self.remove <= 1 and 0 <= self.paste <= 1):
            raise DataError(f"expected shares from 0 to 1, got {self.remove} and {self.paste}; choose 0.5 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without swaps."""
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

        def change(frames: NDArray[np.uint8], index: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.uint8]:
            there, lucky = present[index], rng.random(len(index))
            donors = np.where(there, rng.choice(free, len(index)), rng.choice(having, len(index)))
            masks = np.where(there[:, None, None, None], examples.unwanted[index], examples.unwanted[donors])
            masks = masks & (lucky < np.where(there, self.remove, self.paste))[:, None, None, None]
            return swap(frames, masks, examples.frames[donors])

        purpose = f"swap {self.remove} {self.paste}"
        return fine_tune(
            model, examples, recipe=self.recipe, change=change, seed=seed, checkpoint=checkpoint, purpose=purpose
        )
