"""The concept's direction at the model's layer, from the same clips with the concept and without it.

Letters: N clips, D dimensions of the layer's pooled output.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxplain.corrections.examples import Examples, removed
from voxplain.corrections.head import directions_of
from voxplain.errors import DataError
from voxplain.model import VideoModel

__all__ = ["layer_direction"]


def layer_direction(model: VideoModel, examples: Examples, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Unit direction of the concept [D], and the mean feature of clips with it [D].

    Parameters
    ----------
    model : VideoModel
        With a layer.
    examples : Examples
    rng : Generator
        Chooses the clips that replace the concept.

    Returns
    -------
    tuple of float32 tensors
        On the model's device.

    Raises
    ------
    DataError
        Where no clip has the concept, or all have it.
    """
    having = examples.some(examples.present)
    if not len(having):
        raise DataError("expected clips with the concept, got none; give clips of its class, or another concept")
    there, gone = _features(model, having.frames), _features(model, removed(having, rng, donors=examples))
    v = directions_of(there - gone, 1)[0]
    return tuple(torch.as_tensor(a, dtype=torch.float32, device=model.device) for a in (v, there.mean(0)))  # type: ignore[return-value]


def _features(model: VideoModel, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    return model.outputs(frames).features.double().cpu().numpy()
