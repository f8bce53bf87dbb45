"""How relevance passes through each operation of a network, by the operation's name.

Operations not named here run as they are; `check_graph` raises an error where relevance cannot pass through them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from voxplain.attribution.relevance.nodes import (
    PassSettings,
    add_up,
    is_live,
    joined,
    layer_call,
    made_by,
    passed,
    weighted,
)
from voxplain.attribution.relevance.products import attention, layer_norm, multi_head, product, softmax
from voxplain.attribution.relevance.recurrent import RECURRENT
from voxplain.attribution.relevance.rules import Affine
from voxplain.errors import ModelError

__all__ = ["ACTIVATIONS", "RelevanceMode", "canonical", "first_argument", "plain_value", "put_back"]

ELEMENTWISE = """
relu relu6 leaky_relu prelu rrelu elu celu selu gelu silu mish hardswish hardtanh hardsigmoid softplus softsign
tanhshrink threshold logsigmoid log_sigmoid sigmoid tanh clamp clamp_min clamp_max clip
"""
ACTIVATIONS = frozenset(ELEMENTWISE.split())
# A product with one of these is a gate: the signal takes all relevance (Arras et al. 2017, arXiv 1706.07206).
GATES = frozenset({"sigmoid", "hardsigmoid"})
# Norms that are written out, x · rsqrt(…) and x / sqrt(…): the normaliser is a constant.
NORMALISERS = frozenset({"rsqrt", "sqrt"})
AVERAGES = ("mean", "sum", *(f"{kind}avg_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)))
ALIASES = {
    "iadd": "add",
    "radd": "add",
    "isub": "sub",
    "subtract": "sub",
    "imul": "mul",
    "rmul": "mul",
    "multiply": "mul",
    "truediv": "div",
    "itruediv": "div",
    "divide": "div",
    "true_divide": "div",
    "negative": "neg",
    "mm": "matmul",
}

Handler = Callable[[PassSettings, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def canonical(func: Any) -> str:
    """One name for torch.add, Tensor.add_, + and +=."""
    name = getattr(func, "__name__", "").strip("_")
    return ALIASES.get(name, name)


def first_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The operation's input, and its other arguments."""
    if args:
        return args[0], args[1:], kwargs
    return kwargs["input"], (), {k: v for k, v in kwargs.items() if k != "input"}


def plain_value(func: Any, x: Any, rest: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool]:
    """The operation's value, without a graph, and whether it writes into its first argument."""

    def bare(value: Any) -> Any:
        return value.detach() if isinstance(value, Tensor) else value

    copy = x.detach().clone() if isinstance(x, Tensor) else x
    before = copy._version if isinstance(copy, Tensor) else 0
    with torch.no_grad():
        value = func(copy, *map(bare, rest), **{k: bare(v) for k, v in kwargs.items()})
    return value, isinstance(copy, Tensor) and copy._version != before


def put_back(x: Tensor, in_place: bool, make: Callable[[Tensor], Tensor]) -> Tensor:
    """``make(x)``, written into x where the network does so."""
    return x.copy_(make(x.clone())) if in_place else make(x)


