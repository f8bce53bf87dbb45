"""The last convolutions of a network in the order they ran, with the kernels that connect one to the next.

Letters: K classes, C channels, t×h×w the positions of a map. A tape records every operation of one forward pass, also
those without a module, and the chain is read from it, from the logits backwards.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from voxplain.attribution.passes import forward
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.layers import evaluation_mode

__all__ = ["Chain", "follow"]

# Names of PyTorch operations by what they do to channels.
SHAPE = frozenset(
    (
        "flatten",
        "view",
        "reshape",
        "squeeze",
        "unsqueeze",
        "contiguous",
        "clone",
        "to",
        "float",
        "detach",
        "dropout",
        "dropout3d",
        "identity",
        "transpose",
        "permute",
    )
)
AVERAGE = frozenset(("mean", "avg_pool3d", "adaptive_avg_pool3d"))
# Operations between two convolutions that map channel c to channel c.
SAME = frozenset(
    (
        "relu",
        "relu_",
        "relu6",
        "leaky_relu",
        "leaky_relu_",
        "elu",
        "elu_",
        "celu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "softplus",
        "hardswish",
        "hardtanh",
        "hardtanh_",
        "prelu",
        "sigmoid",
        "tanh",
        "clamp",
        "clamp_",
        "batch_norm",
        "instance_norm",
        "dropout",
        "dropout3d",
        "max_pool3d",
        "avg_pool3d",
        "adaptive_avg_pool3d",
        "adaptive_max_pool3d",
        "contiguous",
        "clone",
        "to",
        "float",
        "detach",
        "identity",
        "pad",
    )
)


@dataclass(frozen=True, eq=False)
class Chain:
    """``head`` [K,C], the weights of the classes; ``maps`` [C,t,h,w] last layer first; ``kernels`` between two maps.

    ``kernels[l]`` [C_l,C_l+1] is the mean over positions of the kernels that make ``maps[l]`` of ``maps[l+1]``.
    """

    head: Tensor
    maps: list[Tensor]
    kernels: list[Tensor]


@dataclass(eq=False)
class _Op:
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: list["_Op"]
    version: int  # of the first argument: an operation in place afterwards raises it


@dataclass(eq=False)
class _Tape(TorchFunctionMode):
    """Records operations while it is active; `made` has the one that a tensor came from."""

    made: dict[int, _Op] = field(default_factory=dict)
    held: list[Any] = field(
        default_factory=list
    )  # keeps the tensors, because an id is used again after its tensor is freed

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = [a for a in _tensors((*args, *(kwargs or {}).values())) if id(a) in self.made]
        version = args[0]._version if args and isinstance(args[0], Tensor) and not args[0].is_inference() else 0
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            op = _Op(getattr(func, "__name__", "?"), args, kwargs or {}, [self.made[id(a)] for a in given], version)
            self.made[id(out)] = op
            self.held.append(out)
        return out


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found


def follow(model: VideoModel, x: Tensor, depth: int) -> Chain:
    """The last ``depth`` maps of one input [3,T,H,W], fewer where the network has fewer convolutions.

    Raises ModelError where there is no linear head on averaged maps, or something between two convolutions mixes
    channels or joins branches.
    """
    with torch.inference_mode(False), torch.no_grad(), evaluation_mode(model.net), _Tape() as tape:
        z = forward(model, x[None].clone())
    head, last = _head(tape, z)
    maps, kernels = [_value(last)], list[Tensor]()
    while len(maps) < depth:
        conv = _convolution(last, len(maps))
        if not any(op.name == "conv3d" for op in _ancestors(conv)):
            break  # its input is the clip
        kernels.append(conv.args[1].float().mean((2, 3, 4)))
        maps.append(_value(conv))
        last = conv
    return Chain(head.float(), [m[0] for m in maps], kernels)


def _head(tape: _Tape, z: Tensor) -> tuple[Tensor, _Op]:
    """Weights [K,C] of the last linear layer, and the operation that takes the map [1,C,t,h,w] of its averages."""
    op = _back(tape.made.get(id(z)), SHAPE | AVERAGE)
    if op is None or op.name not in ("linear", "conv3d"):
        raise _no_head(op.name if op else "an operation outside of PyTorch's functions")
    weight: Tensor = op.args[1].flatten(1)
    if len(weight) != z.shape[1]:
        raise _no_head(f"weights of {len(weight)} outputs for {z.shape[1]} logits")
    pooled, last = op.args[0], op
    if op.name == "conv3d" and op.args[1][0, 0].numel() > 1:
        raise _no_head("a convolution over several positions")
    while last.sources and (source := last.sources[0]).name in SHAPE | AVERAGE:
        last = source
    found = _value(last)
    if found.ndim != 5 or found.shape[1] != weight.shape[1]:
        raise _no_head(f"a linear layer over {tuple(op.args[0].shape)} from {last.name}")
    if op.name == "linear":
        mean = found.float().mean((2, 3, 4)).flatten()
        near = 0.01 * float(mean.abs().max())  # what the rounding of half precision leaves
        if pooled.numel() != len(mean) or float((mean - pooled.float().flatten()).abs().max()) > near:
            raise _no_head("a linear layer whose input is not the mean over positions of a map")
    return weight, last


def _no_head(got: str) -> ModelError:
    return ModelError(
        f"expected a network that ends in maps, their mean over positions and one linear layer, got {got}; "
        "use a method that needs no such head, such as grad_cam or rise"
    )


def _back(op: _Op | None, over: frozenset[str]) -> _Op | None:
    while op is not None and op.name in over:
        op = op.sources[0] if op.sources else None
    return op


def _convolution(last: _Op, depth: int) -> _Op:
    """The convolution that made the map which ``last`` takes."""
    made = last.sources[0] if last.sources else None
    op = _back(made, SAME)
    plain = op is not None and op.name == "conv3d" and (op.args[6:7] or (op.kwargs.get("groups", 1),))[0] == 1
    if op is None or not plain or op.args[1].shape[0] != _value(last).shape[1]:
        got = op.name if op is not None and op.name != "conv3d" else "a grouped convolution" if op else "the input"
        raise ModelError(
            f"expected convolutions that follow one another, got {got} before layer {depth} from the end; "
            f"give a network without branches, or depth={depth}"
        )
    return op


def _ancestors(op: _Op) -> list[_Op]:
    found: dict[int, _Op] = {}
    waiting = list(op.sources)
    while waiting:
        one = waiting.pop()
        if id(one) not in found:
            found[id(one)] = one
            waiting += one.sources
    return list(found.values())


def _value(op: _Op) -> Tensor:
    """The first argument of an operation."""
    value: Tensor = op.args[0]
    if value._version != op.version:
        raise ModelError(
            f"expected maps that stay as they are once used, got one overwritten after {op.name}; "
            "build the network without operations in place on shared maps"
        )
    return value
