"""Accuracy or output on the test videos while concepts are added and removed, in print size (STCE Figs 6 and 7)."""

from matplotlib.figure import Figure

from voxplain.concepts.concept_run import EvaluationRun
from voxplain.report.add_remove import Across, common_limits, mean_curves
from voxplain.report.figures.options import FigureOptions
from voxplain.report.figures.sheet import INK, SMALL, TEXT, Sheet
from voxplain.report.plots import CurveSizes, draw_curves, legend_entries

__all__ = ["accuracy_figure"]

PANEL = 4.0  # cm high
PRINT = CurveSizes(text=TEXT, tick=SMALL, line=1.0, top=1.5, marker=3, reference=0.7, frame=0.6)


def accuracy_figure(evaluation: EvaluationRun, options: FigureOptions) -> Figure:
    """Adding left, removing right; above against the number of concepts, below against the voxels they cover.

    The band holds 95 % of the random orders.
    """
    left, gap, right = 1.15, 0.55, 0.25
    wide = (options.width - left - gap - right) / 2
    heads: dict[Across, float] = {"count": 0.5, "coverage": 0.5 + PANEL + 1.05}
    legend = heads["coverage"] + PANEL + 1.0
    rows = 6 if options.width < 12 else 2
    sheet = Sheet(options.width, legend + rows * 0.36 + 0.1)
    both = [mean_curves(steps) for steps in (evaluation.adding, evaluation.removing)]
    low, high = common_limits(*both)
    for column, means in enumerate(both):
        x = left + column * (wide + gap)
        sheet.text(x, 0.1, means.kind.capitalize(), weight="bold")
        for across, y in heads.items():
            ax = sheet.axes(x, y, wide, PANEL)
            draw_curves(ax, means, across, sizes=PRINT)
            ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))  # one scale: labels are on the left
            ax.xaxis.labelpad = 2
            ax.tick_params(length=2, width=PRINT.frame, pad=2, labelleft=column == 0)
            if column == 0:
                ax.set_ylabel("output" if means.quantity else "accuracy, %", fontsize=TEXT, color=INK, labelpad=2)
    sheet.figure.legend(  # axes 0 is the page itself
        *legend_entries(sheet.figure.axes[1]),
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
