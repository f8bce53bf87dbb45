"""RR-ClArC: a penalty on the gradient of the logits along the concept's direction.

Letters: a the layer's output, v [D] the unit direction of the concept, z [B,C] logits, m [C] random signs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE, Batch, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.layer_direction import layer_direction
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.model.layers import clip_rows, find_layer, pooled_gradient, record_output
from voxplain.train.recipe import Recipe

__all__ = ["GradientPenalty"]


@dataclass(frozen=True)
class GradientPenalty:
    """Short training with a penalty on the derivative along the concept, CE + λ·((∂ Σ_c m_c z_c / ∂a)·v)².

    The signs m_c are drawn anew for each batch. The direction is that of the original network at the model's layer:
    from clips without the concept to the same clips with it (a pattern, not a classifier's normal).

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
    Dreyer et al., From hope to safety: unlearning biases of deep models via gradient penalization in latent space,
    AAAI 2024.
    """

    strength: float = 1.0
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the strength."""
        if self.strength < 0:
            raise DataError(f"expected a strength of 0 or more, got {self.strength}; choose 1 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without the penalty."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        v, _ = layer_direction(model, examples, np.random.default_rng(seed))

        def loss(tuned: VideoModel, batch: Batch) -> Tensor:
            seen: list[Tensor] = []
            with record_output(find_layer(tuned.net, tuned.layer), seen, lambda a: a):
                z = tuned.forward(batch.x).float()
            signs = torch.randint(0, 2, (z.shape[1],), device=z.device) * 2.0 - 1
            (g,) = torch.autograd.grad((z * signs).sum(), seen[0], create_graph=True)
            prefix = 0 if tuned.tokens is None else tuned.tokens.prefix
            rows = clip_rows(pooled_gradient(g, tuned.pool, tuned.channel_axis, prefix), len(z), total=True)
            return nn.functional.cross_entropy(z, batch.labels) + self.strength * (rows @ v).pow(2).mean()

        purpose = f"gradient {self.strength}"
        return fine_tune(
            model, examples, recipe=self.recipe, loss=loss, seed=seed, checkpoint=checkpoint, purpose=purpose
        )
