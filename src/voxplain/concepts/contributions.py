"""Contribution of each voxel to the score of a class, against the clip with everything hidden.

Letters: T×H×W the grid, x the clip's input, b the input of its fill, s the objective of the class.
"""

import numpy as np
import torch
from torch import Tensor

from voxplain.errors import ModelError
from voxplain.model import OBJECTIVES, Objective, VideoModel
from voxplain.model.layers import evaluation_mode
from voxplain.model.layouts import to_bcthw
from voxplain.perturb import base_clip

__all__ = ["contributions"]


def contributions(
    model: VideoModel,
    frames: np.ndarray,
    target: int,
    *,
    fill: str = "median",
    steps: int = 4,
    objective: Objective = "log_odds",
) -> np.ndarray:
    """Integrated gradients summed over colours: (x − b) · mean over i of ∂s/∂x at b + (x − b)·(i + ½)/steps.

    Over all voxels they add up to s(x) − s(b) with many steps. A few are enough for sums over regions: a gradient at
    the clip itself vanishes where the class is certain, one on the way to the fill does not.

    Parameters
    ----------
    model : VideoModel
    frames : uint8 [T,H,W,3]
        A clip of the network's length.
    target : int
        Class index.
    fill : str
        An entry of `voxplain.perturb.FILLS`.
    steps : int
        Forward and backward passes.
    objective : str
        A key of `OBJECTIVES`.

    Returns
    -------
    float32 [T,H,W]
        In units of the objective.

    Raises
    ------
    ModelError
        A network whose logits have no gradient at the input.

    References
    ----------
    Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, arXiv 1703.01365

    Examples
    --------
    >>> import voxplain as vx
    >>> model = vx.load_model("planted")
    >>> frames = np.random.default_rng(0).integers(0, 256, (*model.grid, 3), np.uint8)
    >>> contributions(model, frames, 0).shape
    (16, 64, 64)
    """
    base = model.prepare(base_clip(frames, fill, model.mean_colour)[None]).float()
    change = model.prepare(frames[None]).float() - base
    total = torch.zeros_like(change)
    for i in range(steps):
        total += _gradient(model, base + change * ((i + 0.5) / steps), target, objective) / steps
    return np.asarray(to_bcthw(total * change, model.layout).sum(1)[0].cpu().numpy(), np.float32)


def _gradient(model: VideoModel, x: Tensor, target: int, objective: Objective) -> Tensor:
    """∂s/∂x of one input, float32."""
    with evaluation_mode(model.net), torch.inference_mode(False), torch.enable_grad():
        leaf = x.to(model.dtype).clone().requires_grad_(True)
        # The network gets a copy: its first layer may write in place, which a leaf that needs a gradient forbids.
        logits = model.forward(leaf.clone()).float()
        score = OBJECTIVES[objective](logits, target).sum()
        found = torch.autograd.grad(score, leaf, allow_unused=True)[0] if score.requires_grad else None
    if found is None:
        raise ModelError(
            "expected logits that depend on the input, got no gradient there; let the network run with gradients, or "
            "set contribution to 0"
        )
    return found.float()
