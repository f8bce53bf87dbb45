"""Keep and swap: training on clips in which only the important concepts are the clip's own."""

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

__all__ = ["KeepConcepts"]


@dataclass(frozen=True)
class KeepConcepts:
    """Short training on clips whose wanted concepts stay while all other voxels are another clip's at the same place.

    Parameters
    ----------
    share : float
        Share of the clips with a wanted concept that are changed, 0 to 1.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For a share outside 0 to 1; when called, without wanted concepts in any clip.

    References
    ----------
    In the line of Zou et al., Learning representational invariances for data-efficient action recognition
    (ActorCutMix), 2021, with found concepts in place of a person detector.
    """

    share: float = 0.5
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 <= self.share <= 1:
            raise DataError(f"expected a share from 0 to 1, got {self.share}; choose 0.5 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without swaps."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        wanted = examples.wanted
        if wanted is None or not wanted.any():
            raise DataError("expected concepts to keep in the clips, got none; name some with keep=[…]")
        there = wanted.mean((1, 2, 3)) >= examples.smallest

        def change(frames: NDArray[np.uint8], index: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.uint8]:
            changed = there[index] & (rng.random(len(index)) < self.share)
            donors = rng.integers(0, len(examples), len(index))
            return swap(frames, ~wanted[index] & changed[:, None, None, None], examples.frames[donors])

        return fine_tune(
            model,
            examples,
            recipe=self.recipe,
            change=change,
            seed=seed,
            checkpoint=checkpoint,
            purpose=f"keep {self.share} {int(wanted.sum())}",
        )
