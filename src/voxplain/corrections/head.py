"""The linear head of a network: what goes into it, and a copy of the network with another one.

Letters: N clips, D inputs of the head, C classes, r directions.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxplain.corrections.examples import Examples, removed
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import evaluation_mode

__all__ = ["concept_directions", "directions_of", "head_inputs", "head_name", "head_weights", "with_head"]


def head_name(model: VideoModel) -> str:
    """Name of the last linear layer, which gives the logits.

    Parameters
    ----------
    model : VideoModel

    Returns
    -------
    str

    Raises
    ------
    ModelError
        Where the network has no linear layer.
    """
    names = [name for name, module in model.net.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise ModelError(
            f"expected a network with a linear head, got none in {model.name}; use a correction that trains it"
        )
    return names[-1]


def head_inputs(model: VideoModel, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What goes into the head for each clip.

    Parameters
    ----------
    model : VideoModel
    frames : ndarray, uint8 [N,T,H,W,3]

    Returns
    -------
    ndarray, float64 [N,D]

    Raises
    ------
    ModelError
        Where the last linear layer does not give the logits of a clip from one vector.
    """
    head, rows = model.net.get_submodule(head_name(model)), []
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        with evaluation_mode(model.net), torch.no_grad():
            for start in range(0, len(frames), model.pass_size):
                seen.clear()
                z = model.forward(model.prepare(frames[start : start + model.pass_size]))
                if len(seen) != 1 or seen[0].ndim != 2 or seen[0].shape[0] != len(z) or head(seen[0]).shape != z.shape:
                    raise ModelError(
                        f"expected a head that gives a clip's logits from one vector, got another in {model.name}; "
                        "use a correction that trains the network"
                    )
                rows.append(seen[0].double().cpu())
    finally:
        handle.remove()
    return torch.cat(rows).numpy()


def head_weights(model: VideoModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [C,D] and bias [C] of the head; zeros where it has no bias.

    Parameters
    ----------
    model : VideoModel

    Returns
    -------
    tuple of ndarray
    """
    head = model.net.get_submodule(head_name(model))
    assert isinstance(head, nn.Linear)
    weight = head.weight.detach().double().cpu().numpy()
    return weight, np.zeros(len(weight)) if head.bias is None else head.bias.detach().double().cpu().numpy()


def with_head(model: VideoModel, weight: NDArray, bias: NDArray) -> VideoModel:
    """A copy of the model with another weight [C,D] and bias [C] of its head; the original is not changed.

    Parameters
    ----------
    model : VideoModel
    weight, bias : ndarray

    Returns
    -------
    VideoModel
    """
    net = copy.deepcopy(model.net)
    head = net.get_submodule(head_name(model))
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(weight))
        if head.bias is None:
            head.bias = nn.Parameter(torch.zeros(len(weight), dtype=head.weight.dtype, device=head.weight.device))
        head.bias.copy_(torch.as_tensor(bias))
    return replace(model, net=net)


def directions_of(differences: NDArray, count: int) -> NDArray[np.float64]:
    """Orthonormal directions [r,D] that hold most of the differences [M,D]: their uncentred principal directions.

    Parameters
    ----------
    differences : ndarray, [M,D]
        Features of clips with the concept, less those of the same clips without it.
    count : int
        r at most.

    Returns
    -------
    ndarray, float64 [r,D]
        The first points the way of the mean difference.

    Examples
    --------
    >>> directions_of(np.array([[2.0, 0.0], [3.0, 0.0]]), 1).tolist()
    [[1.0, 0.0]]
    """
    axes = np.linalg.svd(differences, full_matrices=False)[2][:count]
    signs = np.sign(axes @ differences.mean(0))
    directed: NDArray[np.float64] = axes * np.where(signs == 0, 1.0, signs)[:, None]
    return directed + 0.0  # no negative zeros


def concept_directions(
    model: VideoModel, examples: Examples, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions of the concept in the head's input, and the inputs of the clips without it.

    A direction from clips of the concept to other clips would hold the class, too, where the two go together. So each
    clip is compared with itself after its concept was replaced by the voxels of another clip.

    Parameters
    ----------
    model : VideoModel
    examples : Examples
    count : int
        Number r of directions.
    rng : Generator
        Chooses the clips that replace the concept.

    Returns
    -------
    tuple of float64 [r,D] and float64 [M,D]

    Raises
    ------
    DataError
        Where no clip has the concept, or all have it.
    """
    having = examples.some(examples.present)
    if not len(having):
        raise DataError("expected clips with the concept, got none; give clips of its class, or another concept")
    without = head_inputs(model, removed(having, rng, donors=examples))
    directions = directions_of(head_inputs(model, having.frames) - without, count)
    absent = examples.some(examples.absent)
    return directions, np.concatenate([without, head_inputs(model, absent.frames)])
