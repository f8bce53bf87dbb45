"""The steps that change nothing but the order of sums: batch norm folded, channels-last memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from voxplain.inference.fidelity import SampleOutputs, largest_gap, sample_outputs
from voxplain.inference.fold import copied, fold
from voxplain.model import Frames, VideoModel

__all__ = ["Candidate", "Rewrite", "equivalent_copy", "first_line", "rewrites"]

ROUNDING = 1e-3  # of the largest value; I3D in float32 was itself 1e-4 from float64 on noise, other nets a tenth
_ROUNDING_TF32 = 1e-2  # where a GPU's convolutions may round what they multiply to 10 bits
_FINE = (torch.float32, torch.float64)  # types in which rounding differs clearly from error


@dataclass(frozen=True, eq=False)
class Rewrite:
    """A step that can be taken: in ``words``, the batch norms ``folded``, and what makes the copy."""

    words: str
    folded: tuple[str, ...]
    make: Callable[[], VideoModel]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A copy under construction, its outputs for the sample, and the rewrite that made it; None: the model as given."""

    model: VideoModel
    sample: SampleOutputs
    rewrite: Rewrite | None = None


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0][:120]}"


def _wide(net: nn.Module) -> nn.Module:
    """The network with the weights of its 3D convolutions in channels-last order, changed in place."""
    for p in net.parameters():
        if p.ndim == 5:  # `Module.to` would raise for networks that also have 2D convolutions
            p.data = p.data.contiguous(memory_format=torch.channels_last_3d)
    return net


def _last(model: VideoModel, net: nn.Module) -> VideoModel:
    return replace(model, net=_wide(copied(net)), channels_last=True)


def rewrites(model: VideoModel, frames: Frames, notes: list[str]) -> list[Rewrite]:
    """What can be tried, the fastest first; what cannot be folded is added to ``notes``. Shows one clip, or none."""
    if model.dtype not in _FINE:
        return []
    wide = any(p.ndim == 5 for p in model.net.parameters())
    folded: list[str] = []
    try:
        net, folded = fold(model, frames)
    except Exception as error:  # whatever a network raises when it is copied or its outputs are recorded
        notes.append(f"batch norm is not folded ({first_line(error)})")
    found: list[Rewrite] = []
    if folded and wide:
        found.append(Rewrite("with batch norm folded and channels last", tuple(folded), lambda: _last(model, net)))
    if folded:
        found.append(Rewrite("with batch norm folded", tuple(folded), lambda: replace(model, net=net)))
    if wide:
        found.append(Rewrite("with channels last", (), lambda: _last(model, model.net)))
    return found


def equivalent_copy(
    model: VideoModel, frames: Frames, truth: SampleOutputs, tried: list[Rewrite], notes: list[str]
) -> Candidate:
    """The first of the rewrites whose outputs equal ``truth`` up to rounding; ``notes``: why not those before.

    Without one that runs and agrees, the model itself.
    """
    tf32 = model.device.type == "cuda" and torch.backends.cudnn.allow_tf32
    limit = _ROUNDING_TF32 if tf32 else ROUNDING
    for rewrite in tried:
        try:
            fast = rewrite.make()
            found = sample_outputs(fast, frames, truth.target)
        except Exception as error:  # any error of a network that needs its own layers or memory order
            notes.append(f"{rewrite.words} the network does not run ({first_line(error)})")
            continue
        gap = largest_gap(truth.outputs, found.outputs)
        if gap <= limit:
            return Candidate(fast, found, rewrite)
        notes.append(f"{rewrite.words} outputs change by {gap:.2g} of the largest, more than rounding")
    notes.append("the network runs as it was")
    return Candidate(model, truth)
