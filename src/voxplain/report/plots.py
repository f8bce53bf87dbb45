"""The plot of accuracy, or of the output of a quantity, while concepts are added or removed.

Figures carry their own canvas: no pyplot, no global state.
"""

from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.report.add_remove import ORDERS, Across, MeanCurves, mean_curves
from voxplain.report.theme import LIGHT, Theme
from voxplain.statistics import Floats

__all__ = ["PAGE", "CurveSizes", "curves", "draw_curves", "legend_entries"]


@dataclass(frozen=True)
class CurveSizes:
    """Sizes of a plot, in points."""

    text: float = 10
    tick: float = 9
    line: float = 1.6
    top: float = 2.4  # width of the top order's line
    marker: float = 4.5
    reference: float = 1  # width of the lines of the unmodified videos and of chance
    frame: float = 0.8


PAGE = CurveSizes()


def draw_curves(
    ax: Axes, curves: MeanCurves, across: Across, *, theme: Theme = LIGHT, sizes: CurveSizes = PAGE
) -> None:
    """Draw accuracy, or a quantity's output, against the number of concepts or the share of voxels that they cover.

    Parameters
    ----------
    ax : matplotlib Axes
    curves : MeanCurves
    across : {"count", "coverage"}
    theme : Theme
    sizes : CurveSizes
    """
    for name, band in curves.bands.items():
        _draw_band(ax, curves.across(across, name), band, getattr(theme, name), alone=len(curves.bands) == 1)
    for name in ORDERS:
        _draw_order(ax, curves, across, name, theme, sizes)
    if across == "count":
        ax.set_xticks(curves.places, curves.step_names)
    else:
        ax.set_xlim(-0.02, 1.02)
        ax.xaxis.set_major_locator(MultipleLocator(0.2))
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.set_xlabel(curves.axis_label(across), color=theme.ink, fontsize=sizes.text)
    _draw_frame(ax, curves, theme, sizes)


def _draw_band(ax: Axes, x: Floats, band: tuple[Floats, Floats], color: str, *, alone: bool) -> None:
    """A range, paler from the last counted step to "all": nothing was measured between them."""
    low, high = band
    for part, alpha in ((slice(None, -1), 0.24 if alone else 0.14), (slice(-2, None), 0.1 if alone else 0.05)):
        ax.fill_between(x[part], low[part], high[part], color=color, alpha=alpha, linewidth=0)


def _draw_order(ax: Axes, curves: MeanCurves, across: Across, name: str, theme: Theme, sizes: CurveSizes) -> None:
    """One order, thin from the last counted step to "all"."""
    label, style, marker = ORDERS[name]
    if name == "random":
        label += f" (mean of {curves.draws}{', 95 % band' if len(curves.bands) == 1 else ''})"
    x, y, color = curves.across(across, name), curves.values[name], getattr(theme, name)
    ax.plot(x[-2:], y[-2:], style, color=color, gid=f"{name}-rest", linewidth=0.6 * sizes.line, alpha=0.45)
    ax.plot(
        x[-1:],
        y[-1:],
        marker=marker or "o",
        color=color,
        markersize=0.9 * sizes.marker,
        gid=f"{name}-all",
        clip_on=False,
    )
    width = sizes.top if name == "top" else sizes.line
    ax.plot(
        x[:-1],
        y[:-1],
        style,
        marker=marker,
        color=color,
        label=label,
        linewidth=width,
        markersize=sizes.marker,
        gid=name,
        clip_on=False,
    )


def _draw_frame(ax: Axes, curves: MeanCurves, theme: Theme, sizes: CurveSizes) -> None:
    """The unmodified videos, the chance level, the vertical axis, and a frame that stays in the background."""
    references = (
        ("baseline", curves.baseline, theme.ink, "-", "unmodified videos"),
        ("chance", curves.chance, theme.soft, ":", "chance"),
    )
    for gid, value, color, style, label in references:
        if value is None:
            continue
        ax.axhline(value, color=color, linewidth=sizes.reference, linestyle=style, label=label, gid=gid, zorder=1.5)
    if not curves.quantity:
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_locator(MultipleLocator(0.25))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    ax.grid(axis="y", color=theme.soft, alpha=0.25, linewidth=0.7 * sizes.reference)
    ax.set_axisbelow(True)
    ax.set_facecolor(theme.paper)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=theme.soft, linewidth=sizes.frame)
    ax.tick_params(labelsize=sizes.tick, colors=theme.ink, color=theme.soft)


def legend_entries(ax: Axes) -> tuple[list[Artist], list[str]]:
    """Handles and labels of a plot's legend, the most important order first."""
    handles, labels = ax.get_legend_handles_labels()
    names = [*(ORDERS[name][0] for name in ("top", "least", "random", "matched")), "unmodified", "chance"]
    places = sorted(
        range(len(labels)), key=lambda i: next(n for n, start in enumerate(names) if labels[i].startswith(start))
    )
    return [handles[i] for i in places], [labels[i] for i in places]


def curves(evaluation: EvaluationRun, *, theme: Theme = LIGHT) -> Figure:
    """Accuracy, or a quantity's mean output, on test videos while concepts are added (left) and removed (right).

    Above against the number of concepts, below against the share of voxels that they show or hide, because much of a
    curve is coverage and not ranking. The band holds 95 % of the random orders.

    Parameters
    ----------
    evaluation : EvaluationRun
    theme : Theme
        Colours.
    """
    figure = Figure(figsize=(11, 7.4), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharey=True)
    for column, steps in enumerate((evaluation.adding, evaluation.removing)):
        means = mean_curves(steps)
        draw_curves(axes[0, column], means, "count", theme=theme)
        draw_curves(axes[1, column], means, "coverage", theme=theme)
        title = f"{steps.kind.capitalize()} concepts"
        axes[0, column].set_title(title, loc="left", color=theme.ink, fontsize=11, fontweight="bold")
    for ax in axes[:, 0]:
        ax.set_ylabel("output" if evaluation.adding.quantity else "accuracy, %", color=theme.ink)
    entries = legend_entries(axes[0, 0])
    figure.legend(*entries, loc="upper center", ncols=3, frameon=False, labelcolor=theme.ink, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.92), h_pad=2, w_pad=2)
    return figure
