"""The estimate of `voxplain benchmark`: its first clips are measured, kept in the store, and timed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxplain.attribution import AttributionMethod
from voxplain.benchmark.run import BenchmarkClip
from voxplain.cli.estimate_training import timed_passes
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.model import VideoModel

__all__ = ["benchmark_estimate"]


def benchmark_estimate(
    model: VideoModel,
    cases: Sequence[BenchmarkClip],
    methods: Mapping[str, AttributionMethod],
    metrics: Mapping[str, Any],
    measure: Callable[[Sequence[BenchmarkClip]], object],
) -> Estimate | None:
    """The estimate of the clips that are not measured yet.

    Parameters
    ----------
    model : VideoModel
    cases : sequence of BenchmarkClip
        Those of this shard.
    methods, metrics : mapping
    measure : callable
        Measures some of the cases as the benchmark does, and keeps the results.

    Returns
    -------
    Estimate or None
        Of the other clips. None where there are none, and where the results of the first clips were there already, so
        that nothing was timed.
    """
    groups = {
        "clips with all metrics": [case for case in cases if case.again],
        "clips without metrics that call a method again": [case for case in cases if not case.again],
    }
    if not cases:
        return None
    opening, took = timed_passes(lambda: measure([]), model)  # the network is identified by its answer to a probe
    steps = []
    for name, own in groups.items():
        if not own:
            continue
        passes, seconds = timed_passes(lambda own=own: measure(own[:1]), model)  # type: ignore[misc]
        if passes <= opening:
            return None
        more = len(own) - 1
        steps.append(Work(name, more * (passes - opening), more * max(seconds - took, 0.0)))
    return Estimate(tuple(steps)) if any(work.passes for work in steps) else None
