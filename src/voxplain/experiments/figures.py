"""Accuracy against the number of concepts and against coverage, with 95 % intervals (as the papers' Figs 6 and 7)."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from voxplain.experiments.outcome import Outcome
from voxplain.report.add_remove import Across, mean_curves
from voxplain.report.plots import draw_curves, legend_entries
from voxplain.report.theme import LIGHT, Theme

__all__ = ["interval_figure"]

PANELS: tuple[Across, Across] = ("count", "coverage")


def interval_figure(outcomes: Sequence[Outcome], *, theme: Theme = LIGHT) -> Figure:
    """Curves of several outcomes with 95 % bootstrap intervals over videos.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One row each: network and setting.
    theme : Theme

    Returns
    -------
    matplotlib Figure
        Four columns: adding and removing, each against number and coverage.
    """
    figure = Figure(figsize=(15, 0.6 + 3.4 * len(outcomes)), facecolor=theme.paper)
    grid = figure.subplots(len(outcomes), 4, squeeze=False, sharey="row")
    for axes, outcome in zip(grid, outcomes, strict=True):
        for side, steps in enumerate(outcome.sides):
            means = mean_curves(steps, bands="videos")
            for place, across in enumerate(PANELS):
                draw_curves(axes[2 * side + place], means, across, theme=theme)
            axes[2 * side].set_title(f"{steps.kind.capitalize()} concepts", loc="left", color=theme.ink)
        axes[0].set_ylabel(f"{outcome.net}, {outcome.setting}\naccuracy, %", color=theme.ink)
    handles, labels = legend_entries(grid[0, 0])
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, labelcolor=theme.ink)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / figure.get_size_inches()[1]))
    return figure
