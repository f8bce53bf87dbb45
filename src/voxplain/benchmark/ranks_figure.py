"""Figure of the methods' mean ranks: by localisation against by faithfulness."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voxplain.benchmark.comparison import CONTROLS, Comparison
from voxplain.report.theme import LIGHT, Theme

__all__ = ["ranks_figure"]


def ranks_figure(found: Comparison, *, theme: Theme = LIGHT) -> Figure:
    """A numbered point a method: mean rank by faithfulness (objective) across, by localisation (subjective) up.

    The best are at the lower left; methods on the diagonal have equal ranks. The key at the right names the
    numbers, in the order of the sum of both ranks; controls are grey squares.
    """
    across, up = found.ranks["faithfulness"], found.ranks["localisation"]
    names = sorted(set(across) & set(up), key=lambda m: (across[m] + up[m], m))
    figure = Figure(figsize=(11, 7.4), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    ax, key = figure.subplots(1, 2, width_ratios=(2.2, 1))
    ax.set_facecolor(theme.paper)
    last = len(found.methods)
    ax.plot([1, last], [1, last], color=theme.soft, linewidth=0.8, linestyle=":", zorder=1)
    for i, m in enumerate(names):
        control = m in CONTROLS
        colour = theme.random if control else theme.top
        ax.plot(across[m], up[m], "s" if control else "o", color=colour, markersize=11, alpha=0.85, markeredgewidth=0)
        ax.annotate(str(i + 1), (across[m], up[m]), fontsize=7, ha="center", va="center", color=theme.paper)
        row, column = i % ((len(names) + 1) // 2), i // ((len(names) + 1) // 2)
        place = (0.58 * column, 1 - (row + 0.5) / ((len(names) + 1) // 2))
        key.text(*place, f"{i + 1:2d}  {m}", fontsize=7.2, va="center", color=colour, transform=key.transAxes)
    ax.set_xlabel("mean rank by faithfulness (objective), 1 the best", color=theme.ink)
    ax.set_ylabel("mean rank by localisation (subjective), 1 the best", color=theme.ink)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(0, last + 1)
    ax.set_ylim(0, last + 1)
    key.set_axis_off()
    figure.tight_layout()
    return figure
