"""The work of a command before it is done, and what it then took: printed at both ends, and kept in times.json."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxplain.cli.console import Console

__all__ = ["Estimate", "Watch", "Work", "begun", "watched"]


@dataclass(frozen=True)
class Work:
    """One step that is to be done.

    Parameters
    ----------
    step : str
        What it is.
    passes : float
        Clips through the network; a backward pass counts as one.
    seconds : float
        By the clock, on the machine as it is now, with all workers.
    """

    step: str
    passes: float
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """The steps of a command.

    Parameters
    ----------
    steps : tuple of Work
        In their order; steps of the same name are added up where they are printed.

    Examples
    --------
    >>> two = Estimate((Work("maps", 40, 8.0),)) + Estimate((Work("tables", 0, 2.0),))
    >>> two.passes, two.seconds
    (40, 10.0)
    """

    steps: tuple[Work, ...] = ()

    def __add__(self, other: "Estimate") -> "Estimate":
        """Both, one after the other."""
        return Estimate((*self.steps, *other.steps))

    @property
    def passes(self) -> float:
        """Of all steps."""
        return sum(work.passes for work in self.steps)

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(work.seconds for work in self.steps)

    def by_step(self) -> dict[str, Work]:
        """The steps by name, those of the same name added up."""
        found: dict[str, Work] = {}
        for work in self.steps:
            known = found.get(work.step, Work(work.step, 0, 0.0))
            found[work.step] = Work(work.step, known.passes + work.passes, known.seconds + work.seconds)
        return found

    def sentence(self) -> str:
        """Time, passes and the longest steps."""
        from voxplain.progress import duration

        steps = sorted(self.by_step().values(), key=lambda work: -work.seconds)
        longest = ", ".join(f"{work.step} {duration(work.seconds)}" for work in steps[:3] if work.seconds >= 0.05)
        passes = f", {self.passes:,.0f} passes of the network" if self.passes else ""
        return f"about {duration(self.seconds)}{passes}" + (f" ({longest})" if longest else "")

    def record(self) -> dict[str, Any]:
        """Plain values for times.json."""
        steps = {name: {"passes": round(w.passes), "seconds": w.seconds} for name, w in self.by_step().items()}
        return {"seconds": self.seconds, "passes": round(self.passes), "steps": steps}


@dataclass
class Watch:
    """The estimate of a command and the clock that runs beside it.

    Parameters
    ----------
    estimate : Estimate or None
        None where none was made.
    """

    estimate: Estimate | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def took(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self.started

    def sentence(self) -> str:
        """The time that was needed, beside the estimate."""
        from voxplain.progress import duration

        if self.estimate is None:
            return duration(self.took)
        return f"{duration(self.took)}; estimated {duration(self.estimate.seconds)}"

    def record(self, seconds: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Plain values for times.json: ``seconds`` of the steps where they were measured, estimate and actual time."""
        measured = {} if seconds is None else {"seconds": dict(seconds)}
        if self.estimate is None:
            return measured
        return {**measured, "estimate": self.estimate.record(), "actual": {"seconds": self.took}}

    def write(self, output: Path, seconds: Mapping[str, float] | None = None) -> None:
        """Write times.json into a folder."""
        from voxplain.store import write_whole

        write_whole(output / "times.json", json.dumps(self.record(seconds), indent=1).encode())


@contextmanager
def watched(console: "Console", output: Path, make: Callable[[], Estimate | None]) -> Iterator[Watch]:
    """Print the estimate that ``make`` gives, run the block, print what it took, and write times.json.

    What is stored already is not computed again, so that a command that goes on takes less than its estimate.

    Parameters
    ----------
    console : Console
        Where to print; nothing is estimated where it is quiet.
    output : Path
        Folder of times.json.
    make : callable
        Gives the estimate; None where the work is not known.

    Yields
    ------
    Watch
        Its clock starts after the estimate.
    """
    watch = begun(console, make)
    yield watch
    watch.write(output)
    console.print(f"time: {watch.sentence()}", markup=False, highlight=False)


def begun(console: "Console", make: Callable[[], Estimate | None]) -> Watch:
    """The watch of work that begins now, once its estimate is made and printed.

    What cannot be estimated is done without: the work itself raises the error, where there is one.
    """
    try:
        found = None if console.quiet else make()
    except Exception:
        found = None
    if found is not None:
        text = f"estimate: {found.sentence()}; less where results are stored"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    return Watch(found)
