"""Figures of print quality: a run in, a matplotlib Figure or the bytes of a PDF, PNG, GIF or MP4 out."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from voxplain.concepts.concept_run import ConceptRun, combined_evaluation
from voxplain.errors import DataError
from voxplain.report.figures.accuracy import accuracy_figure
from voxplain.report.figures.concepts import concepts_figure, concepts_length
from voxplain.report.figures.effect_map import effect_map, map_figure
from voxplain.report.figures.options import FigureOptions, evaluation_of, explored_of
from voxplain.report.figures.sheet import file_of_figure, file_of_frames, raster
from voxplain.report.figures.steps import adding_figure, removing_figure, steps_length

__all__ = ["KINDS", "FigureOptions", "draw_figure", "effect_map", "figure_file"]

Draw = Callable[[ConceptRun, FigureOptions, int | None], Figure]
MOVING: dict[str, tuple[Draw, Callable[[ConceptRun, FigureOptions], int]]] = {
    "concepts": (concepts_figure, concepts_length),
    "adding": (adding_figure, steps_length),
    "removing": (removing_figure, steps_length),
    "map": (map_figure, steps_length),
}
KINDS = ("concepts", "curves", "adding", "removing", "map")
STILL, FILMS = (".pdf", ".png"), (".gif", ".mp4")
SLOWER = 2  # clips of half a second flash by: moving figures run at half speed

_NO_CHOICE = FigureOptions()


def draw_figure(
    run: ConceptRun | Sequence[ConceptRun], kind: str, options: FigureOptions = _NO_CHOICE, *, moment: int | None = None
) -> Figure:
    """One figure of KINDS; with ``moment`` the still of a moving figure that shows this frame.

    Several runs of one network and layer make curves over all their test videos; the other kinds show one run.
    Raises DataError for what the run does not hold.
    """
    runs = [run] if isinstance(run, ConceptRun) else list(run)
    if kind not in KINDS or not runs:
        raise DataError(f"expected a figure of {', '.join(KINDS)} and a run, got {kind!r} of {len(runs)}; choose one")
    if kind == "curves":
        each = [evaluation_of(one) for one in runs]
        return accuracy_figure(each[0] if len(runs) == 1 else combined_evaluation(runs), options)
    if len(runs) > 1:
        raise DataError(f"expected one run for a figure of {kind}, got {len(runs)}; choose one")
    return MOVING[kind][0](runs[0], options, moment)


def figure_file(
    run: ConceptRun | Sequence[ConceptRun], kind: str, suffix: str, options: FigureOptions = _NO_CHOICE
) -> bytes:
    """A figure as the bytes of a .pdf, .png (300 dpi), .gif or .mp4 (moving, at half speed); same run, same bytes."""
    suffix = suffix.lower()
    allowed = STILL if kind == "curves" else (*STILL, *FILMS)
    if suffix not in allowed:
        why = "; curves do not move" if kind == "curves" and suffix in FILMS else ""
        raise DataError(
            f"expected a file ending in {', '.join(allowed)} for a figure of {kind}, got {suffix or 'none'}{why}; "
            "name another"
        )
    if suffix in STILL:
        return file_of_figure(draw_figure(run, kind, options), suffix)
    one = run if isinstance(run, ConceptRun) else next(iter(run), None)
    draw_figure(run, kind, options, moment=0)  # raises before anything is drawn
    assert one is not None
    length = MOVING[kind][1](one, options)
    frames = np.stack([raster(draw_figure(run, kind, options, moment=t)) for t in range(length)])
    seconds = (one.clips[0] if kind == "concepts" else explored_of(one, options).clip).seconds
    span = float(seconds[-1] - seconds[0])
    rate = (len(seconds) - 1) / span if span > 0 else 25.0
    return file_of_frames(frames, suffix, int(np.clip(round(rate / SLOWER), 2, 25)))
