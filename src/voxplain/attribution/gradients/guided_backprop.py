"""Guided backpropagation and DeconvNet: in the backward pass a ReLU passes only positive gradients.

Springenberg et al. 2014 (arXiv 1412.6806); Zeiler and Fergus 2013 (arXiv 1311.2901). Both show sharp edges but hardly
depend on the class or the upper weights (Adebayo et al. 2018, arXiv 1810.03292): check them with a sanity metric.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.passes import gradient
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.errors import ModelError
from voxplain.model import Objective
from voxplain.model.layers import first_tensor

__all__ = ["DeconvNet", "GuidedBackprop"]


class _Guided(torch.autograd.Function):
    """The value of a ReLU; only positive gradients pass, and only where the ReLU itself was open."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return grads[0].clamp(min=0) * (y > 0), None


class _Deconv(torch.autograd.Function):
    """The value of a ReLU; only positive gradients pass, wherever they come from."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].clamp(min=0), None


@contextmanager
def _replaced_relus(net: nn.Module, rule: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
    """Every call of an `nn.ReLU` inside the block passes gradients by ``rule``; the modules are not changed."""
    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]
    if not relus:
        raise ModelError(
            "expected a network with nn.ReLU modules, got none; build it with nn.ReLU instead of functional or other "
            "activations, or use another method"
        )
    entered: list[Tensor] = []  # calls of ReLUs do not nest

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tensor], dict[str, Any]]:
        x = args[0] if args else kwargs["input"]
        entered[:] = [x]
        # The module works on a copy outside of the graph, so that one that writes in place leaves x as it is.
        return (x.detach().clone(),), {}

    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        return rule(entered.pop(), output)

    def check(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        _check_relus(first_tensor(output))

    handles = [m.register_forward_pre_hook(before, with_kwargs=True) for m in relus]
    handles += [m.register_forward_hook(after) for m in relus]
    handles.append(net.register_forward_hook(check))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_relus(z: Tensor) -> None:
    """Raise ModelError where a ReLU on the way to the logits was no module, or none of the modules was on it."""
    visited: set[Node] = set()
    names: set[str] = set()
    queue = [z.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        names.add(node.name())
        queue += [parent for parent, _ in node.next_functions]
    # All ReLU modules were replaced, so what is left of PyTorch's own was called as a function.
    if "ReluBackward0" in names or not names & {"_GuidedBackward", "_DeconvBackward"}:
        got = "a ReLU called as a function" if "ReluBackward0" in names else "no nn.ReLU on the way to the logits"
        raise ModelError(
            f"expected every ReLU to be an nn.ReLU module, got {got}; build the network with a module for each, "
            "or use another method"
        )


@dataclass(frozen=True)
class GuidedBackprop:
    """Guided backpropagation: the gradient in which every ReLU passes g·[g>0]·[x>0] in place of g·[x>0].

    For networks whose ReLUs are `nn.ReLU` modules; raises ModelError for others.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`. The networks of the video attribution study end in softmax,
        which is "probability".
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Springenberg et al. 2014, Striving for simplicity, arXiv 1412.6806

    Examples
    --------
    >>> GuidedBackprop()(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("guided_backprop")
    def __call__(self, batch: Batch) -> Maps:
        with _replaced_relus(batch.model.net, _Guided.apply):
            g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(g, self.channels)


@dataclass(frozen=True)
class DeconvNet:
    """DeconvNet: the gradient in which every ReLU passes g·[g>0] in place of g·[x>0].

    For networks whose ReLUs are `nn.ReLU` modules; raises ModelError for others. Max pools send values back to where
    the maximum was, as the paper's switches do.

    Parameters
    ----------
    objective : str
        Class score to explain: an entry of `OBJECTIVES`.
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "absolute" is the mean of absolute values, "signed"
        the sum.

    References
    ----------
    Zeiler and Fergus 2013, Visualizing and understanding convolutional networks, arXiv 1311.2901

    Examples
    --------
    >>> DeconvNet()(model, clip).shape
    (8, 32, 32)
    """

    objective: Objective = "logit"
    channels: Channels = "absolute"

    @attribution_call("deconvnet")
    def __call__(self, batch: Batch) -> Maps:
        with _replaced_relus(batch.model.net, _Deconv.apply):
            g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(g, self.channels)
