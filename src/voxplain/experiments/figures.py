"""Accuracy against the number of concepts and against coverage, with 95 % bands (as the papers' Figs 6 and 7)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voxplain.experiments.outcome import Outcome, rows_of
from voxplain.report.plots import LIGHT, Theme

__all__ = ["band_figure"]

_LOOKS = {
    "top": ("top concepts first", "-", "o"),
    "random": ("random order, mean of draws", "-", ""),
    "least": ("least concepts first", "-", "v"),
    "matched": ("random regions of top’s volume", "--", "s"),
}


def band_figure(outcomes: Sequence[Outcome], *, theme: Theme = LIGHT) -> Figure:
    """Four columns (adding and removing, against number and coverage), a row per network and setting."""
    figure = Figure(figsize=(15, 0.6 + 3.4 * len(outcomes)), facecolor=theme.paper)
    grid = figure.subplots(len(outcomes), 4, squeeze=False, sharey="row")
    for axes, outcome in zip(grid, outcomes, strict=True):
        for column, kind in enumerate(("adding", "removing")):
            for place, against in enumerate(("number", "coverage")):
                _panel(axes[2 * column + place], outcome, kind, against, theme)
        axes[0].set_ylabel(f"{outcome.net}, {outcome.setting}\naccuracy, %", color=theme.ink)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, labelcolor=theme.ink)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / figure.get_size_inches()[1]))
    return figure


def _panel(ax: Axes, outcome: Outcome, kind: str, against: str, theme: Theme) -> None:
    for row in rows_of(outcome):
        if row.kind != kind:
            continue
        x = np.arange(1, len(row.accuracy) + 1) if against == "number" else np.array(row.coverage)
        label, line, marker = _LOOKS[row.order]
        color = getattr(theme, row.order)
        ax.fill_between(x, row.low, row.high, color=color, alpha=0.14, linewidth=0)
        ax.plot(x, row.accuracy, line, marker=marker, color=color, label=label, markersize=4.5)
    ax.axhline(100 * outcome.baseline, color=theme.ink, linewidth=0.8, linestyle=":", label="unmodified")
    ax.set_ylim(-3, 103)
    shown = "added" if kind == "adding" else "removed"
    ax.set_xlabel(f"concepts {shown}" if against == "number" else f"voxels {shown}, %", color=theme.ink)
    ax.tick_params(colors=theme.ink)
    ax.set_facecolor(theme.paper)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if against == "number":
        ax.set_title("Adding concepts" if kind == "adding" else "Removing concepts", loc="left", color=theme.ink)
        ax.set_xticks(np.arange(1, outcome.sides[0].logits.shape[2] - 1))
