"""The call that all methods share: from what users pass to batches of clips, and from maps to records.

Letters: N clips, T×H×W the network's grid. A method is a frozen dataclass whose ``__call__`` is written for one `Batch`
and decorated with `attribution_call`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.passes import to_input
from voxplain.errors import DataError, ModelError
from voxplain.model import (
    ClipLike,
    Target,
    Targets,
    VideoModel,
    as_clips,
    as_model,
    is_one_clip,
    resolve_targets,
    stack,
)
from voxplain.video import Clip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["AttributionMethod", "Batch", "Details", "Maps", "MethodCall", "attribution_call", "layer_alias"]

Details = dict[str, Any]
Maps = Tensor | tuple[Tensor, list[Details]]  # [N,T,H,W], alone or with the details of each clip


@dataclass(frozen=True, eq=False)
class Batch:
    """What a method works on: at most ``batch_size`` clips.

    Parameters
    ----------
    model : VideoModel
    clips : tuple of N Clip
    x : float tensor [N,3,T,H,W]
        The clips as normalised input of the network.
    targets : tuple of N int
        Logit index of the class to explain, for each clip.
    """

    model: VideoModel
    clips: tuple[Clip, ...]
    x: Tensor
    targets: tuple[int, ...]


class AttributionMethod(Protocol):
    """What metrics, benchmarks and `explain_clip` need of a method; a plain function qualifies."""

    @overload
    def __call__(self, model: VideoModel, clip: Clip, target: Target) -> Attribution: ...
    @overload
    def __call__(
        self, model: VideoModel, clip: Sequence[Clip], target: Target | Sequence[Target]
    ) -> list[Attribution]: ...


class MethodCall(Protocol):
    """The call of every method in `ATTRIBUTIONS`: an `AttributionMethod` that accepts other forms of clips too."""

    @overload
    def __call__(self, model: VideoModel | nn.Module, clip: ClipLike, target: Targets | None = None) -> Attribution: ...
    @overload
    def __call__(
        self, model: VideoModel | nn.Module, clip: Sequence[ClipLike], target: Targets | None = None
    ) -> list[Attribution]: ...


M = TypeVar("M", bound="DataclassInstance")


def attribution_call(
    name: str | Callable[[M], str], *, parameters: Callable[[M], Details] = asdict
) -> Callable[[Callable[[M, Batch], Maps]], MethodCall]:
    """Decorate a method's ``__call__``, written for one batch, so that it takes a model, clips and targets.

    Parameters
    ----------
    name : str, or a function of the method
        The method's name in the records.
    parameters : function of the method
        What the records keep of its fields.

    Returns
    -------
    decorator
        From a function of method and `Batch` that gives `Maps` to a `MethodCall`.
    """

    def decorate(maps: Callable[[M, Batch], Maps]) -> MethodCall:
        def __call__(
            self: M, model: VideoModel | nn.Module, clip: ClipLike | Sequence[ClipLike], target: Targets | None = None
        ) -> Attribution | list[Attribution]:
            """Compute the map of a clip, or of each of several.

            Parameters
            ----------
            model : VideoModel or nn.Module
                A bare network is wrapped as ``VideoModel(net)`` would, which runs it a few times: wrap it once yourself
                to explain many clips.
            clip : Clip, uint8 frames [T,H,W,3], or a sequence of these
                Of the model's grid. Frames [N,T,H,W,3] are a sequence.
            target : str, int, or one for each clip as a sequence or tensor, optional
                Class name or logit index; by default the class that the model predicts for the clip.

            Returns
            -------
            Attribution, or a list of them for a sequence

            Raises
            ------
            ModelError
                An unknown class, clips that the model cannot take (float tensors, another grid), or a network that the
                method cannot explain.
            DataError
                No clip, or a number of targets that is not the number of clips.
            """
            label = name if isinstance(name, str) else name(self)
            found = _attributions(lambda batch: maps(self, batch), label, parameters(self), model, clip, target)
            return found[0] if is_one_clip(clip) else found

        __call__.__qualname__, __call__.__module__ = maps.__qualname__, maps.__module__
        # A function that becomes the method of its instances; typed as what it is then, with its two overloads.
        return cast(MethodCall, __call__)

    return decorate


def _attributions(
    maps: Callable[[Batch], Maps],
    name: str,
    parameters: Details,
    model: VideoModel | nn.Module,
    clip: ClipLike | Sequence[ClipLike],
    target: Targets | None,
) -> list[Attribution]:
    """Run ``maps`` over clips, ``batch_size`` at a time."""
    clips = as_clips(clip)
    if not clips:
        raise DataError("expected at least one clip to explain, got none")
    model = as_model(model, clips)
    for one in clips:
        if one.frames.shape[:3] != tuple(model.grid):
            raise ModelError(
                f"expected clips of the network's grid {tuple(model.grid)}, got {one.frames.shape[:3]} from "
                f"{one.source}; read them with the model's own reader"
            )
    targets = resolve_targets(model, clips, target)
    found: list[Attribution] = []
    for start in range(0, len(clips), model.batch_size):
        own, ys = clips[start : start + model.batch_size], targets[start : start + model.batch_size]
        # Inputs made inside a caller's inference mode could take part in no gradient; what needs one switches it on.
        with torch.inference_mode(False), torch.no_grad():
            result = maps(Batch(model, own, to_input(model, stack(own)), ys))
        values, details = result if isinstance(result, tuple) else (result, [{} for _ in own])
        arrays = values.detach().to("cpu", torch.float32).numpy()
        if arrays.shape != (len(own), *model.grid):
            raise ModelError(f"expected maps {(len(own), *model.grid)} from {name}, got {arrays.shape}")
        found += [
            Attribution(np.ascontiguousarray(v), y, name, parameters, d, one)
            for v, y, d, one in zip(arrays, ys, details, own, strict=True)
        ]
    return found


def layer_alias(method: type[M]) -> type[M]:
    """Decorate a method with a field ``layer`` so that it accepts ``target_layer`` too, the name in other libraries."""
    plain: Callable[..., None] = vars(method)["__init__"]

    @wraps(plain)
    def __init__(self: M, *args: Any, **kwargs: Any) -> None:
        if "target_layer" in kwargs:
            if args or "layer" in kwargs:
                raise DataError("expected layer or target_layer, got both; they are one parameter, so leave one out")
            kwargs["layer"] = kwargs.pop("target_layer")
        plain(self, *args, **kwargs)

    setattr(method, "__init__", __init__)  # noqa: B010, an assignment mypy calls unsound
    return method
