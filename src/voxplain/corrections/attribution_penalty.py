"""Right for the right reasons: a penalty on the attribution inside the unwanted concept's voxels.

Letters: x the prepared clip, p_c its probabilities, m the mask of the concept.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE, Batch, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["AttributionPenalty", "masked_gradient"]


def masked_gradient(x: Tensor, z: Tensor, masks: Tensor, layout: str) -> Tensor:
    """Mean over clips of Σ m·(∂ Σ_c log p_c / ∂x)², a scalar that can be differentiated.

    Parameters
    ----------
    x : tensor, [B,…]
        The prepared clips, that require gradients.
    z : tensor, [B,C]
        Their logits.
    masks : tensor, bool [B,T,H,W]
    layout : str
        Axes of ``x``, as in `VideoModel`.

    Returns
    -------
    tensor
    """
    (g,) = torch.autograd.grad(z.log_softmax(1).sum(), x, create_graph=True)
    squared = g.pow(2).sum(layout.index("C"))
    squared = squared.transpose(0, 1) if layout == "TBCHW" else squared
    return (squared * masks).flatten(1).sum(1).mean()


@dataclass(frozen=True)
class AttributionPenalty:
    """Short training with a penalty on the gradient inside the concept's voxels, CE + λ·Σ m·(∂ Σ_c log p_c / ∂x)².

    Parameters
    ----------
    strength : float
        λ.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For a negative strength.

    References
    ----------
    Ross et al., Right for the right reasons, IJCAI 2017.
    """

    strength: float = 10.0
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the strength."""
        if self.strength < 0:
            raise DataError(f"expected a strength of 0 or more, got {self.strength}; choose 10 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without the penalty."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""

        def loss(tuned: VideoModel, batch: Batch) -> Tensor:
            x = batch.x.detach().requires_grad_(True)
            z = tuned.forward(x).float()
            penalty = masked_gradient(x, z, batch.masks, tuned.layout)
            return nn.functional.cross_entropy(z, batch.labels) + self.strength * penalty

        purpose = f"attribution {self.strength}"
        return fine_tune(
            model, examples, recipe=self.recipe, loss=loss, seed=seed, checkpoint=checkpoint, purpose=purpose
        )
