"""Options that change where and how fast a run is computed, and not its results."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter

from voxplain.errors import DataError

__all__ = ["Execution", "read_duration"]

_UNITS = {"s": 1, "m": 60, "h": 3600}


def read_duration(text: str) -> float:
    """Seconds of a time.

    Parameters
    ----------
    text : str
        A number and s, m or h: 90s, 5m, 1.5h.

    Returns
    -------
    float
        Seconds, above 0.

    Raises
    ------
    DataError
        For any other text.

    Examples
    --------
    >>> read_duration("1.5h")
    5400.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or float(match[1]) <= 0:
        raise DataError(f"expected a time such as 90s, 5m or 2h, got {text!r}; write a number and s, m or h")
    return float(match[1]) * _UNITS[match[2]]


@Parameter(name="*")
@dataclass(frozen=True)
class Execution:
    """Threads, one shard of an array job, or a Ray cluster."""

    workers: int | None = None
    "Clips computed at the same time, each on one core. Default: one a core, as far as each has 2 GiB of memory."
    shard: str | None = None
    "Compute one shard of the clips, such as 2/8: for array jobs; see docs/performance.md."
    ray: Annotated[str | None, Parameter(negative="")] = None
    "Compute on a Ray cluster: its address, or local to start one on this machine; needs the extra `ray`."

    max_memory: str | None = None
    """Most memory of the run, such as 4G: fewer workers and smaller passes of the network, by what one clip of the data
    is measured to take."""
    profile: bool = False
    "Print at the end the seconds of each step, and the speed of the forwards beside the fastest that was measured."

    @property
    def estimable(self) -> bool:
        """Whether all is computed by the workers of this process, whose speed can be measured before."""
        return self.shard is None and self.ray is None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments ``executor`` and ``shard`` of `explain_concepts`.

        Returns
        -------
        dict
            "executor", which makes an executor for a model, and "shard", a `Shard` or None.

        Raises
        ------
        DataError
            For options that exclude each other or have no meaning.
        """
        from voxplain.runtime import ThreadExecutor, read_shard

        if self.workers is not None and self.workers < 1:
            raise DataError(f"expected 1 worker or more, got {self.workers}; leave --workers out for one a core")
        if self.ray is not None and self.shard is not None:
            raise DataError("expected either --ray or --shard, got both; Ray divides the clips by itself")
        if self.ray is not None:
            from voxplain.runtime.ray_executor import RayExecutor

            return {"executor": RayExecutor(self.ray, self.workers), "shard": None}
        shard = None if self.shard is None else read_shard(self.shard)
        return {"executor": partial(ThreadExecutor, workers=self.workers), "shard": shard}
