"""One recorded forward pass of a network, and relevance propagated back through it.

Letters: N clips, K classes. The network's own code runs; each operation on what depends on the clip becomes a node
with a relevance rule (`operations`), so functional calls, modules used twice, in-place operations, residual sums and
concatenations need nothing of the network's author.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voxplain.attribution.passes import forward, recording
from voxplain.attribution.relevance.nodes import PassSettings, check_graph
from voxplain.attribution.relevance.operations import RelevanceMode
from voxplain.attribution.relevance.rules import Rule
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import find_layer, record_output

__all__ = ["RecordedPass", "frozen", "full_precision", "record_pass"]


@dataclass(frozen=True, eq=False)
class RecordedPass:
    """A recorded pass: ``logits`` [N,K], the ``settings``, and the tensors ``sources`` whose relevance is computed."""

    logits: Tensor
    settings: PassSettings
    sources: list[Tensor]

    def back(self, start: Tensor, *, again: bool = False) -> list[Tensor]:
        """Relevance of the sources, for relevance [N,K] of the logits; ``again``: more calls will follow."""
        try:
            found = torch.autograd.grad(self.logits, self.sources, start, retain_graph=again, allow_unused=True)
        except RuntimeError as error:
            if "inplace operation" not in str(error):
                raise
            raise ModelError(
                "expected activations that stay as they were until relevance returns, got one overwritten in place; "
                "set inplace=False in the network"
            ) from error
        return [torch.zeros_like(a) if r is None else r for a, r in zip(self.sources, found, strict=True)]


@contextmanager
def record_pass(
    model: VideoModel,
    x: Tensor,
    rules: dict[str, Rule],
    *,
    layer: str | None = None,
    fold: bool = True,
    evidence: bool = False,
    attention: bool | None = None,
) -> Iterator[RecordedPass]:
    """A pass of inputs [N,3,T,H,W], no more than ``pass_size``; its sources are the inputs, or the calls of a layer.

    ``rules`` by kind of layer call; ``fold`` batch norm into the layer before it; ``evidence`` and
    ``attention``: see `PassSettings`. Raises ModelError where an operation of the network has no relevance rule.
    """
    with recording(model.net), frozen(model.net), full_precision():
        leaf = x.detach().clone().requires_grad_(True)
        settings = PassSettings(rules, leaf, bounds(model, leaf), fold, evidence, attention)
        calls: list[Tensor] = []

        def keep(a: Tensor) -> Tensor:
            calls.append(a)
            return a

        with _recorded_layer(model.net, layer, keep), RelevanceMode(settings):
            z = forward(model, leaf.clone())
        check_graph(z, model.name)
        if layer is not None and not any(a.requires_grad for a in calls):
            raise ModelError(f"expected layer {layer!r} on the way to the logits, got none of its calls; name another")
        yield RecordedPass(z, settings, [leaf] if layer is None else calls)


@contextmanager
def _recorded_layer(net: nn.Module, layer: str | None, keep: Callable[[Tensor], Tensor]) -> Iterator[None]:
    if layer is None:
        yield
        return
    with record_output(find_layer(net, layer), [], keep):
        yield


def bounds(model: VideoModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Black and white, normalised, for each voxel of inputs [N,3,T,H,W]."""
    mean, std = (torch.tensor(v, device=x.device, dtype=x.dtype).view(1, 3, 1, 1, 1) for v in (model.mean, model.std))
    return (-mean / std).expand(x.shape), ((1 - mean) / std).expand(x.shape)


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Parameters that take no gradient inside, so that only what depends on the input does; as found afterwards."""
    learning = [p for p in net.parameters() if p.requires_grad]
    try:
        for p in learning:
            p.requires_grad_(False)
        yield
    finally:
        for p in learning:
            p.requires_grad_(True)


@contextmanager
def full_precision() -> Iterator[None]:
    """No TensorFloat-32 in convolutions: its rounding would show as relevance that came or went."""
    flags = torch.backends.cudnn
    with flags.flags(
        enabled=flags.enabled, benchmark=flags.benchmark, deterministic=flags.deterministic, allow_tf32=False
    ):
        yield
