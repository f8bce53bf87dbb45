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
    ax.plot([1, len(found.methods)], [1, len(found.methods)], color=theme.soft, linewidth=0.8, linestyle=":", zorder=1)
    taken: list[tuple[float, float]] = []
    for m in sorted(set(across) & set(up), key=lambda m: (across[m], up[m])):
        control = m in CONTROLS
        ax.plot(across[m], up[m], "s" if control else "o", color=theme.random if control else theme.top, markersize=5)
        # Names that would lie over one another move down until there is room.
        y = up[m]
        while any(abs(across[m] - a) < 7 and abs(y - b) < 0.75 for a, b in taken):
            y += 0.75
        taken.append((across[m], y))
        ax.annotate(m, (across[m], up[m]), (across[m] + 0.5, y), fontsize=7, va="center", color=theme.ink)
    ax.set_xlabel("mean rank by faithfulness (objective), 1 the best", color=theme.ink)
    ax.set_ylabel("mean rank by localisation (subjective), 1 the best", color=theme.ink)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(0, len(found.methods) + 7)
    figure.tight_layout()
    return figure
