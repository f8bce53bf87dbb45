"""Which position of a layer reaches the logits, for layers of which only one does: a class token or a last step."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from voxplain.model.cost import uncounted
from voxplain.model.layers import Pool, evaluation_mode, find_layer, record_output, start_gradient

if TYPE_CHECKING:
    from voxplain.model.video_model import VideoModel

__all__ = ["find_pool"]


def find_pool(model: "VideoModel") -> Pool:
    """ "class_token" or "last" where only the first or the last of the layer's tokens reaches the logits, else True.

    One forward pass of a clip of noise, and the gradient of its logits at the layer.
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, *model.grid, 3), np.uint8)
    seen: list[torch.Tensor] = []
    with (
        evaluation_mode(model.net),
        torch.inference_mode(False),
        torch.no_grad(),
        uncounted(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # they were given when the layer was found, or come when it is used
        with record_output(find_layer(model.net, model.layer), seen, start_gradient):
            z = model.raw(model.prepare(noise))
        if not seen or seen[0].ndim != 3 or seen[0].shape[1] < 2 or not z.requires_grad:
            return True
        (g,) = torch.autograd.grad(z.float().square().sum(), seen[0], allow_unused=True)
    reached = torch.zeros(0) if g is None else torch.nonzero(g[0].abs().sum(1)).flatten()
    if len(reached) != 1:
        return True
    return {0: "class_token", seen[0].shape[1] - 1: "last"}.get(int(reached[0]), True)  # type: ignore[return-value]
