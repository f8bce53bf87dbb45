"""DeepLIFT, rescale rule: what each voxel contributes to the difference of the logit from that of a reference clip.

Letters: x an activation of the clip, x⁰ the same activation of the reference, Δx = x − x⁰.
Shrikumar, Greenside, Kundaje 2017 (arXiv 1704.02685); max pools as in Lundberg and Lee 2017 (arXiv 1705.07874).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from voxplain.attribution.call import Batch, Maps, attribution_call
from voxplain.attribution.gates import RefuseDerivedGates
from voxplain.attribution.gradients.path import completeness_gaps
from voxplain.attribution.passes import base_input, forward, recording
from voxplain.attribution.reduce import Channels, over_channels
from voxplain.attribution.relevance.differences import Difference, layer_norm_rule, product_rule, softmax_rule
from voxplain.attribution.relevance.nodes import ROUTING, before, is_live, node_name
from voxplain.attribution.relevance.operations import ACTIVATIONS, canonical, first_argument, plain_value, put_back
from voxplain.attribution.relevance.products import ATTENTION, attention_scores, multi_head
from voxplain.attribution.relevance.recurrent import RECURRENT, plain_recurrent
from voxplain.attribution.relevance.relevance_pass import frozen, full_precision
from voxplain.errors import ModelError
from voxplain.model import stack

__all__ = ["DeepLIFT"]

MAXIMA = frozenset(("amax", *(f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3))))
OPERATIONS = """
Convolution Addmm Mm Bmm Linear NativeBatchNorm CudnnBatchNorm MiopenBatchNorm Mean Sum Add Sub Rsub Neg Mul Div
AvgPool2D AvgPool3D AdaptiveAvgPool2D AdaptiveAvgPool3D MkldnnAdaptiveAvgPool2D
"""
LINEAR = frozenset(f"{n}Backward" for n in OPERATIONS.split())
# Linear in one argument at a time.
PRODUCTS = frozenset(f"{n}Backward" for n in ("Convolution", "Addmm", "Mm", "Bmm", "Linear", "Mul", "NativeBatchNorm"))
# Routes that depend on the values.
CHOOSING = """
MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D AdaptiveMaxPool3D Amax Max Maximum MaskedFill Where
"""
ALLOWED = LINEAR | (ROUTING - {f"{n}Backward" for n in CHOOSING.split()})
OTHERS = (
    "expected {} to run the same operations on the clip and on its reference, got others; use a gradient or "
    "perturbation method"
)
# Operations with more than one input that depends on the clip, or whose outputs depend on each other.
PURE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mul": torch.mul, "matmul": torch.matmul, "bmm": torch.bmm}
OF_SEVERAL = {
    *(*PURE, "einsum", "softmax", "layer_norm"),
    *("scaled_dot_product_attention", "multi_head_attention_forward"),
}
SMALL = 1e-6  # Δx below this share of x is rounding: the derivative takes the place of Δy/Δx
# How a network reads a value, on which what it does next may depend.
READS = frozenset(("__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy", "equal", "allclose"))
COMPLETE = 1e-3  # completeness gap above which clip and reference are not taken to be the two halves of every tensor


@dataclass(frozen=True, eq=False)
class RecordedOperation:
    """One call of a non-linear operation; ``other`` is the second factor of a product.

    ``joined``: the value for clip and reference one after the other, where both went through the network together.
    """

    name: str
    x: Tensor
    y: Tensor
    other: Tensor | None = None
    joined: Tensor | None = None


def _halves(now: RecordedOperation) -> tuple[RecordedOperation, RecordedOperation]:
    """The call on the clip and on the reference, of a call on both: the halves along the first axis.

    Raises ModelError where it cannot be halved.
    """
    if any(v is not None and (not v.ndim or len(v) % 2) for v in (now.x, now.y, now.other)):
        raise ModelError("expected clip and reference one after the other, got another first axis; use two passes")
    x, y, other = (None if v is None else v.chunk(2) for v in (now.x, now.y, now.other))
    assert x is not None
    assert y is not None
    first, second = (RecordedOperation(now.name, x[i], y[i], other[i] if other else None, now.y) for i in (0, 1))
    return first, second


def _of_clip(now: RecordedOperation, m: Tensor, rule: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Multipliers of an operation's inputs; where the reference is with the clip, it gets zeros."""
    if now.joined is None:
        return rule(m)
    return tuple(torch.cat([g, torch.zeros_like(g)]) for g in rule(m[: len(now.y)]))


