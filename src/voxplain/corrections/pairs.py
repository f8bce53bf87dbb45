"""Short training on pairs of a clip and a changed copy of it, which keep the label and shall have the same logits.

Letters: x a clip, x′ its counterpart, y the label, z(x) [C] the logits, CE the cross-entropy.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import Batch, Change, fine_tune
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.train.recipe import Recipe

__all__ = ["check_consistency", "train_on_pairs"]


def check_consistency(consistency: float) -> None:
    """Raise DataError for a negative weight of the second term."""
    if consistency < 0:
        raise DataError(f"expected a consistency of 0 or more, got {consistency}; choose 0.3 or so")


def train_on_pairs(
    model: VideoModel,
    examples: Examples,
    counterparts: Change,
    *,
    consistency: float,
    recipe: Recipe,
    seed: int,
    checkpoint: Path | None,
    purpose: str,
) -> VideoModel:
    """Train a copy of the model by ½·(CE(x, y) + CE(x′, y)) + λ·mean_c (z_c(x) − z_c(x′))².

    Parameters
    ----------
    model : VideoModel
    examples : Examples
    counterparts : callable
        Gives the clips x′ of a batch.
    consistency : float
        λ.
    recipe, seed, checkpoint, purpose
        As in `fine_tune`.

    Returns
    -------
    VideoModel
    """

    def loss(tuned: VideoModel, batch: Batch) -> Tensor:
        assert batch.counterparts is not None
        both = tuned.forward(torch.cat([batch.x, batch.counterparts])).float()
        z, other = both.chunk(2)
        fit = nn.functional.cross_entropy(both, batch.labels.repeat(2))
        return fit + consistency * (z - other).pow(2).mean()

    return fine_tune(
        model,
        examples,
        recipe=recipe,
        counterparts=counterparts,
        loss=loss,
        seed=seed,
        checkpoint=checkpoint,
        purpose=purpose,
    )
