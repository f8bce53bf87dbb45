"""I-GOS and iGOS++: a mask optimised by integrated gradients, which see past where the score is flat.

Letters: T×H×W the network's grid, h×w the mask's parameters a frame, S points of the path, x⊗m the clip perturbed where
m is low.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.masks.blur_pyramid import Perturb, Perturbation, perturbation
from voxplain.attribution.masks.clip_by_clip import clip_by_clip, deletion_map
from voxplain.attribution.masks.mask_descent import Adam, check_field, check_probability, descend, network_loss
from voxplain.attribution.masks.mask_losses import total_variation
from voxplain.attribution.passes import score
from voxplain.model import Objective, VideoModel

__all__ = ["IGOS", "IGOSPlusPlus"]


@dataclass(frozen=True)
class IGOS:
    """I-GOS: minimise λ1·‖1−m‖₁ + λ2·Σ|∇m|^β + s(x⊗m) along integrated gradients; the map is 1 − m.

    In place of the gradient of s(x⊗m) it takes that of the mean of s(x ⊗ (k/S)·m) over k = 1 … S: the path from the
    mask to the fully perturbed clip, on which a score that is flat at the clip falls somewhere. x⊗m and the norms are
    those of `MeaningfulPerturbation`. The authors search the length of each step along a line; here it is Adam's. S
    backward passes an iteration.

    Parameters
    ----------
    objective : str
        Class score s: an entry of `OBJECTIVES`. The weights below are for scores between 0 and 1.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        15 in the paper.
    steps : int
        S; 20 in the paper.
    sparsity : float
        λ1.
    smoothness : float
        λ2.
    beta : float
        β.
    cells : int
        h, parameters in a column; w in proportion. 28 in the paper.
    blur : float
        σ in pixels at 112 rows.
    learning_rate : float
        Of Adam.

    References
    ----------
    Qi, Khorram and Li 2019, Visualizing deep networks by optimizing with integrated gradients, arXiv 1905.00954

    Examples
    --------
    >>> IGOS(iterations=2, steps=2)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "probability"
    perturbation: Perturbation = "blur"
    iterations: int = 15
    steps: int = 20
    sparsity: float = 1e-4
    smoothness: float = 1e-2
    beta: float = 2.0
    cells: int = 28
    blur: float = 20.0
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        _check(self)

    @attribution_call("igos")
    def __call__(self, batch: Batch) -> Maps:
        return _found(self, batch, masks=1)


@dataclass(frozen=True)
class IGOSPlusPlus:
    """iGOS++: two masks by integrated gradients, one to delete with and one to insert with; the map is 1 − m·m′.

    Minimises s(x⊗m) − s(x⊗(1−m′)) + s(x⊗m·m′) − s(x⊗(1−m·m′)), each along the path of `IGOS`, with the penalties of
    `IGOS` on m·m′: what is deleted destroys the class, and alone it makes the class. Insertion keeps the mask from
    adversarial patterns, which destroy a class without being evidence for it. 4·S backward passes an iteration. The
    authors' total variation weighs steps by the clip's edges; here all count alike.

    Parameters
    ----------
    objective : str
        Class score s: an entry of `OBJECTIVES`. The weights below are for scores between 0 and 1.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "blur", or "fade" to the mean colour.
    iterations : int
        15 in the paper.
    steps : int
        S; 20 in the paper, at four times the cost of 5.
    sparsity : float
        λ1.
    smoothness : float
        λ2.
    beta : float
        β.
    cells : int
        h, parameters in a column; w in proportion.
    blur : float
        σ in pixels at 112 rows.
    learning_rate : float
        Of Adam.

    References
    ----------
    Khorram, Lawson and Li 2021, iGOS++: integrated gradient optimized saliency by bilateral perturbations, arXiv
        2012.15783

    Examples
    --------
    >>> IGOSPlusPlus(iterations=2, steps=2)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "probability"
    perturbation: Perturbation = "blur"
    iterations: int = 15
    steps: int = 5
    sparsity: float = 1e-4
    smoothness: float = 1e-2
    beta: float = 2.0
    cells: int = 28
    blur: float = 20.0
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        _check(self)

    @attribution_call("igos_plus_plus")
    def __call__(self, batch: Batch) -> Maps:
        return _found(self, batch, masks=2)


def _check(method: IGOS | IGOSPlusPlus) -> None:
    check_field(min(method.iterations, method.steps) >= 1, "1 iteration and 1 step or more", method)
    check_field(method.beta >= 1, "beta of 1 or more", method.beta)
    check_field(method.cells >= 1, "1 cell or more", method.cells)


def _found(method: IGOS | IGOSPlusPlus, batch: Batch, *, masks: int) -> tuple[Tensor, list[Details]]:
    """Maps [N,T,H,W] and details of clips, one after the other."""
    check_probability(batch.model)
    return clip_by_clip(batch, lambda model, x, target: _one(method, model, x, target, masks))


def _one(method: IGOS | IGOSPlusPlus, model: VideoModel, x: Tensor, target: int, masks: int) -> tuple[Tensor, Details]:
    """The map [1,T,H,W] of one clip [1,3,T,H,W] and facts about it, with ``masks`` masks."""
    frames, rows, columns = x.shape[2:]
    shape = min(rows, method.cells), min(columns, max(1, round(method.cells * columns / rows)))
    perturb = perturbation(x, method.perturbation, 2, method.blur)

    def drawn(parameters: Tensor) -> Tensor:
        return F.interpolate(parameters, size=(rows, columns), mode="bilinear", align_corners=False)

    def along(mask: Tensor) -> Tensor:
        return path_mean(model, perturb, mask, target, method.steps, method.objective)

    def loss(parameters: Tensor, _: Sequence[int], __: int) -> Tensor:
        both = parameters.prod(1)  # [1,T,h,w] of [1,masks,T,h,w]
        size = (1 - both).abs().flatten(1).sum(1)
        penalty = (method.sparsity * size + method.smoothness * total_variation(both, method.beta)) / frames
        if masks == 1:
            return penalty + along(drawn(both))
        delete, insert, joint = drawn(parameters[:, 0]), drawn(parameters[:, 1]), drawn(both)
        return penalty + along(delete) - along(1 - insert) + along(joint) - along(1 - joint)

    start = torch.ones(1, masks, frames, *shape, device=x.device)
    found, used = descend(start, loss, method.iterations, Adam(method.learning_rate))
    with torch.no_grad():
        mask = drawn(found.prod(1))
    return deletion_map(model, x, target, perturb, mask, used[0])


def path_mean(
    model: VideoModel, perturb: Perturb, mask: Tensor, target: int, steps: int, objective: Objective
) -> Tensor:
    """Mean score of the clip behind (k/S)·mask, k = 1 … S, [1]; its gradient is the integrated gradient."""
    values = [
        network_loss(model, perturb(mask * (k / steps), [0]), [target], lambda z, y: score(z, y, objective))
        for k in range(1, steps + 1)
    ]
    return torch.stack(values).mean(0)
