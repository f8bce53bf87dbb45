"""Nodes of autograd's graph that propagate relevance in place of gradients, and the check that no others are in it.

Forward, a node computes what the network computes; backward, it distributes the relevance of its output to its inputs
by a rule. Between them autograd's own backward of views, concatenations, padding, indexing and max pools passes
relevance on correctly, because each output value is one input value.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from voxplain.attribution.relevance.rules import Affine, Box, Rule
from voxplain.errors import ModelError

__all__ = [
    "ROUTING",
    "LayerCall",
    "PassSettings",
    "add_up",
    "before",
    "check_graph",
    "is_live",
    "joined",
    "layer_call",
    "made_by",
    "node_name",
    "passed",
    "rescaled",
    "weighted",
]

# Backward nodes that route values: each output value is one input value. Where one input is read several times
# their backward adds up, where it is not read it gets nothing; nothing is scaled.
ROUTES = """
View UnsafeView ReshapeAlias Alias Transpose Permute T Squeeze Unsqueeze Movedim AsStrided Clone ToCopy
Select Slice Split SplitWithSizes UnsafeSplit Unbind Cat Stack Index IndexSelect Gather Expand Repeat Roll Flip
MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D AdaptiveMaxPool3D Amax Max Maximum MaskedFill Where
ConstantPadNd ReplicationPad1D ReplicationPad2D ReplicationPad3D ReflectionPad1D ReflectionPad2D ReflectionPad3D
PixelShuffle PixelUnshuffle NativeChannelShuffle Unfold
"""
ROUTING = frozenset(f"{n}Backward" for n in ROUTES.split()) | {"CopyBackwards", "CopySlices", "AccumulateGrad"}
# Autograd functions of libraries for x · sigmoid(x): of PyTorchVideo and of timm.
SWISH = frozenset({"SwishFunctionBackward", "SwishAutoFnBackward"})
# Those of the module `products` and of joined constants, by the names of their classes.
PRODUCT_NODES = frozenset({"_ProductBackward", "_SoftmaxBackward", "_LinearBackward", "_JoinedBackward"})

# Which rule a layer call takes; "fixed": no weights; "head": the last layer with weights; "above": sums that follow it.
KINDS = ("conv", "dense", "fixed", "first", "head", "above")


@dataclass(eq=False)
class PassSettings:
    """What all nodes of one pass have in common: the rule of each kind of layer call, the clip and its bounds."""

    rules: dict[str, Rule]  # by KINDS; read when relevance flows back
    leaf: Tensor  # the clip
    bounds: tuple[Tensor, Tensor]  # least and greatest value of each of its voxels
    fold: bool = True  # batch norm into the layer before it; False: passed over
    evidence: bool = False  # relevance that enters a recurrent layer is rescaled to a sum of T for each clip
    # Whether attention weights take relevance or are constants; None: products and attention have no rule.
    attention: bool | None = None
    recurrent: int = 0  # recurrent layers so far
    constants: float = 0.0  # relevance that the constant terms of softmaxes have taken
    # Relevance that biases have taken, and what else does not depend on the clip: added positions, class tokens.
    biases: float = 0.0


@dataclass(eq=False)
class LayerCall:
    """One call of a layer: the parameters with which a node distributes relevance."""

    settings: PassSettings
    layer: Affine
    kind: str
    source: Tensor  # the layer's input, with its graph
    box: Box | None = None

    def relevance(self, x: Tensor, r: Tensor) -> Tensor:
        """Relevance of the inputs, for relevance r of the outputs, in float32 or better."""
        to, box = torch.promote_types(x.dtype, torch.float32), self.box
        if box is not None:
            box = Box(box.low.to(to), box.high.to(to), box.here.to(to))
        found, biases = self.settings.rules[self.kind](self.layer.to(to), x.to(to), r.to(to), box)
        self.settings.biases += biases
        return found.to(x.dtype)


class _Rule(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, call: LayerCall, run: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.call = call
        ctx.save_for_backward(x)
        return run(x)

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, None, None]:
        return ctx.call.relevance(ctx.saved_tensors[0], r[0]), None, None


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str, run: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.of, ctx.dtype = name, x.dtype
        return run(x)

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, None, None]:
        return r[0].to(ctx.dtype), None, None


class _Joined(torch.autograd.Function):
    """Values some of which do not depend on the clip; their relevance is counted."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: PassSettings, constant: Tensor) -> Tensor:
        ctx.settings, ctx.constant = settings, constant
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> tuple[Tensor, None, None]:
        ctx.settings.biases += float(r[0].detach()[ctx.constant.expand(r[0].shape)].double().sum())
        return r[0], None, None


class _Rescale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *r: Tensor) -> Tensor:
        total = r[0].sum((0, 2), keepdim=True)
        return torch.where(total > 0, r[0] * len(r[0]) / total, 0)


OWN: Any = tuple(f._backward_cls for f in (_Rule, _Pass, _Rescale))


def is_live(value: object) -> bool:
    """Whether a value depends on the clip."""
    return isinstance(value, Tensor) and value.requires_grad


