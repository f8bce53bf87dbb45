"""Concept whitening: one channel of a norm layer stands for the concept and nothing else, and is switched off.

Letters: x the input of the norm layer, μ its mean, W its whitening, R a rotation, q the concept's direction.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.corrections.examples import Examples
from voxplain.corrections.fine_tune import RECIPE, Batch, fine_tune
from voxplain.corrections.further import FurtherTraining
from voxplain.corrections.whitened_norm import WhitenedNorm, concept_share, folded
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import evaluation_mode
from voxplain.train.recipe import Recipe

__all__ = ["WhitenConcept", "norm_layers"]


def norm_layers(model: VideoModel) -> dict[str, str]:
    """Batch norms whose input is the output of one convolution: the convolution's name by the norm's, in order.

    Parameters
    ----------
    model : VideoModel

    Returns
    -------
    dict of str to str
    """
    made: dict[int, tuple[str, Tensor]] = {}  # by id; the tensors are kept, so that no id is given twice
    pairs: dict[str, str] = {}
    calls: dict[str, int] = {}

    def after(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            made[id(output)] = (name, output)
            calls[name] = calls.get(name, 0) + 1

        return hook

    def before(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            if id(given[0]) in made:
                pairs[name] = made[id(given[0])][0]
            calls[name] = calls.get(name, 0) + 1

        return hook

    handles = []
    for name, module in model.net.named_modules():
        if isinstance(module, nn.Conv3d) and module.groups == 1:
            handles.append(module.register_forward_hook(after(name)))
        elif isinstance(module, nn.BatchNorm3d) and module.affine and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(before(name)))
    try:
        with evaluation_mode(model.net), torch.no_grad():
            model.forward(model.prepare(np.zeros((1, *model.grid, 3), np.uint8)))
    finally:
        for handle in handles:
            handle.remove()
    return {norm: conv for norm, conv in pairs.items() if calls[norm] == calls[conv] == 1}


@dataclass(frozen=True)
class WhitenConcept:
    """Short training with one norm layer whitened, a′ = R W (x − μ), and its channel of the concept held constant.

    All channels are decorrelated and have unit variance, so that the concept's channel holds nothing of the others. R
    turns one channel to q, the mean of the whitened activations at the concept's positions, and is followed during the
    training. In the result, the whitening is part of the convolution before the norm layer: the network has its own
    structure, and its weights load like any others.

    Parameters
    ----------
    layer : str, optional
        Name of a batch norm that follows a convolution; by default the last one.
    iterations : int
        Newton iterations of the whitening.
    recipe : Recipe
        Of the training.

    Raises
    ------
    DataError
        For fewer than 1 iteration; when called, for clips that all have the concept, or none.
    ModelError
        When called with a network that has no such layer.

    References
    ----------
    Chen, Bei and Rudin, Concept whitening for interpretable image recognition, Nature Machine Intelligence 2020. There
    every concept has a channel, R follows the gradient of the concepts' maximum over the positions, and all channels
    stay; here the concept's channel is the mean over its masks, for which the best R has a closed form, and it is held
    at the value that it has elsewhere.
    """

    layer: str | None = None
    iterations: int = 10
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Check the count."""
        if self.iterations < 1:
            raise DataError(f"expected 1 iteration or more, got {self.iterations}; choose 10 or so")

    @property
    def uncorrected(self) -> FurtherTraining:
        """The same training with the norm layer as it is."""
        return FurtherTraining(recipe=self.recipe)

    def __call__(
        self, model: VideoModel, examples: Examples, *, seed: int = 0, checkpoint: Path | None = None
    ) -> VideoModel:
        """A corrected copy of the model."""
        present = examples.present
        if present.all() or not present.any():
            raise DataError(
                f"expected clips with and without the concept, got {int(present.sum())} of {len(present)} with it; "
                "give training clips of several classes, or another concept"
            )
        norm, conv = self._layer(model)
        changed = replace(model, net=copy.deepcopy(model.net))
        module = WhitenedNorm(changed.net.get_submodule(norm), self.iterations).to(model.device)  # type: ignore[arg-type]
        changed.net.set_submodule(norm, module)
        _start(changed, module, examples)

        def loss(tuned: VideoModel, batch: Batch) -> Tensor:
            z = tuned.forward(batch.x).float()
            here = tuned.net.get_submodule(norm)
            assert isinstance(here, WhitenedNorm)
            here.align(batch.masks)
            return nn.functional.cross_entropy(z, batch.labels)

        tuned = fine_tune(
            changed,
            examples,
            recipe=self.recipe,
            loss=loss,
            seed=seed,
            checkpoint=checkpoint,
            purpose=f"whiten {norm} {self.iterations}",
        )
        return _with_batch_norm(tuned, model, norm, conv)

    def _layer(self, model: VideoModel) -> tuple[str, str]:
        """Names of the norm layer and of the convolution before it."""
        found = norm_layers(model)
        if not found or (self.layer is not None and self.layer not in found):
            names = ", ".join(found) or "none"
            raise ModelError(
                f"expected a batch norm that follows a 3D convolution, got {self.layer or 'a network without one'}; "
                f"choose from {names}, or another correction"
            )
        norm = self.layer if self.layer is not None else list(found)[-1]
        return norm, found[norm]


def _start(model: VideoModel, module: WhitenedNorm, examples: Examples) -> None:
    """Statistics of the layer, and the direction of the concept, from all clips."""
    inputs: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    sums: list[list[Tensor]] = []
    try:
        with evaluation_mode(model.net), torch.no_grad():
            for start in range(0, len(examples), model.pass_size):
                part = slice(start, start + model.pass_size)
                inputs.clear()
                model.forward(model.prepare(examples.frames[part]))
                x, masks = inputs[0].movedim(1, -1).double(), torch.from_numpy(examples.unwanted[part])
                sums.append(_sums(x, concept_share(masks.to(x.device), x.shape[1:4]).double()))
    finally:
        handle.remove()
    count, total, squares, having, with_concept, free, without = (
        torch.stack(s).sum(0) for s in zip(*sums, strict=True)
    )
    mean = total / count
    module.start(mean, squares / count - torch.outer(mean, mean), with_concept / having, without / free.clamp_min(1))


def _sums(x: Tensor, share: Tensor) -> list[Tensor]:
    """Sums over the positions of a batch [B,T',H',W',C]: of all, of those with the concept, of those without it."""
    rows, w = x.reshape(-1, x.shape[-1]), share.reshape(-1)
    free = (w == 0).to(x.dtype)
    count = torch.tensor(len(rows), dtype=x.dtype, device=x.device)
    return [count, rows.sum(0), rows.T @ rows, w.sum(), w @ rows, free.sum(), free @ rows]


def _with_batch_norm(tuned: VideoModel, original: VideoModel, norm: str, conv: str) -> VideoModel:
    """The trained network in the structure of the original."""
    net = copy.deepcopy(original.net)
    module = tuned.net.get_submodule(norm)
    assert isinstance(module, WhitenedNorm)
    others = {k: v for k, v in tuned.net.state_dict().items() if not k.startswith(f"{norm}.")}
    net.load_state_dict(others, strict=False)
    folded(module, net.get_submodule(conv), net.get_submodule(norm))  # type: ignore[arg-type]
    return replace(original, net=net)
