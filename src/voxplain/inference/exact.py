"""The steps that change nothing but the order of sums: batch norm folded, channels-last memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from voxplain.inference.fidelity import largest_gap
from voxplain.inference.fold import copied, fold
from voxplain.model import Frames, Seen, VideoModel

__all__ = ["Made", "exact", "first_line"]

ROUNDING = 1e-3  # of the largest value; I3D in float32 was itself 1e-4 from float64 on noise, other nets a tenth
_ROUNDING_TF32 = 1e-2  # where a GPU's convolutions may round what they multiply to 10 bits
_FINE = (torch.float32, torch.float64)  # types in which rounding can be told from error

Way = tuple[str, tuple[str, ...], Callable[[], VideoModel]]  # in words, batch norms folded, the copy


@dataclass(frozen=True, eq=False)
class Made:
    """A model on the way to a fast one, what it saw in the sample, and the batch norms folded."""

    model: VideoModel
    seen: Seen
    folded: tuple[str, ...] = ()


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0][:120]}"


def _wide(net: nn.Module) -> nn.Module:
    """The network with the weights of its 3D convolutions in channels-last order, changed in place."""
    for p in net.parameters():
        if p.ndim == 5:  # `Module.to` would refuse networks that also have 2D convolutions
            p.data = p.data.contiguous(memory_format=torch.channels_last_3d)
    return net


def _ways(model: VideoModel, frames: Frames, notes: list[str]) -> list[Way]:
    """Copies of the model to try, the fastest first."""
    wide = any(p.ndim == 5 for p in model.net.parameters())
    folded: list[str] = []
    try:
        net, folded = fold(model, frames)
    except Exception as error:  # whatever a network raises when it is copied or its parts are watched
        notes.append(f"batch norm is not folded ({first_line(error)})")
    ways: list[Way] = []
    if folded and wide:
        ways.append(("with batch norm folded and channels last", tuple(folded), lambda: _last(model, net)))
    if folded:
        ways.append(("with batch norm folded", tuple(folded), lambda: replace(model, net=net)))
    if wide:
        ways.append(("with channels last", (), lambda: _last(model, model.net)))
    return ways


def _last(model: VideoModel, net: nn.Module) -> VideoModel:
    return replace(model, net=_wide(copied(net)), channels_last=True)


def exact(model: VideoModel, frames: Frames, truth: Seen) -> tuple[Made, list[str]]:
    """The fastest copy whose features and logits are ``truth`` up to rounding, and what was left out, in words.

    Without one that runs and agrees, the model itself.
    """
    notes: list[str] = []
    tf32 = model.device.type == "cuda" and torch.backends.cudnn.allow_tf32
    limit = _ROUNDING_TF32 if tf32 else ROUNDING
    for words, folded, make in _ways(model, frames, notes) if model.dtype in _FINE else ():
        try:
            fast = make()
            seen = fast.see(frames)
        except Exception as error:  # whatever a network raises that wants its own layers or memory order
            notes.append(f"{words} the network does not run ({first_line(error)})")
            continue
        gap = largest_gap(truth, seen)
        if gap <= limit:
            return Made(fast, seen, folded), notes
        notes.append(f"{words} outputs change by {gap:.2g} of the largest, more than rounding")
    return Made(model, truth), [*notes, "the network runs as it was"]
