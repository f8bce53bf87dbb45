"""Passes of the network over float inputs, for gradients and perturbations.

Letters: M inputs, K classes. An input is a normalised clip, float [M,3,T,H,W] whatever the order of axes of the
network itself. No function keeps more than ``pass_size`` inputs on their way through the network, changes the
network, or leaves a gradient on its weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.model import OBJECTIVES, Objective, VideoModel
from voxplain.model.layers import evaluation_mode
from voxplain.model.layouts import from_bcthw, to_bcthw
from voxplain.perturb import base_clip

__all__ = ["base_input", "forward", "gradient", "logits", "recording", "score", "scores", "to_input"]


def to_input(model: VideoModel, frames: np.ndarray | Tensor) -> Tensor:
    """Frames uint8 [M,T,H,W,3] to inputs [M,3,T,H,W] on the model's device."""
    return to_bcthw(model.prepare(frames), model.layout)


def base_input(model: VideoModel, frames: np.ndarray, fill: str) -> Tensor:
    """The input with everything hidden, one for each of the frames [M,T,H,W,3]; ``fill`` an entry of FILLS."""
    return to_input(model, np.stack([base_clip(clip, fill, model.mean_colour) for clip in frames]))


def forward(model: VideoModel, x: Tensor) -> Tensor:
    """Logits float32 [M,K] of one batch, inside whatever autograd and hooks the caller has set up."""
    own = from_bcthw(x, model.layout)
    wide = model.channels_last and model.layout == "BCTHW"
    own = own.contiguous(memory_format=torch.channels_last_3d if wide else torch.contiguous_format)
    z = model.forward(own.to(model.dtype))
    if z.ndim != 2 or len(z) != len(x):
        raise ModelError(f"expected logits [{len(x)},classes], got {tuple(z.shape)}; give one row of scores a clip")
    if not bool(torch.isfinite(z).all()):
        raise ModelError(
            f"expected finite logits, got NaN or infinity from {model.name}; check the weights and the input range"
        )
    return z.float()


@contextmanager
def recording(net: nn.Module) -> Iterator[None]:
    """Evaluation mode with autograd on, also inside ``no_grad``; the network is left as it was found."""
    recurrent = any(isinstance(m, nn.RNNBase) for m in net.modules())
    # cuDNN has no backward pass for recurrent layers in evaluation mode; PyTorch's own kernels have.
    with (
        evaluation_mode(net),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled and not recurrent,
            benchmark=torch.backends.cudnn.benchmark,
            deterministic=torch.backends.cudnn.deterministic,
            allow_tf32=torch.backends.cudnn.allow_tf32,
        ),
    ):
        yield


def score(z: Tensor, targets: Sequence[int] | Tensor, objective: Objective) -> Tensor:
    """The objective of each row of logits [M,K] for its own target, [M]; differentiable."""
    if objective not in OBJECTIVES:
        raise ModelError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}; choose one")
    y = torch.as_tensor(targets, device=z.device)
    if int(y.max()) >= z.shape[1]:
        raise ModelError(f"expected a class index from 0 to {z.shape[1] - 1}, got {int(y.max())}; choose one")
    out = z.new_zeros(len(z))
    for target in y.unique().tolist():
        rows = torch.nonzero(y == target).flatten()
        out = out.index_put((rows,), OBJECTIVES[objective](z[rows], target))
    return out


def _batches(model: VideoModel, n: int) -> Iterator[slice]:
    return (slice(i, i + model.pass_size) for i in range(0, n, model.pass_size))


@torch.no_grad()
def logits(model: VideoModel, x: Tensor) -> Tensor:
    """Logits float32 [M,K] of inputs."""
    with evaluation_mode(model.net):
        return torch.cat([forward(model, x[own]) for own in _batches(model, len(x))])


def scores(model: VideoModel, x: Tensor, targets: Sequence[int] | Tensor, objective: Objective) -> Tensor:
    """The objective of inputs for a target each, float32 [M]."""
    return score(logits(model, x), targets, objective)


def gradient(model: VideoModel, x: Tensor, targets: Sequence[int] | Tensor, objective: Objective) -> Tensor:
    """Gradient of each input's objective with respect to that input, float32 [M,3,T,H,W]."""
    targets = torch.as_tensor(targets)
    with recording(model.net):
        return torch.cat([_gradient(model, x[own], targets[own], objective) for own in _batches(model, len(x))])


def _gradient(model: VideoModel, x: Tensor, targets: Tensor, objective: Objective) -> Tensor:
    leaf = x.detach().clone().requires_grad_(True)
    # The network gets a copy: its first layer may write in place, which a leaf that needs a gradient forbids.
    z = forward(model, leaf.clone())
    total = score(z, targets, objective).sum()
    g = torch.autograd.grad(total, leaf, allow_unused=True)[0] if total.requires_grad else None
    if g is None:
        raise ModelError(
            "expected logits that depend on the input, got no gradient there; let the network run with gradients"
        )
    return g.float()
