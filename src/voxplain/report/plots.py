"""Figures of numbers: scores with their intervals, and accuracy while concepts are added or removed.

Colours are Okabe and Ito's, which colour-blind readers tell apart; every curve also has a line or marker of its own.
Figures carry their own canvas: no pyplot, no global state.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.report.tables import mean_curves

__all__ = ["LIGHT", "Theme", "curves"]


@dataclass(frozen=True)
class Theme:
    """The colours of a figure."""

    paper: str
    ink: str
    soft: str  # axes, grid, reference lines
    top: str
    least: str
    random: str
    matched: str


LIGHT = Theme("#ffffff", "#1f2328", "#8b949e", "#0072b2", "#d55e00", "#6e7781", "#009e73")

_LINES = {
    "random": ("random order", "-", ""),
    "matched": ("random regions of top’s volume", "--", "s"),
    "least": ("least concepts first", "-", "v"),
    "top": ("top concepts first", "-", "o"),
}


def curves(evaluation: EvaluationRun, *, theme: Theme = LIGHT) -> Figure:
    """Accuracy on test videos while concepts are added (left) and removed (right).

    Above against the number of concepts, below against the share of voxels that they show or hide, because much of a
    curve is coverage and not ranking. The band holds 95 % of the random orders.
    """
    figure = _figure(11, 7.4, theme)
    axes = figure.subplots(2, 2, sharey=True)
    for column, steps in enumerate((evaluation.adding, evaluation.removing)):
        _against_count(axes[0, column], steps, theme)
        _against_coverage(axes[1, column], steps, theme)
        verb = {"adding": "Adding", "removing": "Removing"}.get(steps.kind, steps.kind)
        axes[0, column].set_title(f"{verb} concepts", loc="left", color=theme.ink, fontsize=11, fontweight="bold")
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy, %", color=theme.ink)
    drawn = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    labels = [
        label for start in ("top", "least", "random", "unmod", "chance") for label in drawn if label.startswith(start)
    ]
    handles = [drawn[label] for label in labels]
    figure.legend(handles, labels, loc="upper center", ncols=3, frameon=False, labelcolor=theme.ink, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.92), h_pad=2, w_pad=2)
    return figure


def _against_count(ax: Axes, steps: AddRemoveCurves, theme: Theme) -> None:
    means = mean_curves(steps)
    count = len(means.low)
    # One place is left empty before "all": the axis is not to scale there.
    x = np.array([*range(count - 1), count], float)
    for part, alpha in ((slice(None, -1), 0.24), (slice(-2, None), 0.1)):
        ax.fill_between(x[part], means.low[part], means.high[part], color=theme.random, alpha=alpha, linewidth=0)
    for name in _LINES:
        _line(ax, x, means.accuracy[name], name, theme, draws=means.draws)
    ax.set_xticks(x, [*map(str, range(count - 1)), "all"])
    ax.set_xlabel("concepts " + ("shown" if steps.kind == "adding" else "hidden"), color=theme.ink)
    _references(ax, steps, theme)


def _against_coverage(ax: Axes, steps: AddRemoveCurves, theme: Theme) -> None:
    means = mean_curves(steps)
    for name in _LINES:
        _line(ax, means.coverage[name], means.accuracy[name], name, theme, draws=means.draws)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_locator(MultipleLocator(0.2))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.set_xlabel("voxels " + ("shown" if steps.kind == "adding" else "hidden") + ", %", color=theme.ink)
    _references(ax, steps, theme)


def _line(ax: Axes, x: np.ndarray, y: np.ndarray, name: str, theme: Theme, *, draws: int) -> None:
    """One order; thin from the last counted step to "all", for nothing was measured between them."""
    label, style, marker = _LINES[name]
    if name == "random":
        label += f" (mean of {draws}, 95 % band)"
    color = getattr(theme, name)
    ax.plot(x[-2:], y[-2:], style, color=color, linewidth=1, alpha=0.45, gid=f"{name}-rest")
    ax.plot(x[-1:], y[-1:], marker=marker or "o", color=color, markersize=4, gid=f"{name}-all", clip_on=False)
    ax.plot(
        x[:-1],
        y[:-1],
        style,
        marker=marker,
        color=color,
        label=label,
        linewidth=2.4 if name == "top" else 1.6,
        markersize=4.5,
        gid=name,
        clip_on=False,
    )


def _references(ax: Axes, steps: AddRemoveCurves, theme: Theme) -> None:
    """The unmodified videos, the chance level, and a frame that stays in the background."""
    _style(ax, theme)
    ax.axhline(steps.baseline(), color=theme.ink, linewidth=1, label="unmodified videos", gid="baseline", zorder=1.5)
    ax.axhline(
        1 / steps.logits.shape[-1],
        color=theme.soft,
        linewidth=1,
        linestyle=":",
        label="chance (one of the classes)",
        gid="chance",
        zorder=1.5,
    )
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.grid(axis="y", color=theme.soft, alpha=0.25, linewidth=0.7)


def _figure(width: float, height: float, theme: Theme) -> Figure:
    figure = Figure(figsize=(width, height), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def _style(ax: Axes, theme: Theme) -> None:
    ax.set_facecolor(theme.paper)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.soft)
    ax.tick_params(colors=theme.ink, labelsize=9, color=theme.soft)