def _activation(_: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, rest, kwargs = first_argument(args, kwargs)
    value, in_place = plain_value(func, x, rest, kwargs)
    return put_back(x, in_place, lambda v: passed(v, lambda _: value, canonical(func)))


def _average(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, rest, kwargs = first_argument(args, kwargs)
    layer = Affine(lambda v, _: func(v, *rest, **kwargs))
    return weighted(settings, x, layer, "fixed", lambda v: func(v, *rest, **kwargs))


def _convolution(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _with_weights(settings, func, "conv", *args, **kwargs)


def _linear(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _with_weights(settings, func, "dense", *args, **kwargs)


def _with_weights(
    settings: PassSettings,
    func: Any,
    kind: str,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *rest: Any,
    **k: Any,
) -> Any:
    if is_live(weight) or is_live(bias):  # the check of the graph raises an error that names it
        return func(input, weight, bias, *rest, **k)
    along = tuple(range(1, weight.ndim)) if kind == "conv" else (-1,)
    wide = bias if bias is None or kind == "dense" else bias.reshape(-1, *[1] * (weight.ndim - 2))
    layer = Affine(lambda v, w: func(v, w, None, *rest, **k), weight, wide, along)
    return weighted(settings, input, layer, kind, lambda v: func(v, weight, bias, *rest, **k))


def _matmul(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = _pair(args, kwargs)
    if is_live(a) and is_live(b) and settings.attention is not None:
        return product(settings, a, b, func)
    if is_live(a) and is_live(b):
        return func(*args, **kwargs)  # not linear: the check of the graph raises an error that names it
    if not is_live(a) or b.ndim != 2:
        live = a if is_live(a) else b
        layer = Affine((lambda v, _: func(v, b)) if live is a else (lambda v, _: func(a, v)))
        return weighted(settings, live, layer, "fixed", lambda v: func(v, b) if live is a else func(a, v))
    return weighted(settings, a, Affine(func, b, None, (-1,)), "dense", lambda v: func(v, b))


def _batch_norm(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Folded into the convolution or linear layer right before it; passed over where there is none."""
    if func is not F.batch_norm:
        return func(*args, **kwargs)
    return _normalise(settings, *args, **kwargs)


def _normalise(
    settings: PassSettings,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    mean, variance = running_mean, running_var
    if training or mean is None or variance is None:
        raise ModelError(
            "expected batch norm with stored statistics, got statistics of the batch; evaluate the network"
        )
    value = F.batch_norm(input.detach(), mean, variance, weight, bias, False, momentum, eps)
    call = layer_call(input) if settings.fold else None
    rows = None if call is None or call.layer.weight is None else len(call.layer.weight)
    if call is None or rows != len(mean) or (call.kind == "dense" and input.ndim != 2):
        return passed(input, lambda _: value, "batch_norm")
    old, scale = call.layer, (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
    wide = (-1, *[1] * (input.ndim - 2))
    assert old.weight is not None
    start = (0.0 if old.bias is None else old.bias.flatten()) - mean
    shift = start * scale + (0.0 if bias is None else bias)
    layer = Affine(
        old.apply, old.weight * scale.reshape(-1, *[1] * (old.weight.ndim - 1)), shift.reshape(wide), old.axes
    )
    kind = "dense" if old.axes == (-1,) else "conv"
    return weighted(settings, call.source, layer, kind, lambda _: value)


def _pair(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    named = [kwargs[k] for k in ("input", "other", "mat2") if k in kwargs]
    a, b, *_ = (*args, *named)
    return a, b


def _sum(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = _pair(args, kwargs)
    factor, name = kwargs.get("alpha", 1), canonical(func)
    value, in_place = plain_value(func, a, (b,), {k: v for k, v in kwargs.items() if k == "alpha"})
    factors = (-factor, 1) if name == "rsub" else (1, -factor if name == "sub" else factor)

    def make(left: Any) -> Tensor:
        terms, rest = [], torch.zeros((), dtype=value.dtype, device=value.device)
        for term, by in zip((left, b), factors, strict=True):
            if is_live(term):
                terms.append(term if by == 1 else passed(term, partial(torch.mul, other=by), "mul"))
            else:
                rest = rest + by * torch.as_tensor(term, dtype=value.dtype, device=value.device)
        return add_up(settings, terms, rest if bool((rest != 0).any()) else None, value)

    return put_back(a, in_place, make)


def _product(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    a, b = _pair(args, kwargs)
    both, division = is_live(a) and is_live(b), canonical(func) == "div"
    gates = GATES | NORMALISERS
    if division and (kwargs.get("rounding_mode") or (is_live(b) and not (both and made_by(b, NORMALISERS)))):
        return func(*args, **kwargs)  # not linear: the check of the graph raises an error that names it
    if both and not division and made_by(a, gates) == made_by(b, gates):
        if settings.attention is None:
            raise ModelError(
                "expected products with a constant or with one sigmoid gate, got a product of two activations; "
                "use LRP, or a gradient or perturbation method"
            )
        value, in_place = plain_value(func, a, (b,), {})
        return put_back(a, in_place, lambda left: product(settings, left, b.expand(value.shape), torch.mul))
    first = is_live(a) and not (both and not division and made_by(a, gates))
    value, in_place = plain_value(func, a, (b,), {})
    return put_back(
        a, in_place, lambda left: passed((left if first else b).expand(value.shape), lambda _: value, "mul")
    )


def _softmax(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, rest, kwargs = first_argument(args, kwargs)
    dim = kwargs.get("dim", rest[0] if rest else None)
    if dim is None or kwargs.get("dtype") not in (None, x.dtype):
        return func(x, *rest, **kwargs)  # the check of the graph raises an error that names it
    return softmax(settings, x, int(dim))


def _einsum(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of two tensors, or of one that depends on the clip."""
    equation, *tensors = args
    tensors = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    live = [i for i, t in enumerate(tensors) if is_live(t)]
    if len(tensors) == 2 and len(live) == 2:
        return product(settings, tensors[0], tensors[1], lambda a, b: func(equation, a, b))
    if len(live) != 1:
        return func(*args, **kwargs)

    def run(v: Tensor) -> Tensor:
        return func(equation, *(v if i == live[0] else t for i, t in enumerate(tensors)))

    return weighted(settings, tensors[live[0]], Affine(lambda v, _: run(v)), "fixed", run)


def _multi_head(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return multi_head(
        args,
        kwargs,
        lambda x, w, b: _linear(settings, F.linear, (x, w, b), {}),
        lambda q, k, v: attention(settings, F.scaled_dot_product_attention, (q, k, v), {}),
    )


def _concatenation(settings: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of what depends on the clip and what does not, such as a class token, whose relevance is counted."""
    value = func(*args, **kwargs)
    parts, rest, kwargs = first_argument(args, {"input" if k == "tensors" else k: v for k, v in kwargs.items()})
    if all(map(is_live, parts)) or "out" in kwargs:
        return value
    marks = [torch.full_like(p, not is_live(p), dtype=torch.bool) for p in parts]
    return joined(settings, value, func(marks, *rest, **kwargs))


def _negative(_: PassSettings, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value, in_place = plain_value(func, args[0], args[1:], kwargs)
    return put_back(args[0], in_place, lambda v: passed(v, lambda _: value, "neg"))


def _any_live(value: object) -> bool:
    """Whether a value, or one in a list of them, depends on the clip."""
    return any(map(is_live, value)) if isinstance(value, list | tuple) else is_live(value)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(ACTIVATIONS, _activation),
    **dict.fromkeys(AVERAGES, _average),
    **{f"conv{n}d": _convolution for n in (1, 2, 3)},
    **dict.fromkeys(("add", "sub", "rsub"), _sum),
    **dict.fromkeys(("mul", "div"), _product),
    # The normaliser is a constant, so that each output passes all of its relevance to its input.
    **dict.fromkeys(("rms_norm", *NORMALISERS), _activation),
    "layer_norm": layer_norm,
    **dict.fromkeys(("matmul", "bmm"), _matmul),
    "softmax": _softmax,
    "einsum": _einsum,
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": _multi_head,
    **RECURRENT,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "neg": _negative,
    **dict.fromkeys(("cat", "concat", "concatenate"), _concatenation),
}


# Without rules in excitation backprop.
OF_TRANSFORMERS = {
    *("layer_norm", "rms_norm", "rsqrt", "sqrt", "softmax", "einsum", "scaled_dot_product_attention"),
    "multi_head_attention_forward",
}


class RelevanceMode(TorchFunctionMode):
    """While on, operations on what depends on the clip are those of `HANDLERS`."""

    def __init__(self, settings: PassSettings) -> None:
        """For one pass."""
        super().__init__()
        self.settings = settings

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        kwargs = kwargs or {}
        name = canonical(func)
        handler = HANDLERS.get(name) if torch.is_grad_enabled() else None
        if self.settings.attention is None and name in OF_TRANSFORMERS:
            handler = None
        if handler is None or not any(map(_any_live, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        return handler(self.settings, func, args, kwargs)
