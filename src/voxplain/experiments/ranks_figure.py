"""The study's headline as a picture: how methods rank by faithfulness against how they rank by localisation."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voxplain.experiments.comparison import CONTROLS, Comparison
from voxplain.report.plots import LIGHT, Theme

__all__ = ["ranks_figure"]


def ranks_figure(found: Comparison, *, theme: Theme = LIGHT) -> Figure:
    """A point a method: mean rank by faithfulness (objective) across, by localisation (subjective) up.

    The best are at the lower left; methods on the diagonal are judged alike by both.
    """
    across, up = found.ranks["faithfulness"], found.ranks["localisation"]
    figure = Figure(figsize=(8.5, 8), facecolor=theme.paper)
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.set_facecolor(theme.paper)
    last = len(found.methods)
    line, wide = last / 60, last / 6  # a line of text and a name's width, in ranks
    ax.plot([1, last], [1, last], color=theme.soft, linewidth=0.8, linestyle=":", zorder=1)
    taken: list[tuple[float, float]] = []
    for m in sorted(set(across) & set(up), key=lambda m: (across[m], up[m])):
        control = m in CONTROLS
        ax.plot(across[m], up[m], "s" if control else "o", color=theme.random if control else theme.top, markersize=5)
        # Names that would lie over one another move down until there is room.
        y = up[m]
        while any(abs(across[m] - a) < wide and abs(y - b) < line for a, b in taken):
            y += line
        taken.append((across[m], y))
        ax.annotate(m, (across[m], up[m]), (across[m] + line, y), fontsize=7, va="center", color=theme.ink)
    ax.set_xlabel("mean rank by faithfulness (objective), 1 the best", color=theme.ink)
    ax.set_ylabel("mean rank by localisation (subjective), 1 the best", color=theme.ink)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(0.5, last + wide)
    ax.set_ylim(0.5, last + 0.5)
    figure.tight_layout()
    return figure
