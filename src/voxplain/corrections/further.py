"""Further training without correction: what every training correction is compared with."""

from dataclasses import dataclass
from pathlib import Path

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE, fine_tune
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["FurtherTraining"]


@dataclass(frozen=True)
class FurtherTraining:
    """The same number of training steps on the same clips, by cross-entropy alone.

    Parameters
    ----------
    recipe : Recipe
        Of the training.
    """

    recipe: Recipe = RECIPE

    @property
    def uncorrected(self) -> None:
        """None: it is the comparison itself."""
        return None

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A trained copy of the model."""
        return fine_tune(model, examples, recipe=self.recipe, seed=seed, checkpoint=checkpoint)