def passed(x: Tensor, run: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """``run(x)``, elementwise, whose relevance goes to x unchanged."""
    return _Pass.apply(x, name, run) if is_live(x) else run(x)


def weighted(settings: PassSettings, x: Tensor, layer: Affine, kind: str, run: Callable[[Tensor], Tensor]) -> Tensor:
    """``run(x)``, the layer's output, whose relevance is shared by the rule of its kind, or of input layers."""
    if not is_live(x):
        return run(x)
    box = None
    if kind != "fixed" and not any(map(_has_weights, before(x.grad_fn, _has_weights))):
        kind, box = "first", _box(settings, x)
    call = LayerCall(settings, layer, kind, x, box)
    return _Rule.apply(x, call, run)


def add_up(settings: PassSettings, terms: list[Tensor], rest: Tensor | None, value: Tensor) -> Tensor:
    """``value``, the sum of terms that depend on the clip and a rest that does not; shared as by a layer of ones."""
    terms = [t.to(value.dtype).expand(value.shape) for t in terms]
    layer = Affine(lambda v, _: v.sum(-1), bias=rest)
    return weighted(settings, torch.stack(terms, -1), layer, "fixed", lambda _: value)


def joined(settings: PassSettings, x: Tensor, constant: Tensor) -> Tensor:
    """x, in which the places of ``constant``, a bool that broadcasts onto it, do not depend on the clip."""
    return _Joined.apply(x, settings, constant)


def rescaled(x: Tensor) -> Tensor:
    """Sequences [T,N,F] as they are, whose relevance is rescaled to a sum of T over steps and units for each clip."""
    return _Rescale.apply(x) if is_live(x) else x


def layer_call(x: Tensor) -> LayerCall | None:
    """The layer call that made a tensor; None for other operations."""
    node: Any = x.grad_fn
    return node.call if isinstance(node, OWN[0]) else None


def made_by(x: Tensor, names: frozenset[str]) -> bool:
    """Whether a tensor is the output of one of the named activations, at most viewed otherwise since."""
    node: Any = x.grad_fn
    while node is not None and not isinstance(node, OWN):
        if node_name(node) == "_SoftmaxBackward":
            return "softmax" in names
        inputs = [n for n, _ in node.next_functions if n is not None]
        node = inputs[0] if node_name(node) in ROUTING and len(inputs) == 1 else None
    return node is not None and getattr(node, "of", None) in names


def node_name(node: Node) -> str:
    """The kind of an autograd node, as in AddBackward: without the number that versions of PyTorch give it."""
    return re.sub(r"\d+$", "", node.name().rpartition("::")[2])


def before(root: Node | None, stop: Callable[[Node], bool] = lambda _: False) -> Iterator[Any]:
    """A node and all nodes that it depends on, each once; without those before a node for which ``stop`` is true."""
    found: set[Node] = set()
    queue = [root]
    while queue:
        node = queue.pop()
        if node is None or node in found:
            continue
        found.add(node)
        yield node
        if not stop(node):
            queue += [n for n, _ in node.next_functions]


def _has_weights(node: Any) -> bool:
    return isinstance(node, OWN[0]) and node.call.layer.weight is not None


def _box(settings: PassSettings, x: Tensor) -> Box | None:
    """The bounds of a layer's input that is the clip itself, at most moved and padded; None for any other input."""
    if any(isinstance(node, OWN) for node in before(x.grad_fn, lambda n: isinstance(n, OWN))):
        return None
    v = torch.zeros_like(x, requires_grad=True)
    with torch.enable_grad():
        # What moved the clip here is linear, g = Sᵀv; so ∂⟨g,l⟩/∂v = S·l moves its bounds the same way.
        g = torch.autograd.grad(x, settings.leaf, v, create_graph=True)[0]
        low, high, here = (
            torch.autograd.grad(g, v, bound, retain_graph=True)[0]
            for bound in (*settings.bounds, torch.ones_like(settings.leaf))
        )
    return Box(low, high, here)


def _is_swish(node: Any) -> bool:
    """Whether a node is x · sigmoid(x) written as an autograd function, as in X3D of PyTorchVideo.

    By its name, and by its derivative at the x that it saved, because another function may have the same name.
    """
    if node_name(node) not in SWISH or len(node.next_functions) != 1 or len(node.saved_tensors) != 1:
        return False
    x = node.saved_tensors[0].detach()
    s = x.sigmoid()
    found = node.apply(torch.ones_like(x))
    return isinstance(found, Tensor) and torch.allclose(found.detach(), s * (1 + x * (1 - s)), rtol=1e-2, atol=1e-3)


def check_graph(z: Tensor, network: str) -> None:
    """Mark the last layers with weights and the sums above them, and check that every node of the graph has a rule.

    An activation that the network defines as an autograd function gets a hook by which it passes relevance on.

    Raises ModelError where logits do not depend on the clip, or depend on it through an operation without a rule.
    """
    if z.grad_fn is None:
        raise ModelError("expected logits that depend on the input, got a constant; let the network run with gradients")
    for node in before(z.grad_fn, _has_weights):
        if isinstance(node, OWN[0]):
            node.call.kind = "above" if node.call.kind == "fixed" else "head"
    for node in before(z.grad_fn):
        if _is_swish(node):
            node.register_hook(lambda _, outputs: outputs)
        elif not isinstance(node, OWN) and node_name(node) not in ROUTING | PRODUCT_NODES:
            operation = node_name(node).removesuffix("Backward")
            raise ModelError(
                f"expected operations with a relevance rule (convolutions, linear and recurrent layers, norms, pools, "
                f"sums, products, attention, activations, views), got {operation} in {network}; use a gradient or "
                "perturbation method"
            )
