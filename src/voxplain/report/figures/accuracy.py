"""Accuracy on the test videos while concepts are added and removed, at the size of print (STCE Figs 6 and 7)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.report.figures.options import FigureOptions
from voxplain.report.figures.sheet import INK, SMALL, TEXT, Sheet
from voxplain.report.plots import LIGHT
from voxplain.report.tables import mean_curves

__all__ = ["accuracy_figure"]

# Order: label, line, marker. Colours are those of the report; lines and markers tell the curves apart without them.
ORDERS = {
    "random": ("random order", "-", ""),
    "matched": ("random regions of top’s volume", "--", "s"),
    "least": ("least concepts first", "-", "v"),
    "top": ("top concepts first", "-", "o"),
}
PANEL = 4.0  # cm high


def accuracy_figure(evaluation: EvaluationRun, options: FigureOptions) -> Figure:
    """Adding left, removing right; above against the number of concepts, below against the voxels they cover.

    The band holds 95 % of the random orders.
    """
    left, gap, right = 1.15, 0.55, 0.25
    wide = (options.width - left - gap - right) / 2
    heads = [0.5, 0.5 + PANEL + 1.05]
    legend = heads[1] + PANEL + 1.0
    rows = 6 if options.width < 12 else 2
    sheet = Sheet(options.width, legend + rows * 0.36 + 0.1)
    for column, steps in enumerate((evaluation.adding, evaluation.removing)):
        x = left + column * (wide + gap)
        sheet.text(x, 0.1, "Adding" if steps.kind == "adding" else "Removing", weight="bold")
        for y, draw in zip(heads, (_number, _coverage), strict=True):
            ax = sheet.axes(x, y, wide, PANEL)
            draw(ax, steps)
            _style(ax, steps, first=column == 0)
    handles, labels = sheet.figure.axes[0].get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: _rank(labels[i]))
    sheet.figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper left",
        frameon=False,
        fontsize=SMALL,
        bbox_to_anchor=(left / sheet.width, 1 - (legend - 0.1) / sheet.height),
        borderpad=0,
        borderaxespad=0,
        ncols=6 // rows,
        handlelength=2.2,
        columnspacing=1.6,
        labelspacing=0.45,
        labelcolor=INK,
    )
    return sheet.figure


def _rank(label: str) -> int:
    starts = ("top", "least", "random order", "random regions", "unmodified", "chance")
    return next(i for i, start in enumerate(starts) if label.startswith(start))


def _number(ax: Axes, steps: AddRemoveCurves) -> None:
    means = mean_curves(steps)
    count = len(means.low)
    x = np.array([*range(count - 1), count], float)  # one place is left empty before "all": not to scale there
    for part, alpha in ((slice(None, -1), 0.22), (slice(-2, None), 0.1)):
        ax.fill_between(x[part], means.low[part], means.high[part], color=LIGHT.random, alpha=alpha, linewidth=0)
    for name in ORDERS:
        _line(ax, x, means.accuracy[name], name)
    ax.set_xticks(x, [*map(str, range(count - 1)), "all"])
    ax.set_xlim(-0.2, count + 0.2)
    ax.set_xlabel("concepts " + ("shown" if steps.kind == "adding" else "hidden"), fontsize=TEXT, color=INK, labelpad=2)


def _coverage(ax: Axes, steps: AddRemoveCurves) -> None:
    means = mean_curves(steps)
    for name in ORDERS:
        _line(ax, means.coverage[name], means.accuracy[name], name)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_locator(MultipleLocator(0.2))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    shown = "shown" if steps.kind == "adding" else "hidden"
    ax.set_xlabel(f"voxels {shown}, %", fontsize=TEXT, color=INK, labelpad=2)


def _line(ax: Axes, x: np.ndarray, y: np.ndarray, name: str) -> None:
    """One order; thin from the last counted step to "all", for nothing was measured between them."""
    label, style, marker = ORDERS[name]
    color, thick = getattr(LIGHT, name), 1.5 if name == "top" else 1.0
    if name == "random":
        label += " (mean, 95 % band)"
    ax.plot(x[-2:], y[-2:], style, color=color, linewidth=0.6, alpha=0.5)
    ax.plot(x[-1:], y[-1:], marker=marker or "o", color=color, markersize=2.6, clip_on=False)
    ax.plot(
        x[:-1],
        y[:-1],
        style,
        marker=marker,
        color=color,
        label=label,
        linewidth=thick,
        markersize=3,
        gid=name,
        clip_on=False,
    )


def _style(ax: Axes, steps: AddRemoveCurves, *, first: bool) -> None:
    ax.axhline(steps.baseline(), color=INK, linewidth=0.7, label="unmodified videos", zorder=1.5)
    chance = 1 / steps.logits.shape[-1]
    ax.axhline(chance, color=LIGHT.soft, linewidth=0.8, linestyle=":", label="chance", zorder=1.5)
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.set_axisbelow(True)
    ax.grid(axis="y", color=LIGHT.soft, alpha=0.3, linewidth=0.4)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=LIGHT.soft, linewidth=0.6)
    ax.tick_params(labelsize=SMALL, colors=INK, color=LIGHT.soft, length=2, width=0.6, pad=2, labelleft=first)
    if first:
        ax.set_ylabel("accuracy, %", fontsize=TEXT, color=INK, labelpad=2)
