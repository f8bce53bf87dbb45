"""What users pass to a metric, turned into the model, the clip and the map that it is written for."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from torch import nn

from voxplain.attribution.attribution import Attribution, MapLike, as_values
from voxplain.attribution.call import AttributionMethod, in_own_unit
from voxplain.errors import DataError
from voxplain.metrics.record import MetricValue
from voxplain.model import ClipLike, Target, VideoModel, as_clips, as_model, resolve_targets
from voxplain.video import Clip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["MapMetricCall", "MethodMetricCall", "map_call", "method_call"]

M = TypeVar("M", bound="DataclassInstance")


class MapMetricCall(Protocol):
    """The call of every metric of a map, see `map_call`."""

    def __call__(
        self, model: VideoModel | nn.Module, clip: ClipLike, attribution: MapLike, target: Target | None = None
    ) -> MetricValue:
        """Evaluate a map of one clip."""
        ...


class MethodMetricCall(Protocol):
    """The call of every metric of a method, see `method_call`."""

    def __call__(
        self, model: VideoModel | nn.Module, clip: ClipLike, target: Target | None, method: AttributionMethod
    ) -> MetricValue:
        """Evaluate a method on one clip."""
        ...


def map_call(measure: Callable[[M, VideoModel, Clip, Attribution], MetricValue]) -> MapMetricCall:
    """Decorate a metric's ``__call__``, written for records, so that it takes what users have."""

    def __call__(
        self: M, model: VideoModel | nn.Module, clip: ClipLike, attribution: MapLike, target: Target | None = None
    ) -> MetricValue:
        """Evaluate a map of one clip.

        Parameters
        ----------
        model : VideoModel or nn.Module
        clip : Clip or uint8 frames [T,H,W,3]
            The clip that is explained, of the model's grid.
        attribution : Attribution, or array or tensor [T,H,W]
        target : str, int, Difference or callable, optional
            What the score is of, see `voxplain.model.narrow`; by default that of the attribution, and for a plain array
            the class that the model predicts.

        Returns
        -------
        MetricValue

        Raises
        ------
        DataError
            A map on another grid than the clip.
        ModelError
            A clip that the model cannot take, or an unknown class.
        """
        model, one = _model_and_clip(model, clip)
        values = as_values(attribution)
        if values.shape != one.frames.shape[:3]:
            raise DataError(
                f"expected a map over the clip's {one.frames.shape[:3]}, got {values.shape}; give the clip that was "
                "explained"
            )
        if not isinstance(attribution, Attribution):
            attribution = Attribution(values, 0, "array")
        elif target is None:
            target = attribution.target
        ((own, y),) = resolve_targets(model, one, target)
        return measure(in_own_unit(self, own), own, one, replace(attribution, target=y))

    __call__.__qualname__, __call__.__module__ = measure.__qualname__, measure.__module__
    # A function that becomes the method of its instances; typed as what it is then.
    return cast(MapMetricCall, __call__)


def method_call(measure: Callable[[M, VideoModel, Clip, Target, AttributionMethod], MetricValue]) -> MethodMetricCall:
    """Decorate a metric's ``__call__``, written for records, so that it takes what users have."""

    def __call__(
        self: M, model: VideoModel | nn.Module, clip: ClipLike, target: Target | None, method: AttributionMethod
    ) -> MetricValue:
        """Evaluate a method on one clip; the model's own network is not changed.

        Parameters
        ----------
        model : VideoModel or nn.Module
        clip : Clip or uint8 frames [T,H,W,3]
            Of the model's grid.
        target : str, int, Difference, callable or None
            What is explained, see `voxplain.model.narrow`; None: the class that the model predicts.
        method : AttributionMethod
            An entry of `ATTRIBUTIONS`, or any function that is called alike.

        Returns
        -------
        MetricValue

        Raises
        ------
        ModelError
            A clip that the model cannot take, an unknown class, or a network that the method cannot explain.
        """
        model, one = _model_and_clip(model, clip)
        ((own, y),) = resolve_targets(model, one, target)
        return measure(in_own_unit(self, own), own, one, y, method)

    __call__.__qualname__, __call__.__module__ = measure.__qualname__, measure.__module__
    return cast(MethodMetricCall, __call__)


def _model_and_clip(model: VideoModel | nn.Module, clip: ClipLike) -> tuple[VideoModel, Clip]:
    clips = as_clips(clip)
    if len(clips) != 1:
        raise DataError(f"expected one clip, got {len(clips)}; call the metric for each, and mean_of for their mean")
    return as_model(model, clips), clips[0]
