"""FGVis: a mask of every voxel, kept from adversarial patterns by gradients that stop at units the clip never had.

Letters: T×H×W the network's grid, m [T,H,W] the mask, u the values after each ReLU for the clip itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from voxplain.attribution.call import Batch, Details, Maps, attribution_call
from voxplain.attribution.masks.blur_pyramid import Perturbation, perturbation
from voxplain.attribution.masks.clip_by_clip import clip_by_clip, deletion_map
from voxplain.attribution.masks.mask_descent import Adam, check_field, check_probability, descend, network_loss
from voxplain.attribution.passes import forward, score
from voxplain.errors import ModelError
from voxplain.model import Objective, VideoModel

__all__ = ["FGVis"]


@dataclass(frozen=True)
class FGVis:
    """FGVis: minimise λ·mean(1−m) + s(x⊗m) over a mask of single voxels; the map is 1 − m.

    Where a ReLU's output exceeds what it is for the clip itself, no gradient passes through it: evidence can be taken
    away, and units that the clip does not activate cannot be turned on, which is what adversarial patterns do. So no
    smoothness is needed, and the mask is as fine as the clip. One backward pass an iteration.

    Parameters
    ----------
    objective : str
        Class score s: an entry of `OBJECTIVES`.
    perturbation : {"blur", "fade"}
        What a mask does where it is low: "fade" to the mean colour, or "blur".
    iterations : int
        Of Adam; 500 in the paper.
    sparsity : float
        λ.
    blur : float
        σ in pixels at 112 rows.
    learning_rate : float
        Of Adam.

    References
    ----------
    Wagner et al. 2019, Interpretable and fine-grained visual explanations for convolutional neural networks, arXiv
        1908.02686

    Examples
    --------
    >>> FGVis(iterations=3)(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "log_odds"
    perturbation: Perturbation = "fade"
    iterations: int = 100
    sparsity: float = 10.0
    blur: float = 20.0
    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_field(self.iterations >= 1, "1 iteration or more", self.iterations)
        check_field(self.sparsity >= 0, "sparsity of 0 or more", self.sparsity)

    @attribution_call("fgvis")
    def __call__(self, batch: Batch) -> Maps:
        check_probability(batch.model)
        return clip_by_clip(batch, self._one)

    def _one(self, model: VideoModel, x: Tensor, target: int) -> tuple[Tensor, Details]:
        """The map [1,T,H,W] of one clip [1,3,T,H,W], and facts about it."""
        perturb = perturbation(x, self.perturbation, 2, self.blur)
        bounds = clip_activations(model, x)

        def loss(mask: Tensor, _: Sequence[int], __: int) -> Tensor:
            with BoundedReLUs(bounds, model.name):
                value = network_loss(model, perturb(mask, [0]), [target], lambda z, y: score(z, y, self.objective))
            return self.sparsity * (1 - mask).flatten(1).mean(1) + value

        start = torch.ones(1, *x.shape[2:], device=x.device)
        found, used = descend(start, loss, self.iterations, Adam(self.learning_rate))
        return deletion_map(model, x, target, perturb, found, used[0])


class _Bounded(torch.autograd.Function):
    """The value of a ReLU; gradients pass where it was open and is not above its bound."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: Tensor) -> Tensor:
        y = x.clamp(min=0)
        ctx.save_for_backward((y > 0) & (y <= bound))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.saved_tensors[0], None


def _is_relu(func: Any) -> bool:
    return getattr(func, "__name__", "") in ("relu", "relu_")


def clip_activations(model: VideoModel, x: Tensor) -> list[Tensor]:
    """The values after every ReLU call of a pass of the clip [1,3,T,H,W]."""
    found: list[Tensor] = []

    class Record(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if _is_relu(func):
                found.append(out.detach().clone())
            return out

    with torch.no_grad(), Record():
        forward(model, x)
    return found


class BoundedReLUs(TorchFunctionMode):
    """While on, for one pass of the network, no gradient passes a ReLU above its bound."""

    def __init__(self, bounds: Sequence[Tensor], network: str) -> None:
        """For the bounds of that network's calls, in their order."""
        super().__init__()
        self.left, self.network = list(bounds), network

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        if not _is_relu(func):
            return func(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        if not self.left or self.left[0].shape != x.shape:
            raise ModelError(
                f"expected {self.network} to call the same ReLUs on the clip and on the perturbed clip, got others; "
                "use a gradient or perturbation method"
            )
        # A margin for rounding: at the clip itself every gradient passes.
        bound = self.left.pop(0)
        y = _Bounded.apply(x, bound + 1e-5 * bound.abs().max())
        in_place = func.__name__ == "relu_" or kwargs.get("inplace", len(args) > 1 and args[1])
        return x.copy_(y) if in_place else y
