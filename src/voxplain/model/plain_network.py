"""The network behind what a user gives: without a compiler around it, and with weights that gradients can pass."""

import copy

import torch
from torch import nn

__all__ = ["plain_network"]


def plain_network(net: nn.Module) -> nn.Module:
    """The same network where it is plain already.

    Of a network of `torch.compile` the original, which has the same weights: hooks and names of layers do not work on
    compiled code. Of a network whose weights were made in inference mode a copy, because no gradient can pass them.
    """
    original = getattr(net, "_orig_mod", None)
    net = original if isinstance(original, nn.Module) else net
    if getattr(net, "_compiled_call_impl", None) is not None:  # net.compile(), in place
        net = copy.copy(net)
        net._compiled_call_impl = None
    if any(t.is_inference() for t in (*net.parameters(), *net.buffers())):
        with torch.inference_mode(False):
            net = copy.deepcopy(net)
    return net
