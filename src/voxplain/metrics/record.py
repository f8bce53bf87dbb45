"""`MetricValue`, the number that every metric returns, and what the metrics take.

Six kinds of call, by what a metric needs (its class variable ``needs``): "map" (model, clip, attribution);
"mask" (attribution, mask[, known]); "time" (attribution, own); "method" (model, clip, target, method);
"networks" (model, other, clip, target, method); "training" (model, fresh, training, test, method).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.call import AttributionMethod
from voxplain.model import Target, VideoModel
from voxplain.statistics import bootstrap_interval
from voxplain.video import Clip

__all__ = [
    "MapMetric",
    "MaskMetric",
    "MethodMetric",
    "MetricValue",
    "Needs",
    "NetworksMetric",
    "TimeMetric",
    "clip_rng",
    "mean_of",
]

Needs = Literal["map", "mask", "time", "method", "networks", "training"]


@dataclass(frozen=True, eq=False)
class MetricValue:
    """Value of a metric for one clip, or the mean over clips.

    Parameters
    ----------
    value : float
        NaN where the metric is undefined: no ground truth in the clip, a constant map in a correlation.
    chance : float, optional
        Value of a map without information on this clip; None where there is none or it was not computed.
    details : Mapping[str, Any]
        The parts that the value is computed from.

    Examples
    --------
    >>> MetricValue(0.81, 0.5)
    MetricValue(0.81, chance=0.5)
    """

    value: float
    chance: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """The two numbers, not the details."""
        return f"MetricValue({self.value:.4g}" + (")" if self.chance is None else f", chance={self.chance:.4g})")


class MapMetric(Protocol):
    """How faithful a map is to the network."""

    needs: ClassVar[Literal["map"]]

    @property
    def higher_is_better(self) -> bool | None:
        """None where neither is."""
        ...

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Evaluate a map of one clip."""
        ...


class MaskMetric(Protocol):
    """How well a map agrees with a mask bool [T,H,W]; frames that are not ``known``, bool [T], do not count."""

    needs: ClassVar[Literal["mask"]]

    @property
    def higher_is_better(self) -> bool | None:
        """None where neither is."""
        ...

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Evaluate a map of one clip."""
        ...


class TimeMetric(Protocol):
    """How well a map agrees with the frames that are the target's ``own``, bool [T]."""

    needs: ClassVar[Literal["time"]]

    @property
    def higher_is_better(self) -> bool | None:
        """None where neither is."""
        ...

    def __call__(self, attribution: Attribution, own: np.ndarray) -> MetricValue:
        """Evaluate a map of one joined clip."""
        ...


class MethodMetric(Protocol):
    """How the maps of a method change with the clip or the network."""

    needs: ClassVar[Literal["method"]]

    @property
    def higher_is_better(self) -> bool | None:
        """None where neither is."""
        ...

    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        """Evaluate a method on one clip."""
        ...


class NetworksMetric(Protocol):
    """How the maps of a method differ between two networks."""

    needs: ClassVar[Literal["networks"]]

    @property
    def higher_is_better(self) -> bool | None:
        """None where neither is."""
        ...

    def __call__(
        self, model: VideoModel, other: VideoModel, clip: Clip, target: Target, method: AttributionMethod
    ) -> MetricValue:
        """Compare the maps of one clip."""
        ...


def clip_rng(clip: Clip, seed: int, *more: int) -> np.random.Generator:
    """Random generator of one clip: the same whatever other clips are evaluated."""
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(clip.frames).tobytes()), *more])


def mean_of(measured: Sequence[MetricValue], *, seed: int = 0) -> MetricValue:
    """Mean over clips with a 95 % bootstrap interval over clips; undefined values are left out.

    Parameters
    ----------
    measured : sequence of MetricValue
        One a clip.
    seed : int
        Of the bootstrap.

    Returns
    -------
    MetricValue
        NaN where no clip is defined. The chance level is the mean of those of the defined clips, None where one of them
        has none. ``details``: clips, undefined, low, high, above_chance (share of clips with a value above chance).

    Examples
    --------
    >>> mean_of([MetricValue(0.5), MetricValue(1.0), MetricValue(float("nan"))])
    MetricValue(0.75)
    """
    good = [m for m in measured if np.isfinite(m.value)]
    values = np.array([m.value for m in good])
    low, high = bootstrap_interval(values, np.random.default_rng(seed))
    chances = [m.chance for m in good if m.chance is not None and np.isfinite(m.chance)]
    complete = bool(good) and len(chances) == len(good)
    details = {
        "clips": len(measured),
        "undefined": len(measured) - len(good),
        "low": low,
        "high": high,
        "above_chance": float((values > np.array(chances)).mean()) if complete else None,
    }
    chance = float(np.mean(chances)) if complete else None
    return MetricValue(float(values.mean()) if good else float("nan"), chance, details)
