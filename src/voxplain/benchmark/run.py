"""Attribution methods measured on many clips: every method on every clip by every metric, kept in a store.

A result is one method on one clip; it is found again by all that made it, so a benchmark can be cut short, go on, and
be divided into shards that write into one store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from voxplain.attribution import Attribution, AttributionMethod
from voxplain.errors import ModelError, VoxplainError
from voxplain.hashing import content_hash
from voxplain.large import forget
from voxplain.metrics import MetricValue, join_in_time
from voxplain.model import VideoModel
from voxplain.model.cost import counted
from voxplain.progress import quiet
from voxplain.record_html import fields_table
from voxplain.runtime import Progress, Shard, Task, inline_engine
from voxplain.runtime.task import Form
from voxplain.store import Store
from voxplain.video import Clip

__all__ = ["BenchmarkClip", "MeasureMethod", "MethodResult", "run_benchmark", "side_of"]


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
    """One method on one clip: (value, chance) by metric, what the map cost, or why there is none.

    ``failed`` names what failed on this clip only, in a sentence each: metrics without a value, or the map.
    """

    clip: str
    target: int
    method: str
    values: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    seconds: float = float("nan")
    forwards: int = 0
    backwards: int = 0
    error: str | None = None
    failed: tuple[str, ...] = ()

    _repr_html_ = fields_table


def side_of(clip: Clip) -> Literal["first", "last"]:
    """Place of a clip when another is joined to it: first or last by its content, in any order of clips alike.

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
    shard: Shard | None = None,
    progress: Progress = quiet,
) -> list[MethodResult]:
    """Measure every method on every clip by every metric.

    Metrics that call the method again are measured on clips that ask for it, and only for methods that take at most
    ``passes`` clips through the network for a map, forward and backward. A method that cannot explain this network is
    tried once; its error is reported for all clips. A method or metric that raises another error on one clip is named
    in that result, and the others go on. Localisation needs a clip's mask, temporal localisation its other clip;
    without them those metrics are left out.

    Parameters
    ----------
    model : VideoModel
    cases : sequence of BenchmarkClip
    methods, metrics : mapping
        Name to method or metric.
    store : Store
        Where results are kept and found again.
    passes : int
        Clips through the network for one map, above which a method is not called again.
    shard : Shard, optional
        Only the clips of this shard; results of the others are left out.
    progress : callable
        Progress display.

    Returns
    -------
    list of MethodResult
        Clip by clip, in the order of the methods.
    """
    engine = inline_engine(model, store, progress=progress)
    own = [case for case in cases if shard is None or shard.owns(case.clip.frames)]
    failed: dict[str, str] = {}
    pairs = [(case, name) for case in own for name in methods]

    def one(i: int) -> MethodResult:
        case, name = pairs[i]
        if name in failed:
            return MethodResult(case.clip.source, case.target, name, error=failed[name])
        asked = {n: m for n, m in metrics.items() if m.needs != "method" or case.again}
        task = MeasureMethod(case.clip, case.target, case.mask, case.other, methods[name], asked, passes)
        try:
            found = replace(engine.run(task), clip=case.clip.source, method=name)
        except _Failed as failure:  # nothing is stored, so that it is tried again by the next run
            reason = f"no map of {case.clip.source}: {failure}"
            return MethodResult(case.clip.source, case.target, name, error=reason, failed=(f"map: {failure}",))
        finally:
            _forget(case)
        if found.error:
            failed[name] = found.error
        return found

    return engine.map("methods on clips", len(pairs), one).values()


class _Failed(Exception):
    """A method raised an unexpected error on one clip; its text is that error in a sentence."""


def _sentence(error: Exception) -> str:
    """An error as one line, with its type where it is none of voxplain's."""
    text = " ".join(str(error).split())
    return text if isinstance(error, VoxplainError) else f"{type(error).__name__}: {text[:300]}"


def _forget(case: BenchmarkClip) -> None:
    """Take the frames and the mask of a clip out of memory where they are in files, until they are used again."""
    for array in (case.clip.frames, case.mask, None if case.other is None else case.other.frames):
        if array is not None:
            forget(array)


@dataclass(frozen=True, eq=False)
class MeasureMethod(Task[MethodResult]):
    """One method on one clip by every metric."""

    step: ClassVar[str] = "benchmark"
    version: ClassVar[int] = 4  # 3: maps are computed one clip at a time; 4: the field `error`
    form: ClassVar[Form] = "record"

    clip: Clip
    target: int
    mask: np.ndarray | None
    other: Clip | None
    method: AttributionMethod
    metrics: Mapping[str, Any]
    passes: int

    def compute(self, model: VideoModel) -> dict[str, Any]:
        """The fields of `MethodResult`."""
        return asdict(self._measured(model))

    def read(self, stored: dict[str, Any]) -> MethodResult:
        """The record of the plain values."""
        values = {n: (float(v), None if c is None else float(c)) for n, (v, c) in stored["values"].items()}
        return MethodResult(**{**stored, "values": values, "failed": tuple(stored.get("failed", ()))})

    def _measured(self, model: VideoModel) -> MethodResult:
        clip, method = self.clip, self.method
        try:
            with counted(model.net) as cost:
                attribution = method(model, clip, self.target)
        except ModelError as error:
            return MethodResult(clip.source, self.target, "", error=str(error))
        except Exception as error:
            raise _Failed(_sentence(error)) from error
        again = cost.forwards + cost.backwards <= self.passes
        joined: list[Any] = []
        found: dict[str, MetricValue] = {}
        failed: list[str] = []
        for name, metric in self.metrics.items():
            try:
                measured = self._one(model, attribution, metric, joined, again=again)
            except MemoryError:  # of this machine at this moment: not a result to be stored
                raise
            except Exception as error:  # of one metric on one clip: the others do not need it
                failed.append(f"{name}: {_sentence(error)}")
                continue
            found |= {} if measured is None else {name: measured}
        values = {n: (m.value, m.chance) for n, m in found.items()}
        return MethodResult(
            clip.source, self.target, "", values, cost.seconds, cost.forwards, cost.backwards, failed=tuple(failed)
        )

    def _one(
        self, model: VideoModel, attribution: Attribution, metric: Any, joined: list[Any], *, again: bool
    ) -> MetricValue | None:
        """One metric, where the clip has what it needs; ``joined`` keeps the map of two clips joined in time."""
        clip, method = self.clip, self.method
        found: MetricValue | None = None
        if metric.needs == "map":
            found = metric(model, clip, attribution)
        elif metric.needs == "mask" and self.mask is not None:
            found = metric(attribution, self.mask, self.mask.any((1, 2)))
        elif metric.needs == "time" and self.other is not None:
            if not joined:
                both, own = join_in_time(clip, self.other, side=side_of(clip))
                joined += [method(model, both, self.target), own]
            found = metric(*joined)
        elif metric.needs == "method" and again:
            found = metric(model, clip, self.target, method)
        return found
