"""Masks found by gradient descent through the network: what the methods that optimise a mask share.

Letters: N clips, P problems (one mask to find each, independent of the others), T×H×W the network's grid. The methods
solve one problem after the other, and every pass of the network has one input. The shapes of all operations are then
fixed, and a mask does not depend on the clips, the areas or the batch size beside it. Inputs that share a batch give
logits that differ in the last bit from those of one input (matrix products choose their kernel by the number of rows),
and hundreds of steps of descent magnify that difference to a different mask.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from voxplain.attribution.passes import forward, score
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel

__all__ = [
    "REWARDS",
    "Adam",
    "Descent",
    "Loss",
    "Optimiser",
    "Patience",
    "Variant",
    "check_field",
    "check_probability",
    "descend",
    "network_loss",
    "scaled",
]

Loss = Callable[[Tensor, Tensor], Tensor]
Variant = Literal["preserve", "delete", "dual"]

# From logits [M,K] and targets [M] to what is to fall, [M]: −log p where the target should stay, −log(1 − p) where it
# should go, both through the log odds, which do not round away where p is near 0 or 1.
REWARDS: dict[str, Loss] = {
    "preserve": lambda z, y: -F.logsigmoid(score(z, y, "log_odds")),
    "delete": lambda z, y: -F.logsigmoid(-score(z, y, "log_odds")),
}


def check_probability(model: VideoModel) -> None:
    """Raise ModelError for a quantity: how much of it weighs as much as the area of a mask is not defined."""
    if model.task == "regression":
        raise ModelError(
            f"expected a class or label, whose probability a mask is weighed against, got a quantity of {model.name}; "
            "use rise, occlusion or a gradient method"
        )


class _NetworkLoss(torch.autograd.Function):
    """A loss of the logits of inputs, with its gradient, one input a pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, model: VideoModel, targets: Tensor, loss: Loss) -> Tensor:
        values, slopes = [], []
        for i in range(len(x)):
            part = slice(i, i + 1)
            with torch.enable_grad():
                leaf = x[part].detach().requires_grad_(True)
                # The network gets a copy: its first layer may write in place, which a leaf forbids.
                value = loss(forward(model, leaf.clone()), targets[part])
                total = value.sum()
                g = torch.autograd.grad(total, leaf, allow_unused=True)[0] if total.requires_grad else None
            if g is None:
                raise ModelError(
                    "expected logits that depend on the input, got no gradient there; "
                    "let the network run with gradients"
                )
            values.append(value.detach())
            slopes.append(g)
        ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * grads[0].view(-1, *[1] * (slopes.ndim - 1)), None, None, None


def network_loss(model: VideoModel, x: Tensor, targets: Sequence[int] | Tensor, loss: Loss) -> Tensor:
    """``loss`` of the network's logits for inputs [M,3,T,H,W], [M]; differentiable in ``x``; inside `recording`."""
    return _NetworkLoss.apply(x, model, torch.as_tensor(targets, device=x.device), loss)


# From the gradient [p,…], the state it keeps and the number of the iteration to the step to take away.
Optimiser = Callable[[Tensor, list[Tensor], int], Tensor]


@dataclass(frozen=True)
class Descent:
    """Gradient descent with momentum: v ← momentum·v + (1 − dampening)·gradient; the step is learning_rate·v.

    The first v is the first gradient, as in torch's SGD.
    """

    learning_rate: float = 0.05  # the video study's code; 0.01 for images in Fong et al.'s
    momentum: float = 0.9
    dampening: float = 0.9

    def __post_init__(self) -> None:
        """Check the fields before any work is done."""
        check_field(self.learning_rate > 0, "a learning rate above 0", self.learning_rate)
        check_field(min(self.momentum, self.dampening) >= 0, "momentum and dampening of 0 or more", self)

    def __call__(self, slope: Tensor, state: list[Tensor], iteration: int) -> Tensor:
        """The step; ``state`` holds v."""
        first = iteration == 0
        v = slope if first else self.momentum * state[0] + (1 - self.dampening) * slope
        state[0] = v
        return self.learning_rate * v


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2014, arXiv 1412.6980) with its usual decays 0.9 and 0.999."""

    learning_rate: float = 0.1

    def __call__(self, slope: Tensor, state: list[Tensor], iteration: int) -> Tensor:
        """The step; ``state`` holds the means of gradient and square."""
        state[0] = 0.9 * state[0] + 0.1 * slope
        state[1] = 0.999 * state[1] + 0.001 * slope**2
        mean, square = state[0] / (1 - 0.9 ** (iteration + 1)), state[1] / (1 - 0.999 ** (iteration + 1))
        return self.learning_rate * mean / (square.sqrt() + 1e-8)


@dataclass(frozen=True)
class Patience:
    """Stop a problem once its parameters moved by no more than ``tolerance`` on average in so many iterations."""

    iterations: int = 0  # 0: never, as the papers do
    tolerance: float = 0.001  # of a parameter in 0–1
    settled: int = 0  # the iteration to count from, for losses that change before it


def descend(
    start: Tensor,
    loss: Callable[[Tensor, list[int], int], Tensor],
    iterations: int,
    optimiser: Optimiser,
    patience: Patience | None = None,
    clamp: bool = True,
) -> tuple[Tensor, list[int]]:
    """Minimise P losses at once from parameters ``start`` [P,…]: the last parameters, and iterations used by each.

    ``loss(parameters, problems, iteration)`` gives [p] for the problems still running, of P. With ``clamp`` parameters
    stay in 0–1. Raises ModelError when a loss is not finite.
    """
    found, running, used = start.clone(), list(range(len(start))), [iterations] * len(start)
    states, before = [torch.zeros_like(start), torch.zeros_like(start)], start.clone()
    for iteration in range(iterations):
        leaf = found[running].requires_grad_(True)
        losses = loss(leaf, running, iteration)
        (slope,) = torch.autograd.grad(losses.sum(), leaf)
        if not bool(torch.isfinite(losses).all()):
            got = losses.tolist()
            raise ModelError(f"expected finite losses, got {got} at iteration {iteration}; lower weights or the rate")
        state = [s[running] for s in states]
        moved_to = leaf.detach() - optimiser(slope, state, iteration)
        found[running] = moved_to.clamp(0, 1) if clamp else moved_to
        for kept, new in zip(states, state, strict=True):
            kept[running] = new
        since = iteration + 1 - (patience.settled if patience else 0)
        if patience and patience.iterations and since > 0 and since % patience.iterations == 0:
            moved = (found - before).abs().flatten(1).mean(1)
            for i in [i for i in running if moved[i] <= patience.tolerance]:
                used[i] = iteration + 1
                running.remove(i)
            before = found.clone()
        if not running:
            break
    return found, used


def scaled(maps: Tensor) -> Tensor:
    """Each map [N,T,H,W] divided by its maximum; a map of zeros stays."""
    top = maps.amax((1, 2, 3), keepdim=True)
    return maps / torch.where(top > 0, top, torch.ones_like(top))


def check_field(ok: bool, expected: str, got: object) -> None:
    """Raise DataError about a field of a method unless ``ok``."""
    if not ok:
        raise DataError(f"expected {expected}, got {got!r}; change it")
