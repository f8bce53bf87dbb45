"""Short training of a copy of a network, by a loss of the caller; resumable.

Letters: N clips, B clips of a batch, C classes.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.nets import weights_digest
from voxplain.train.checkpoint import read_state, write_state
from voxplain.train.recipe import EpochLog, Recipe

__all__ = ["RECIPE", "Batch", "BatchLoss", "Change", "cross_entropy", "fine_tune", "unchanged"]

RECIPE = Recipe(epochs=8, batch=16, lr=0.03, lr_step=6, flip=0.0)

# (frames uint8 [B,…], their places in the examples, Generator) → frames
Change = Callable[[NDArray[np.uint8], NDArray[np.intp], np.random.Generator], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips of a training step, on the model's device.

    Parameters
    ----------
    x : tensor, [B,…]
        Prepared clips.
    labels : tensor, int64 [B]
    masks : tensor, bool [B,T,H,W]
        Unwanted voxels of the clips that have the concept.
    counterparts : tensor, [B,…], optional
        The same clips changed, prepared.
    """

    x: Tensor
    labels: Tensor
    masks: Tensor
    counterparts: Tensor | None = None


BatchLoss = Callable[[VideoModel, Batch], Tensor]


def unchanged(frames: NDArray[np.uint8], index: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames as they are."""
    return frames


def cross_entropy(model: VideoModel, batch: Batch) -> Tensor:
    """Mean cross-entropy of a batch, in nats."""
    return nn.functional.cross_entropy(model.forward(batch.x).float(), batch.labels)


def fine_tune(
    model: VideoModel,
    examples: Examples,
    *,
    recipe: Recipe,
    change: Change = unchanged,
    counterparts: Change | None = None,
    loss: BatchLoss = cross_entropy,
    seed: int = 0,
    checkpoint: Path | None = None,
    purpose: str = "",
) -> VideoModel:
    """Train a copy of the model on the examples; the original is not changed.

    SGD with momentum, as `voxplain.train.train`; the clips are those of the examples, so that masks stay in place:
    no random crops, and mirrored with the recipe's probability together with their masks.

    Parameters
    ----------
    model : VideoModel
    examples : Examples
        Clips to train on, each once an epoch.
    recipe : Recipe
        Epochs, batch, rates.
    change : callable
        Changes the frames of a batch before they are seen.
    counterparts : callable, optional
        Gives what the loss sees beside the frames.
    loss : callable
        Loss of a batch.
    seed : int
        Added to the recipe's seed.
    checkpoint : Path, optional
        A .safetensors file for the state after each epoch, from which a killed training goes on.
    purpose : str
        Identifies change and loss in the checkpoint.

    Returns
    -------
    VideoModel
        In evaluation mode.

    Raises
    ------
    ModelError
        Where the loss is no longer finite.
    """
    start = weights_digest(model.net)
    tuned = replace(model, net=copy.deepcopy(model.net))
    net = tuned.net
    optimiser = torch.optim.SGD(
        net.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    masks = json.dumps([len(examples), int(examples.unwanted.sum()), [int(k) for k in examples.labels]])
    facts = {"training": json.dumps([asdict(recipe), seed, purpose]), "start": start, "examples": masks}
    logs = read_state(checkpoint, net, optimiser, facts) if checkpoint and checkpoint.exists() else []
    try:
        for epoch in range(len(logs), recipe.epochs):
            net.train()
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(epoch)
            mean = _epoch(tuned, examples, recipe, (change, counterparts), loss, optimiser, (recipe.seed, seed, epoch))
            logs.append(EpochLog(epoch + 1, mean, float("nan"), None, recipe.rate(epoch)))
            if checkpoint:
                write_state(checkpoint, net, optimiser, logs, facts)
    finally:
        net.eval()
    return tuned


def _epoch(
    model: VideoModel,
    examples: Examples,
    recipe: Recipe,
    changes: tuple[Change, Change | None],
    loss: BatchLoss,
    optimiser: torch.optim.SGD,
    seeds: tuple[int, int, int],
) -> float:
    """Mean loss of one pass through the clips; everything random comes from ``seeds``."""
    # Two streams: a change draws as much as it needs, and the order of the clips stays the same for every correction.
    rng, other = np.random.default_rng(seeds), np.random.default_rng((*seeds, 1))
    torch.manual_seed(sum(s * 10_007**i for i, s in enumerate(seeds)) % 2**31)
    total, order, present = 0.0, rng.permutation(len(examples)), examples.present
    for index in np.array_split(order, max(1, round(len(order) / recipe.batch))):
        mirrored = rng.random(len(index)) < recipe.flip

        def clips(how: Change, index: NDArray[np.intp] = index, mirrored: NDArray[np.bool_] = mirrored) -> Tensor:
            return model.prepare(_mirrored(how(examples.frames[index], index, other), mirrored))

        x, counterparts = clips(changes[0]), None if changes[1] is None else clips(changes[1])
        labels = torch.as_tensor(examples.labels[index], device=model.device)
        unwanted = examples.unwanted[index] & present[index][:, None, None, None]
        masks = torch.from_numpy(_mirrored(unwanted, mirrored)).to(model.device)
        optimiser.zero_grad(set_to_none=True)
        value = loss(model, Batch(x, labels, masks, counterparts))
        if not torch.isfinite(value):
            raise ModelError(f"expected a finite loss, got {value.item()}; lower the learning rate or the strength")
        value.backward()
        optimiser.step()
        total += value.item() * len(index)
    return total / len(order)


def _mirrored(arrays: NDArray, chosen: NDArray[np.bool_]) -> NDArray:
    """The chosen of [B,T,H,W,…] with left and right exchanged."""
    shape = (-1, *(1,) * (arrays.ndim - 1))
    return np.where(chosen.reshape(shape), arrays[:, :, :, ::-1], arrays)
