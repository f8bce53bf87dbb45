"""Options of a printed figure, and the test clips that it can show."""

from dataclasses import dataclass

import numpy as np

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.errors import DataError

__all__ = ["FigureOptions", "evaluation_of", "explored_of", "shown_frames"]


@dataclass(frozen=True)
class FigureOptions:
    """The choices of a printed figure."""

    concepts: int = 5  # how many, best first
    clip: int = 0  # which of the explored test clips, the best recognised first
    frames: tuple[int, ...] = ()  # indices in the clip; none: spread evenly
    width: float = 17.0  # cm: two columns of a page; one column is about 8.5

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.concepts < 1 or not 6 <= self.width <= 60:
            raise DataError(
                f"expected 1 concept or more and a width from 6 to 60 cm, got {self.concepts} and {self.width:g}; "
                "correct them"
            )


def evaluation_of(run: ConceptRun) -> EvaluationRun:
    """The run's evaluation. Raises DataError when there is none."""
    if run.evaluation is None:
        raise DataError(
            f"expected an evaluated run, got “{run.target}” without evaluation; run `voxplain evaluate` on it first"
        )
    return run.evaluation


def explored_of(run: ConceptRun, options: FigureOptions) -> ExploredClip:
    """The test clip to show. Raises DataError when the run has no such one."""
    explored = evaluation_of(run).explored
    if not 0 <= options.clip < len(explored):
        available = f"from 0 to {len(explored) - 1}" if explored else "but the run has none (setting exploration.clips)"
        raise DataError(f"expected an explored test clip, {available}, got {options.clip}; choose another")
    return explored[options.clip]


def shown_frames(options: FigureOptions, length: int, count: int) -> list[int]:
    """The frames to show of a clip, ``count`` evenly spread ones if not chosen. Raises DataError beyond its end."""
    if not options.frames:
        count = min(count, length)
        return [int((i + 0.5) * length / count) for i in range(count)]
    wrong = [f for f in options.frames if not 0 <= f < length]
    if wrong:
        raise DataError(f"expected frames from 0 to {length - 1} of the clip, got {wrong[0]}; choose others")
    return list(np.asarray(options.frames).tolist())
