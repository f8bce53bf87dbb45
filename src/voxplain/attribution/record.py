"""`Attribution`, the map that every method returns, and the frame of a method's call.

Letters: N clips, T×H×W the network's grid. A method is a frozen dataclass; its ``__call__`` hands a function from a
`Batch` to N maps to `attribute`, which does what all methods share: one clip or many, class names, records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, overload

import numpy as np
import torch
from torch import Tensor

from voxplain.attribution.passes import to_input
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel, stack
from voxplain.video import Clip

__all__ = ["Attribution", "AttributionMethod", "Batch", "Maps", "Target", "attribute"]

Target = str | int


@dataclass(frozen=True, eq=False)
class Attribution:
    """A map over the voxels of one clip: the higher, the more a voxel speaks for the target.

    ``values`` float32 [T,H,W], finite; ``method`` its name in the registry; ``parameters`` the method's fields;
    ``details`` what the method found out on the way (completeness gap, iterations, the layer it chose).
    """

    values: np.ndarray
    target: int
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shape, type and that every value is finite."""
        v = self.values
        if not isinstance(v, np.ndarray) or v.dtype != np.float32 or v.ndim != 3:
            got = f"{v.dtype} {v.shape}" if isinstance(v, np.ndarray) else type(v).__name__
            raise DataError(f"expected a map float32 [T,H,W], got {got}; convert it")
        if not np.isfinite(v).all():
            raise DataError(
                f"expected finite values from {self.method}, got NaN or infinity; check the network and the options"
            )

    def __repr__(self) -> str:
        """Shape, not data."""
        return f"Attribution({self.method}, target={self.target}, {'×'.join(map(str, self.values.shape))})"


@dataclass(frozen=True, eq=False)
class Batch:
    """What a method works on: N clips, their input ``x`` float [N,3,T,H,W] as the network sees it, and targets [N].

    `attribute` makes batches of one clip, see there.
    """

    model: VideoModel
    clips: tuple[Clip, ...]
    x: Tensor
    targets: tuple[int, ...]


Maps = Tensor | tuple[Tensor, list[dict[str, Any]]]


class AttributionMethod(Protocol):
    """What every entry of the registry can do: one clip gives one record, a sequence of clips a list of records."""

    @overload
    def __call__(self, model: VideoModel, clip: Clip, target: Target) -> Attribution: ...
    @overload
    def __call__(
        self, model: VideoModel, clip: Sequence[Clip], target: Target | Sequence[Target]
    ) -> list[Attribution]: ...


def attribute(
    method: Any,
    name: str,
    maps: Callable[[Batch], Maps],
    model: VideoModel,
    clip: Clip | Sequence[Clip],
    target: Target | Sequence[Target],
) -> Any:
    """Run ``maps`` over clips, one clip at a time: one `Attribution`, or a list of them for a sequence.

    ``maps`` gives [N,T,H,W] for a `Batch`, alone or with a dict of details for each clip. It is called with batches of
    one clip, so that the map of a clip does not depend on the clips beside it: matrix products of one row and of
    several differ in the last bit on many processors, and methods that optimise or that choose by comparing gradients
    magnify that. Passes of the network that belong to one clip (its steps, samples or windows) still go in batches of
    ``batch_size``. Raises ModelError on an unknown class or a clip that is not of the model's grid, DataError on a
    wrong number of targets.
    """
    clips = (clip,) if isinstance(clip, Clip) else tuple(clip)
    if not clips:
        raise DataError("expected at least one clip to explain, got none")
    named = [target] * len(clips) if isinstance(target, str | int | np.integer) else list(target)
    if len(named) != len(clips):
        raise DataError(f"expected one target, or one for each of {len(clips)} clips, got {len(named)}")
    targets = [model.class_index(t) for t in named]
    _refuse_other_grid(model, clips)
    found: list[Attribution] = []
    for one, y in zip(clips, targets, strict=True):
        # Inputs made inside a caller's inference mode could take part in no gradient; what needs one switches it on.
        with torch.inference_mode(False), torch.no_grad():
            result = maps(Batch(model, (one,), to_input(model, stack([one])), (y,)))
        values, details = result if isinstance(result, tuple) else (result, [{}])
        arrays = values.detach().to("cpu", torch.float32).numpy()
        if arrays.shape != (1, *model.grid):
            raise ModelError(f"expected maps {(1, *model.grid)} from {name}, got {arrays.shape}")
        found.append(Attribution(np.ascontiguousarray(arrays[0]), y, name, asdict(method), details[0]))
    return found[0] if isinstance(clip, Clip) else found


def _refuse_other_grid(model: VideoModel, clips: Sequence[Clip]) -> None:
    for clip in clips:
        if clip.frames.shape[:3] != tuple(model.grid):
            raise ModelError(
                f"expected clips of the network's grid {tuple(model.grid)}, got {clip.frames.shape[:3]} from "
                f"{clip.source}; read them with the model's own reader"
            )
