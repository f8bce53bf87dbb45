"""The network behind what a user gives: without a compiler around it, and with weights that gradients can pass."""

import copy

import torch
from torch import nn

__all__ = ["plain_name", "plain_network"]

COMPILED = "_orig_mod"  # under which a module of `torch.compile` holds the original


def plain_network(net: nn.Module) -> nn.Module:
    """The same network where it is plain already.

    Of a network of `torch.compile`, or with parts of it, the original, which has the same weights: hooks and names of
    layers do not work on compiled code. Of a network whose weights were made in inference mode a copy, because no
    gradient can pass them.
    """
    net = _without_compiler(net)
    if any(t.is_inference() for t in (*net.parameters(), *net.buffers())):
        with torch.inference_mode(False):
            net = copy.deepcopy(net)
    return net


def plain_name(layer: str) -> str:
    """The name of a layer in the original of a network of `torch.compile`.

    Examples
    --------
    >>> plain_name("_orig_mod.blocks.2")
    'blocks.2'
    """
    return ".".join(part for part in layer.split(".") if part != COMPILED)


def _without_compiler(module: nn.Module) -> nn.Module:
    """A module without compiled parts; modules above such a part are copied, and share their weights."""
    original = getattr(module, COMPILED, None)
    module = original if isinstance(original, nn.Module) else module
    parts = {name: _without_compiler(part) for name, part in module._modules.items() if part is not None}
    changed = {name: part for name, part in parts.items() if part is not module._modules[name]}
    if changed or getattr(module, "_compiled_call_impl", None) is not None:  # the second: module.compile(), in place
        module = copy.copy(module)
        module._modules = {**module._modules, **changed}
        module._compiled_call_impl = None
    return module
