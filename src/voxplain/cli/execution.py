"""How a run is carried out: options that change where and how fast it is computed, never what comes out."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter

from voxplain.errors import DataError
from voxplain.runtime import ThreadExecutor, read_shard

__all__ = ["Execution", "read_span"]

_UNITS = {"s": 1, "m": 60, "h": 3600}


def read_span(text: str) -> float:
    """Seconds of a time such as 90s, 5m or 1.5h. Raises DataError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found or float(found[1]) <= 0:
        raise DataError(f"expected a time such as 90s, 5m or 2h, got {text!r}; write a number and s, m or h")
    return float(found[1]) * _UNITS[found[2]]


@Parameter(name="*")
@dataclass(frozen=True)
class Execution:
    """Threads, a share of an array job, or a Ray cluster."""

    workers: int | None = None
    "Clips worked on at once, each on one core. Default: one a core, as far as there are 2 GiB of memory for each."
    shard: str | None = None
    "Do one share of the clips, such as 2/8: for array jobs; see docs/performance.md."
    ray: Annotated[str | None, Parameter(negative="")] = None
    "Work on a Ray cluster: its address, or local to start one here; needs the extra `ray`."

    profile: bool = False
    "Say at the end where the time went, and how near the forwards came to the fastest this machine computes."

    def options(self) -> dict[str, Any]:
        """``executor`` and ``shard`` of `explain_concepts`. Raises DataError for options that contradict each other."""
        if self.workers is not None and self.workers < 1:
            raise DataError(f"expected 1 worker or more, got {self.workers}; leave --workers out for one a core")
        if self.ray is not None and self.shard is not None:
            raise DataError("expected either --ray or --shard, got both; Ray divides the clips by itself")
        if self.ray is not None:
            from voxplain.runtime.ray_executor import RayExecutor

            return {"executor": RayExecutor(self.ray, self.workers), "shard": None}
        shard = None if self.shard is None else read_shard(self.shard)
        return {"executor": partial(ThreadExecutor, workers=self.workers), "shard": shard}
