"""`MetricValue`, the number that every metric returns, and what the metrics take.

Six kinds of call, by what a metric needs (its class variable ``needs``): "map" (model, clip, attribution);
"mask" (attribution, mask[, known]); "time" (attribution, own); "method" (model, clip, target, method);
"networks" (model, twin, clip, target, method); "training" (model, fresh, training, test, method).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from voxplain.attribution.attribution import Attribution
from voxplain.attribution.call import AttributionMethod
from voxplain.errors import DataError
from voxplain.model import Target, VideoModel
from voxplain.statistics import bootstrap_interval
from voxplain.video import Clip

__all__ = [
    "MapMetric",
    "MaskMetric",
    "MethodMetric",
    "MetricValue",
    "Needs",
    "TimeMetric",
    "check_pair",
    "clip_rng",
    "mean_of",
]

Needs = Literal["map", "mask", "time", "method", "networks", "training"]


@dataclass(frozen=True, eq=False)
class MetricValue:
    """What a metric found on one clip.

    ``value`` NaN where the metric is undefined (no ground truth in the clip, a constant map in a correlation);
    ``chance`` the value that a map without information gets on this clip, None where there is none or it was not
    measured; ``details`` the parts the value is made of.
    """

    value: float
    chance: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """The two numbers, not the details."""
        return f"MetricValue({self.value:.4g}" + (")" if self.chance is None else f", chance={self.chance:.4g})")


class MapMetric(Protocol):
    """How faithful a map is to the network."""

    needs: ClassVar[Needs]

    @property
    def higher_is_better(self) -> bool | None:
        """None where a value describes and does not judge."""
        ...

    def __call__(self, model: VideoModel, clip: Clip, attribution: Attribution) -> MetricValue:
        """Measure one clip."""
        ...


class MaskMetric(Protocol):
    """How well a map lies on a mask bool [T,H,W]; frames that are not ``known``, bool [T], do not count."""

    needs: ClassVar[Needs]

    @property
    def higher_is_better(self) -> bool | None:
        """None where a value describes and does not judge."""
        ...

    def __call__(self, attribution: Attribution, mask: np.ndarray, known: np.ndarray | None = None) -> MetricValue:
        """Measure one clip."""
        ...


class TimeMetric(Protocol):
    """How well a map lies on the frames that are the target's ``own``, bool [T]."""

    needs: ClassVar[Needs]

    @property
    def higher_is_better(self) -> bool | None:
        """None where a value describes and does not judge."""
        ...

    def __call__(self, attribution: Attribution, own: np.ndarray) -> MetricValue:
        """Measure one clip."""
        ...


class MethodMetric(Protocol):
    """How a method behaves when the clip or the network is changed."""

    needs: ClassVar[Needs]

    @property
    def higher_is_better(self) -> bool | None:
        """None where a value describes and does not judge."""
        ...

    def __call__(self, model: VideoModel, clip: Clip, target: Target, method: AttributionMethod) -> MetricValue:
        """Measure one clip."""
        ...


def check_pair(clip: Clip, attribution: Attribution) -> None:
    """Raise DataError unless the map is over the clip's grid."""
    if attribution.values.shape != clip.frames.shape[:3]:
        raise DataError(
            f"expected a map over the clip's {clip.frames.shape[:3]}, got {attribution.values.shape}; give the "
            "clip that was explained"
        )


def clip_rng(clip: Clip, seed: int, *more: int) -> np.random.Generator:
    """The generator of a clip's own draws: the same whatever other clips are measured."""
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(clip.frames).tobytes()), *more])


def mean_of(measured: Sequence[MetricValue], *, seed: int = 0) -> MetricValue:
    """The mean over clips, undefined ones left out, with a 95 % bootstrap interval over clips.

    ``details``: clips, undefined, low, high, above_chance (share of clips with a value above their chance). NaN where
    no clip is defined; the chance is the mean of those of the defined clips, None where one of them has none.
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
