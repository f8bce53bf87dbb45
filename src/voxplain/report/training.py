"""The figure of a training run: loss and accuracy against epochs."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from voxplain.report.theme import LIGHT, Theme
from voxplain.train import EpochLog

__all__ = ["training_curves"]


def training_curves(logs: Sequence[EpochLog], *, classes: int = 0, theme: Theme = LIGHT) -> Figure:
    """Loss (left), accuracy on training and test videos (right); a dotted line where the learning rate changes.

    Parameters
    ----------
    logs : sequence of EpochLog
        Training accuracy in them is that of the random clips, while the weights still change.
    classes : int
        Number of classes, for the chance level; 0 for none.
    theme : Theme
    """
    figure = Figure(figsize=(11, 4), facecolor=theme.paper, layout="tight")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = [log.epoch for log in logs]
    left.plot(epochs, [log.loss for log in logs], color=theme.top, linewidth=1.8, marker=_marker(logs), gid="loss")
    left.set_title("Mean cross-entropy, nats (lower is better)", loc="left", color=theme.ink, fontsize=10)
    left.set_ylim(bottom=0)
    right.plot(
        epochs,
        [log.train_accuracy for log in logs],
        "--",
        color=theme.random,
        label="training clips",
        marker=_marker(logs),
        gid="train",
    )
    seen = [(log.epoch, log.test_accuracy) for log in logs if log.test_accuracy is not None]
    if seen:
        label = f"test videos, last {100 * seen[-1][1]:.1f} %"
        right.plot(*zip(*seen, strict=True), color=theme.top, label=label, marker=_marker(logs), gid="test")
    if classes:
        right.axhline(1 / classes, color=theme.soft, linestyle=":", label="chance", gid="chance")
    right.set_title("Accuracy (higher is better)", loc="left", color=theme.ink, fontsize=10)
    right.set_ylim(-0.03, 1.03)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for ax in (left, right):
        _mark_rates(ax, logs, theme, label=ax is left)
        _frame(ax, theme)
    right.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _marker(logs: Sequence[EpochLog]) -> str:
    return "o" if len(logs) == 1 else ""  # a line through one point cannot be seen


def _mark_rates(ax: Axes, logs: Sequence[EpochLog], theme: Theme, *, label: bool) -> None:
    """A line before each epoch with another learning rate; with ``label`` the new rate beside it."""
    for before, log in pairwise(logs):
        if log.lr != before.lr:
            ax.axvline(log.epoch - 0.5, color=theme.soft, linestyle=":", linewidth=1, gid="rate")
            if label:
                place = ax.get_xaxis_transform()
                ax.text(
                    log.epoch - 0.5,
                    0.98,
                    f"lr {log.lr:.2g} ",
                    transform=place,
                    color=theme.ink,
                    fontsize=8,
                    rotation=90,
                    va="top",
                    ha="right",
                )


def _frame(ax: Axes, theme: Theme) -> None:
    ax.set_facecolor(theme.paper)
    ax.set_xlabel("epoch", color=theme.ink)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.soft)
    ax.tick_params(colors=theme.ink, labelsize=9, color=theme.soft)
    ax.grid(axis="y", color=theme.soft, alpha=0.25, linewidth=0.7)