class _Multiplier(torch.autograd.Function):
    """An operation whose backward is DeepLIFT's multiplier in place of the derivative."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, now: "RecordedOperation", base: "RecordedOperation", run: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.now, ctx.base, ctx.run = now, base, run
        return (now.y if now.joined is None else now.joined).clone()

    @staticmethod
    def backward(ctx: Any, *m: Tensor) -> tuple[Tensor, None, None, None]:
        (found,) = _of_clip(ctx.now, m[0], lambda v: (_rescaled(ctx.now, ctx.base, ctx.run, v),))
        return found, None, None, None


def _rescaled(now: RecordedOperation, base: RecordedOperation, run: Callable[[Tensor], Tensor], m: Tensor) -> Tensor:
    """Multipliers of x, for those of y = run(x), by the rescale rule."""
    x, y = now.x, now.y
    delta = x - base.x
    flat = delta.abs() <= SMALL * torch.maximum(x.abs(), base.x.abs())
    some = bool(flat.any())
    divisor = torch.where(flat, 1, delta) if some else delta
    if base.name in MAXIMA:
        top = torch.maximum(y, base.y)
        # The rise above the reference goes to the clip's maximum, the fall below it to the reference's.
        found = (_pull(run, x, m * (top - base.y)) + _pull(run, base.x, m * (y - top))) / divisor
    else:
        found = (y - base.y).div_(divisor).mul_(m)
    return torch.where(flat, _pull(run, x, m), found) if some else found


def _pull(run: Callable[[Tensor], Tensor], x: Tensor, m: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        return torch.autograd.grad(run(leaf.clone()), leaf, m)[0]


class _Mode(TorchFunctionMode):
    """Records the reference's non-linear calls, or, given those, replaces the clip's by multipliers.

    ``joined``: clip and reference go through the network together, in this order along the first axis.
    """

    def __init__(self, reference: list[RecordedOperation] | None, network: str, *, joined: bool = False) -> None:
        super().__init__()
        self.reference, self.network, self.joined = reference, network, joined
        self.operations: list[RecordedOperation] = []
        self.count, self.reads = 0, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, canonical(func)
        self.reads += getattr(func, "__name__", "") in READS
        if name == "batch_norm" and (args[5] if len(args) > 5 else kwargs.get("training", False)):
            raise ModelError("expected batch norm with stored statistics, got statistics of the batch")
        if name in RECURRENT and is_live(args[0]):
            return plain_recurrent(self, func, args, kwargs)
        if name in OF_SEVERAL and (found := self._of_several(func, name, args, kwargs)) is not None:
            return found
        if name not in ACTIVATIONS | MAXIMA or not any(map(is_live, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        x, rest, kwargs = first_argument(args, kwargs)
        value, in_place = plain_value(func, x, rest, kwargs)
        if not isinstance(value, Tensor):
            return func(x, *rest, **kwargs)  # with indices: the check of the graph raises an error
        now = RecordedOperation(name, x.detach().clone(), value.clone())
        pair = self._pair(now)
        if pair is None:
            return func(x, *rest, **kwargs)
        apply: Any = _Multiplier.apply
        return put_back(x, in_place, lambda v: apply(v, *pair, lambda u: func(u, *rest, **kwargs)))

    def _pair(self, now: RecordedOperation) -> tuple[RecordedOperation, RecordedOperation] | None:
        """The call on the clip and the same one on the reference; None while the reference is recorded."""
        if self.joined:
            return _halves(now)
        self.count += 1
        if self.reference is None:
            self.operations.append(now)
            return None
        base = self.reference[self.count - 1] if self.count <= len(self.reference) else None
        if base is None or (base.name, base.x.shape, base.y.shape) != (now.name, now.x.shape, now.y.shape):
            raise ModelError(OTHERS.format(self.network))
        return now, base

    def _of_several(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """The value of an operation of the module `differences`; None for calls that are none."""
        if name == "scaled_dot_product_attention":
            given = dict(zip(ATTENTION, args, strict=False)) | kwargs
            return self._attend(given["query"], given["key"], given["value"], given)
        if name == "multi_head_attention_forward":
            return multi_head(args, kwargs, F.linear, lambda q, k, v: self._attend(q, k, v, {}))
        if name == "softmax":
            x, rest, kwargs = first_argument(args, kwargs)
            dim = kwargs.get("dim", rest[0] if rest else None)
            return self._softmax(x, dim) if is_live(x) and dim is not None else None
        if name == "layer_norm":
            return self._layer_norm(func, args, kwargs)
        operands = args[1:] if name == "einsum" else (*args, *kwargs.values())
        if len(operands) != 2 or not all(map(is_live, operands)):
            return None
        run = (lambda a, b: func(args[0], a, b)) if name == "einsum" else PURE[name]
        a, b = operands
        in_place = getattr(func, "__name__", "") in ("mul_", "__imul__")
        return put_back(a, in_place, lambda left: self._product(name, run, left, b))

    def _product(self, name: str, run: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
        value = run(a, b)
        if not (is_live(a) and is_live(b)):
            return value
        pair = self._pair(RecordedOperation(name, a.detach().clone(), value.detach(), b.detach().clone()))
        if pair is None:
            return value
        now, base = pair
        assert now.other is not None
        assert base.other is not None
        return _apply(now, product_rule(run, (now.x, now.other), (base.x, base.other)), a, b)

    def _softmax(self, x: Tensor, dim: int) -> Tensor:
        pair = self._pair(RecordedOperation("softmax", x.detach().clone(), x.detach().softmax(dim)))
        return x.softmax(dim) if pair is None else _apply(pair[0], softmax_rule(pair[0].x, pair[1].x, dim), x)

    def _layer_norm(self, func: Any, args: Any, kwargs: Any) -> Any:
        given = dict(zip(("input", "normalized_shape", "weight", "bias", "eps"), args, strict=False)) | kwargs
        x, weight, value = given["input"], given.get("weight"), func(*args, **kwargs)
        if not is_live(x):
            return value
        pair = self._pair(RecordedOperation("layer_norm", x.detach().clone(), value.detach()))
        if pair is None:
            return value
        axes = tuple(range(-len(given["normalized_shape"]), 0))
        return _apply(pair[0], layer_norm_rule(pair[0].x, pair[1].x, axes, weight, given.get("eps", 1e-5)), x)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, given: dict[str, Any]) -> Tensor:
        scale, mask = attention_scores(q, k, given)
        scores = self._product("matmul", torch.matmul, q, k.transpose(-2, -1)) * scale
        scores = scores if mask is None else scores + mask
        weights = self._softmax(scores, -1) if is_live(scores) else scores.softmax(-1)
        return self._product("matmul", torch.matmul, weights, v)


def _apply(now: RecordedOperation, rule: Callable[[Tensor], tuple[Tensor, ...]], *inputs: Tensor) -> Tensor:
    """The operation's value, whose backward gives its inputs their multipliers."""
    value = now.y if now.joined is None else now.joined
    found: Tensor = Difference.apply(lambda m: _of_clip(now, m, rule), value, *inputs)
    return found


