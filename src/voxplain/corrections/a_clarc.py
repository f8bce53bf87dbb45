"""A-ClArC: training in which every clip has the concept at the layer, so that it does not tell the classes apart.

Letters: a the layer's output, v [D] the unit direction of the concept, z̄⁺ [D] mean feature of clips with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE, Batch, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.layer_direction import layer_direction
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import find_layer, first_tensor, pool_features, replace_first
from voxplain.train.recipe import Recipe

__all__ = ["AddConcept"]


@dataclass(frozen=True)
class AddConcept:
    """Short training with the concept's value in every clip, a′ = a + v (z̄⁺ − a)·v, at the model's layer.

    Only the training is changed; afterwards the network has its own structure. The direction is that of the original
    network, and stays as it was while all layers are trained.

    Parameters
    ----------
    recipe : Recipe
        Of the training.

    Raises
    ------
    ModelError
        When called with a layer that is not averaged over its positions.

    References
    ----------
    Anders et al., Finding and removing Clever Hans, Information Fusion 2022.
    """

    recipe: Recipe = RECIPE

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training without the change of the layer."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        if model.pool is not True:
            raise ModelError(f"expected a layer averaged over its positions, got pool={model.pool!r}; choose another")
        v, having = layer_direction(model, examples, np.random.default_rng(seed))
        axis = model.channel_axis

        def add(_: nn.Module, __: Any, output: Any) -> Any:
            a = first_tensor(output)
            place = axis if axis is not None else (2 if a.ndim == 3 else 1)
            missing = (having - pool_features(a, True, axis)) @ v
            shape = [1] * a.ndim
            shape[0], shape[place] = len(a), -1
            return replace_first(output, a + (missing[:, None] * v).view(shape))

        def loss(tuned: VideoModel, batch: Batch) -> Tensor:
            handle = find_layer(tuned.net, tuned.layer).register_forward_hook(add)
            try:
                z = tuned.forward(batch.x).float()
            finally:
                handle.remove()
            return nn.functional.cross_entropy(z, batch.labels)

        return fine_tune(
            model, examples, recipe=self.recipe, loss=loss, seed=seed, checkpoint=checkpoint, purpose="a-clarc"
        )
