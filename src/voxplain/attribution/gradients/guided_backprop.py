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
from torch.autograd.function import BackwardCFunction

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gates import RefuseDerivedGates
from voxplain.attribution.passes import gradient
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.attribution.relevance.nodes import before, node_name
from voxplain.errors import ModelError
from voxplain.model import Objective, VideoModel
from voxplain.model.layers import first_tensor

__all__ = ["DeconvNet", "GuidedBackprop"]


# Nodes of autograd's graph that let values through or not, by their size.
GATES = {
    *("Relu", "Hardtanh", "Clamp", "ClampMin", "ClampMax", "Silu", "Gelu", "Hardswish", "LeakyRelu", "Elu", "Softplus"),
    *("Mish", "Threshold", "Where", "Maximum", "Minimum", "Prelu", "PreluKernel", "RreluWithNoise"),
    *("Hardshrink", "Softshrink"),
}


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
def _replaced_relus(model: VideoModel, rule: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
    """Every call of an `nn.ReLU` inside the block passes gradients by ``rule``; the modules are not changed."""
    net = model.net
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
        with RefuseDerivedGates(model.name):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _check_relus(z: Tensor) -> None:
    """Raise ModelError where a gate on the way to the logits was no ReLU module, or none of the modules was on it."""
    nodes = list(before(z.grad_fn))
    own = ("_GuidedBackward", "_DeconvBackward")
    names = {node_name(node): isinstance(node, BackwardCFunction) for node in nodes}
    # All ReLU modules were replaced, so what is left of PyTorch's own was called as a function.
    gates = [n for n, custom in names.items() if n not in own and (custom or n.removesuffix("Backward") in GATES)]
    if gates or not names.keys() & set(own):
        got = gates[0].removesuffix("Backward") if gates else "no nn.ReLU on the way to the logits"
        got = "a ReLU called as a function" if got == "Relu" else f"the gate {got}" if gates else got
        raise ModelError(
            f"expected every ReLU to be an nn.ReLU module, got {got}; build the network with a module for each, "
            "or use another method"
        )


@dataclass(frozen=True)
class GuidedBackprop:
    """Guided backpropagation: the gradient in which every ReLU passes g·[g>0]·[x>0] in place of g·[x>0].

    For networks whose gates are all `nn.ReLU` modules; raises ModelError for others (ReLU6, GELU, Swish, clamp).

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
        with _replaced_relus(batch.model, _Guided.apply):
            g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(g, self.channels)


@dataclass(frozen=True)
class DeconvNet:
    """DeconvNet: the gradient in which every ReLU passes g·[g>0] in place of g·[x>0].

    For networks whose gates are all `nn.ReLU` modules; raises ModelError for others (ReLU6, GELU, Swish, clamp). Max
    pools send values back to where the maximum was, as the paper's switches do.

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
        with _replaced_relus(batch.model, _Deconv.apply):
            g = gradient(batch.model, batch.x, batch.targets, self.objective)
        return over_channels(g, self.channels)
