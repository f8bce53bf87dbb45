"""A copy of a network with randomised weights in some layers; the network itself is not changed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from voxplain.attribution.passes import logits
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import find_layer

__all__ = ["copied", "redraw", "weight_layers"]

# Their weights only scale and shift; initialised again they are 1 and 0, and the running statistics would be lost.
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def copied(model: VideoModel) -> VideoModel:
    """The same model on a deep copy of its network."""
    # Copies made inside inference mode could take part in no gradient.
    with torch.inference_mode(False):
        return replace(model, net=copy.deepcopy(model.net))


def weight_layers(model: VideoModel, x: Tensor) -> list[str]:
    """Names of the layers that hold weights, the one nearest the output first, by when they ran on ``x``.

    Normalisation layers are left out. A layer that never runs by itself is placed where the module around it runs.
    """
    modules = dict(model.net.named_modules())
    ran: dict[str, int] = {}
    with _recording_order(modules, ran):
        logits(model, x)
    names = [name for name, m in modules.items() if not isinstance(m, NORMS) and list(m.parameters(recurse=False))]
    if not names:
        raise ModelError(f"expected layers with weights in {model.name}, got none; there is nothing to randomise")
    place = {name: i for i, name in enumerate(modules)}
    return sorted(names, key=lambda name: (_when(name, ran), place[name]), reverse=True)


def _when(name: str, ran: dict[str, int]) -> int:
    if not name:
        return -1  # weights of the network itself: tokens and places that are added to the input
    while name not in ran and name:
        name = name.rpartition(".")[0]
    return ran.get(name, -1)


@contextmanager
def _recording_order(modules: dict[str, nn.Module], ran: dict[str, int]) -> Iterator[None]:
    """Record the order of the modules' last calls."""
    calls = iter(range(2**62))

    def note(name: str) -> object:
        def hook(*_: object) -> None:
            ran[name] = next(calls)

        return hook

    handles = [m.register_forward_hook(note(name)) for name, m in modules.items()]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def redraw(net: nn.Module, name: str, seed: int) -> None:
    """Randomise the weights of one layer in place: as PyTorch initialises it, or else its own values shuffled."""
    layer = find_layer(net, name) if name else net
    own = list(layer.parameters(recurse=False))
    before = [p.detach().clone() for p in own]
    reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        if callable(reset):
            reset()
        if all(torch.equal(a, b) for a, b in zip(before, own, strict=True)):
            for p in own:  # layers of other libraries, and weights that PyTorch derives from others
                flat = p.detach().flatten()
                p.copy_(flat[torch.randperm(len(flat)).to(p.device)].view_as(p))
