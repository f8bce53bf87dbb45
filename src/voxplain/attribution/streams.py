"""Maps of the parallel streams of a network, such as two rates or colours and flow, and their sum.

Letters: N clips, T×H×W the network's grid. A stream is one of the tensors that `VideoModel.pathways` makes of a clip.
The map of a stream explains the network with the other streams held at the clip: gradients pass this stream alone, and
what is hidden is hidden from it alone. For relevance, and for the gradient with signed channels, the sum over streams
is the map of the whole network; for methods that hide or integrate it is not, where streams act together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.call import AttributionMethod
from voxplain.errors import ModelError
from voxplain.model import ClipLike, Target, VideoModel, as_clips, resolve_targets, stack
from voxplain.model.layouts import frames_of
from voxplain.model.outputs import Pathways

__all__ = ["OneStream", "stream_maps", "stream_models"]

SUM = "sum"


@dataclass(frozen=True)
class OneStream:
    """Pathways of which one depends on the input, and the others are those of a fixed clip.

    Parameters
    ----------
    pathways : callable
        Of a `VideoModel`.
    stream : int or str
        Index in the list or tuple, or key of the dict, that ``pathways`` gives.
    fixed : Tensor
        What the pathways are given for the clip that the other streams are held at.
    axis : int
        Of the batch in it.
    """

    pathways: Pathways
    stream: int | str
    fixed: Tensor = field(compare=False, repr=False)
    axis: int = 0

    def __call__(self, given: Tensor) -> Any:
        """What the network takes, with gradients to ``given`` through the stream alone."""
        own = self.pathways(given)
        rows = given.shape[self.axis] // self.fixed.shape[self.axis]
        repeats = [rows if axis == self.axis else 1 for axis in range(self.fixed.ndim)]
        with torch.no_grad():
            held = self.pathways(self.fixed.to(given).repeat(repeats))
        if isinstance(own, Mapping):
            return {name: own[name] if name == self.stream else other for name, other in held.items()}
        return type(own)(own[i] if i == self.stream else other for i, other in enumerate(held))

    def others(self) -> tuple["OneStream", ...]:
        """The same for each of the other streams."""
        with torch.no_grad():
            held = self.pathways(self.fixed)
        keys = list(held) if isinstance(held, Mapping) else range(len(held))
        return tuple(replace(self, stream=key) for key in keys if key != self.stream)


def stream_models(model: VideoModel, clip: ClipLike) -> dict[str, VideoModel]:
    """For each stream of a network the model in which the others are held at a clip.

    Parameters
    ----------
    model : VideoModel
        With ``pathways`` that give a list, a tuple or a dict of two tensors or more.
    clip : Clip or uint8 frames [T,H,W,3]

    Returns
    -------
    dict
        Models by the name of the stream: its key, or "stream 1", "stream 2" and so on.

    Raises
    ------
    ModelError
        A model without pathways, or with one stream.
    """
    x = model.prepare(stack(as_clips(clip)))
    given = frames_of(x, model.layout) if model.frames_in_batch else x
    found: Any = None if model.pathways is None else model.pathways(given)
    several = isinstance(found, list | tuple | Mapping) and len(found) > 1
    if not several or model.pathways is None:
        raise ModelError(
            f"expected a model whose pathways give several streams, got {_described(found)} in {model.name}; give "
            "VideoModel(pathways=…) that returns a list or a dict of tensors"
        )
    axis = 0 if model.frames_in_batch else model.layout.index("B")
    if isinstance(found, Mapping):
        names: dict[str, int | str] = {str(name): name for name in found}
    else:
        names = {f"stream {i + 1}": i for i in range(len(found))}
    pathways = model.pathways
    return {n: replace(model, pathways=OneStream(pathways, key, given, axis)) for n, key in names.items()}


def stream_maps(
    method: AttributionMethod, model: VideoModel, clip: ClipLike, target: Target | None = None
) -> dict[str, Attribution]:
    """The map of each stream of a network, and their sum.

    Parameters
    ----------
    method : AttributionMethod
        Such as ``GradCAM()``.
    model : VideoModel
        With ``pathways`` that give several tensors.
    clip : Clip or uint8 frames [T,H,W,3]
    target : str, int, Difference or callable, optional
        By default the class that the whole network predicts.

    Returns
    -------
    dict
        Maps by the name of the stream, its key or "stream 1" and so on, and last "sum".

    Raises
    ------
    ModelError
        A model with one stream, or that the method cannot explain.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> class TwoStreams(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.colours, self.motion = net, net
    ...     def forward(self, x):
    ...         return self.colours(x[0]) + self.motion(x[1])
    >>> model = vx.VideoModel(TwoStreams(), grid=(8, 16, 16), pathways=lambda x: [x, x.diff(dim=2)])
    >>> list(stream_maps(vx.Gradient(), model, np.zeros((8, 16, 16, 3), np.uint8)))
    ['stream 1', 'stream 2', 'sum']
    """
    (one,) = as_clips(clip)
    ((model, y),) = resolve_targets(model, one, target)
    maps = {name: method(own, one, y) for name, own in stream_models(model, one).items()}
    first = next(iter(maps.values()))
    notes = tuple(f"{name}: {note}" for name, found in maps.items() for note in found.notes)
    total = np.stack([found.values for found in maps.values()]).sum(axis=0, dtype=np.float32)
    return {**maps, SUM: replace(first, values=total, details={}, notes=notes)}


def _described(found: Any) -> str:
    if found is None:
        return "none"
    return f"a {type(found).__name__} of {len(found)}" if isinstance(found, list | tuple | Mapping) else "one tensor"