def _check(z: Tensor, network: str) -> None:
    """Raise ModelError where logits depend on the clip through an operation that is neither linear nor a multiplier."""
    if z.grad_fn is None:
        raise ModelError("expected logits that depend on the input, got a constant; let the network run with gradients")
    own = (_Multiplier._backward_cls, Difference._backward_cls)
    for node in before(z.grad_fn):
        name = node_name(node)
        fed = [n is not None for n, _ in node.next_functions]
        product = (name in PRODUCTS and sum(fed) > 1) or (name == "DivBackward" and fed[1:] == [True])
        if product or not (isinstance(node, own) or name in ALLOWED):
            what = "a product of two activations" if product else name.removesuffix("Backward")
            raise ModelError(
                "expected linear operations, elementwise activations, products, softmax, layer norm and max pools of "
                "tensors, got "
                f"{what} in {network}; use a gradient or perturbation method"
            )


def multipliers(batch: Batch, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers m [N,3,T,H,W] of inputs and references, and the logits' differences [N].

    Clip and reference go through the network together, which takes a third less time than one after the other. Where
    they are not the halves of every tensor, as in networks whose first axis is another, what comes out is not complete
    or an error, and two passes follow.
    """
    model = batch.model
    with recording(model.net), frozen(model.net), full_precision():
        if 2 * len(batch.x) <= model.pass_size:
            try:
                m, rise = _together(batch, reference)
            except (ModelError, RuntimeError):
                pass  # two passes give the multipliers, or an error that says what is wrong
            else:
                if max(completeness_gaps(m * (batch.x - reference).float(), rise)) <= COMPLETE:
                    return m, rise
        return _one_after_another(batch, reference)


def _together(batch: Batch, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers and differences by one pass of clips and references."""
    model, n = batch.model, len(batch.x)
    leaf = torch.cat([batch.x.detach(), reference.detach()]).requires_grad_(True)
    with RefuseDerivedGates(model.name), _Mode(None, model.name, joined=True) as mode:
        z = forward(model, leaf.clone())
    if mode.reads > 1:  # one is the test for finite logits
        raise ModelError("expected a network that does the same whatever the values, got one that reads them")
    _check(z, model.name)
    z = z[torch.arange(2 * n), list(batch.targets) * 2]
    (m,) = torch.autograd.grad(z[:n].sum(), leaf)
    return m[:n].float(), (z[:n] - z[n:]).detach()


def _one_after_another(batch: Batch, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers and differences by a pass of the references and one of the clips."""
    model, network, rows = batch.model, batch.model.name, torch.arange(len(batch.x))
    with RefuseDerivedGates(network), _Mode(None, network) as first:
        # Recorded as the second pass is, so that both run the same operations; its graph is freed at once.
        z0 = forward(model, reference.detach().clone().requires_grad_(True).clone())[rows, batch.targets].detach()
    leaf = batch.x.detach().clone().requires_grad_(True)
    with RefuseDerivedGates(network), _Mode(first.operations, network) as second:
        z = forward(model, leaf.clone())
    if second.count != first.count:
        raise ModelError(OTHERS.format(network))
    _check(z, network)
    z = z[rows, batch.targets]
    (m,) = torch.autograd.grad(z.sum(), leaf)
    return m.float(), (z - z0).detach()


@dataclass(frozen=True)
class DeepLIFT:
    """DeepLIFT, rescale rule: m·Δx with multipliers m that run from the target's logit to the input.

    The multipliers are Δy/Δx at activations and the weights at linear operations; products, softmax, layer norm and
    attention have exact ones, see `differences`, and recurrent layers are unrolled into linear layers, activations and
    products. The signed values add up to the difference of the logits of clip and reference;
    ``details["completeness_gap"]`` is how far they are from it, relative to it: rounding only. Raises ModelError for
    operations without a multiplier.

    Parameters
    ----------
    baseline : str
        The reference, an entry of `FILLS`. With black, maps show what is bright rather than what decides
        (docs/defaults.md, "The reference of DeepLIFT").
    channels : str
        Reduction over the three colours: an entry of `CHANNELS`; "signed", their sum, keeps what adds up.

    References
    ----------
    Shrikumar, Greenside and Kundaje 2017, Learning important features through propagating activation differences, arXiv
        1704.02685
    Lundberg and Lee 2017, arXiv 1705.07874 (max pools)

    Examples
    --------
    >>> DeepLIFT()(model, clip).shape
    (8, 32, 32)
    """

    baseline: str = "blur"
    channels: Channels = "signed"

    @attribution_call("deep_lift")
    def __call__(self, batch: Batch) -> Maps:
        reference = base_input(batch.model, stack(batch.clips), self.baseline)
        m, rise = multipliers(batch, reference)
        values = m * (batch.x - reference).float()
        return over_channels(values, self.channels), [{"completeness_gap": g} for g in completeness_gaps(values, rise)]
