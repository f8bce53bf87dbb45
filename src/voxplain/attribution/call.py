"""The call that all methods share: from what users pass to batches of clips, and from maps to records.

Letters: N clips, T×H×W the network's grid. A method is a frozen dataclass whose ``__call__`` is written for one `Batch`
and decorated with `attribution_call`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.attribution.attribution import Attribution, with_notes
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
    recorded_target,
    resolve_targets,
    stack,
)
from voxplain.video import Clip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "AttributionMethod",
    "Batch",
    "Details",
    "Maps",
    "MethodCall",
    "attribution_call",
    "in_own_unit",
    "layer_alias",
]

Details = dict[str, Any]
Maps = Tensor | tuple[Tensor, list[Details]]  # [N,T,H,W], alone or with the details of each clip


@dataclass(frozen=True, eq=False)
class Batch:
    """What a method works on: clips, of which `attribution_call` passes one at a time.

    Parameters
    ----------
    model : VideoModel
    clips : tuple of N Clip
    x : float tensor [N,3,T,H,W]
        The clips as normalised input of the network.
    targets : tuple of N int
        Logit index of the class to explain, for each clip; 0 of a model that was narrowed to one score.
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
            target : str, int, Difference or callable, or one for each clip as a sequence or tensor, optional
                What is explained, see `voxplain.model.narrow`; by default the class that the model predicts for the
                clip.

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
            clips = as_clips(clip)
            if not clips:
                raise DataError("expected at least one clip to explain, got none")
            wide = as_model(model, clips)
            _check_grid(wide, clips)
            targets = resolve_targets(wide, clips, target)
            # One at a time, so that the map of a clip does not depend on the clips beside it.
            found = [
                _attribution(self, maps, name, parameters, c, m, y) for c, (m, y) in zip(clips, targets, strict=True)
            ]
            return found[0] if is_one_clip(clip) else found

        __call__.__qualname__, __call__.__module__ = maps.__qualname__, maps.__module__
        # A function that becomes the method of its instances; typed as what it is then, with its two overloads.
        return cast(MethodCall, __call__)

    return decorate


def _check_grid(model: VideoModel, clips: Sequence[Clip]) -> None:
    for one in clips:
        if one.frames.shape[:3] != tuple(model.grid):
            raise ModelError(
                f"expected clips of the network's grid {tuple(model.grid)}, got {one.frames.shape[:3]} from "
                f"{one.source}; read them with the model's own reader"
            )


def _attribution(
    method: M,
    maps: Callable[[M, Batch], Maps],
    name: str | Callable[[M], str],
    parameters: Callable[[M], Details],
    clip: Clip,
    model: VideoModel,
    y: int,
) -> Attribution:
    """The record of one clip.

    Matrix products of one row and of several differ in the last bit on many processors, and methods that optimise, or
    that choose by comparing gradients, magnify that. Passes that belong to one clip (its steps, samples or windows)
    still go in batches of ``pass_size``.
    """
    method = in_own_unit(method, model)
    label = name if isinstance(name, str) else name(method)
    # Inputs made inside a caller's inference mode could take part in no gradient; what needs one switches it on.
    with torch.inference_mode(False), torch.no_grad():
        result = maps(method, Batch(model, (clip,), to_input(model, stack([clip])), (y,)))
    values, details = result if isinstance(result, tuple) else (result, [{}])
    arrays = values.detach().to("cpu", torch.float32).numpy()
    if arrays.shape != (1, *model.grid):
        raise ModelError(f"expected maps {(1, *model.grid)} from {label}, got {arrays.shape}")
    found, notes = with_notes(arrays[0])
    explained = recorded_target(model, y)
    return Attribution(np.ascontiguousarray(found), explained, label, parameters(method), details[0], clip, notes)


def in_own_unit(method: M, model: VideoModel) -> M:
    """A method or metric with the score itself as its objective, where the target is no class but a quantity.

    A quantity has no probability: its sigmoid would be constant far from 0.
    """
    named = any(f.name == "objective" for f in fields(method))
    return replace(method, objective="logit") if named and model.task == "regression" else method


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
