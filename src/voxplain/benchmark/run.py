"""Judge attribution methods on many clips: every method on every clip by every metric, kept in a store.

A result is one method on one clip; it is found again by all that made it, so a benchmark can be cut short, go on, and
be shared out over processes (`shard`) that write into one store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from voxplain.attribution import AttributionMethod
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import Progress
from voxplain.metrics import MetricValue, join_in_time
from voxplain.model import VideoModel
from voxplain.model.cost import counted
from voxplain.nets import weights_digest
from voxplain.progress import quiet
from voxplain.store import Store, content_hash, key
from voxplain.video import Clip

__all__ = ["BenchmarkClip", "MethodResult", "run_benchmark", "shard", "side_of"]

VERSION = 1  # of what is computed here; part of the key


@dataclass(frozen=True, eq=False)
class BenchmarkClip:
    """A clip on the network's grid, its class, the truth's mask bool [T,h,w] if any, and a clip of another class.

    ``again``: whether metrics that call the method again, which cost the most, are measured on it.
    """

    clip: Clip
    target: int
    mask: np.ndarray | None = None
    other: Clip | None = None
    again: bool = True


@dataclass(frozen=True)
class MethodResult:
    """One method on one clip: (value, chance) by metric, what the map cost, or why there is none."""

    clip: str
    target: int
    method: str
    values: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    seconds: float = float("nan")
    forwards: int = 0
    backwards: int = 0
    refused: str | None = None


def shard(cases: Sequence[BenchmarkClip], index: int, count: int) -> list[BenchmarkClip]:
    """Part ``index`` of ``count`` (from 1), by content: the same cases whatever their order. DataError on others."""
    if not 1 <= index <= count:
        raise DataError(f"expected a shard from 1/{count} to {count}/{count}, got {index}/{count}")
    return [c for c in cases if int(content_hash(c.clip.frames)[:12], 16) % count == index - 1]


def side_of(clip: Clip) -> Literal["first", "last"]:
    """Where a clip stands when another is joined to it: first or last by its content, in any order of clips alike.

    Were it always first, a map of early frames would seem to find it.
    """
    return "first" if int(content_hash(clip.frames)[-1], 16) % 2 else "last"


def run_benchmark(
    model: VideoModel,
    cases: Sequence[BenchmarkClip],
    methods: Mapping[str, AttributionMethod],
    metrics: Mapping[str, Any],
    *,
    store: Store,
    passes: int = 200,
    progress: Progress = quiet,
) -> list[MethodResult]:
    """Every method on every clip, by every metric.

    Metrics that call the method again are measured on cases that ask for it, and only for methods that take at most
    ``passes`` clips through the network for a map, forward and backward.

    A method that cannot explain this network is judged once and noted as refused. Localisation needs a case's mask,
    temporal localisation its other clip; without them those metrics are left out.
    """
    network = {
        "weights": weights_digest(model.net),
        "layer": model.layer,
        "grid": model.grid,
        "layout": model.layout,
        "mean": model.mean,
        "std": model.std,
    }
    found: list[MethodResult] = []
    refused: dict[str, str] = {}
    with progress("methods on clips", len(cases) * len(methods)) as advance:
        for case in cases:
            asked = {n: m for n, m in metrics.items() if m.needs != "method" or case.again}
            for name, method in methods.items():
                if name in refused:
                    found.append(MethodResult(case.clip.source, case.target, name, refused=refused[name]))
                else:
                    judged = _kept(model, case, name, method, asked, passes, store, network)
                    if judged.refused:
                        refused[name] = judged.refused
                    found.append(judged)
                advance()
    return found


def _kept(
    model: VideoModel,
    case: BenchmarkClip,
    name: str,
    method: Any,
    metrics: Mapping[str, Any],
    passes: int,
    store: Store,
    network: dict,
) -> MethodResult:
    """One method on one clip, found in the store or judged now."""
    timed = case.other is not None and any(m.needs == "time" for m in metrics.values())
    place = key(
        "benchmark",
        VERSION,
        frames=case.clip.frames,
        target=case.target,
        mask=case.mask,
        other=None if case.other is None else case.other.frames,
        method=method,
        metrics=dict(metrics),
        passes=passes,
        **network,
        **({"side": side_of(case.clip)} if timed else {}),
    )
    record = store.record("benchmark", place, lambda: asdict(_judge(model, case, name, method, metrics, passes)))
    values = {n: (float(v), None if c is None else float(c)) for n, (v, c) in record["values"].items()}
    return MethodResult(**{**record, "values": values, "clip": case.clip.source, "method": name})


def _judge(
    model: VideoModel, case: BenchmarkClip, name: str, method: Any, metrics: Mapping[str, Any], passes: int
) -> MethodResult:
    try:
        with counted(model.net) as cost:
            attribution = method(model, case.clip, case.target)
    except ModelError as error:
        return MethodResult(case.clip.source, case.target, name, refused=str(error))
    joined = None
    found: dict[str, MetricValue] = {}
    for metric_name, metric in metrics.items():
        if metric.needs == "map":
            found[metric_name] = metric(model, case.clip, attribution)
        elif metric.needs == "mask" and case.mask is not None:
            found[metric_name] = metric(attribution, case.mask, case.mask.any((1, 2)))
        elif metric.needs == "time" and case.other is not None:
            if joined is None:
                clip, own = join_in_time(case.clip, case.other, side=side_of(case.clip))
                joined = method(model, clip, case.target), own
            found[metric_name] = metric(*joined)
        elif metric.needs == "method" and cost.forwards + cost.backwards <= passes:
            found[metric_name] = metric(model, case.clip, case.target, method)
    values = {n: (m.value, m.chance) for n, m in found.items()}
    return MethodResult(case.clip.source, case.target, name, values, cost.seconds, cost.forwards, cost.backwards)
