"""One test clip as concepts are added to or removed from it, with the prediction of the network at each step."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.report.figures.options import FigureOptions, evaluation_of, explored_of, shown_frames
from voxplain.report.figures.sheet import GREY, INK, SMALL, Sheet, shorten
from voxplain.report.tables import number, places_for
from voxplain.report.theme import LIGHT

__all__ = ["Step", "adding_figure", "removing_figure", "steps_length", "steps_of"]

MARGIN, LEFT, GAP = 0.1, 1.25, 0.08  # cm; LEFT holds what rows are called
HEAD, SHARE, BARS, LEGEND = 0.42, 0.4, 1.9, 0.6  # cm
ROWS = 3  # frames of a still figure


@dataclass(frozen=True, eq=False)
class Step:
    """``shown`` and ``new`` (what this step changed) bool [T,H,W]; ``share`` of voxels changed so far."""

    names: tuple[str, ...]  # the same in longer and shorter words
    shown: np.ndarray
    new: np.ndarray
    share: float
    value: float  # probability of the class, or the output of a quantity
    right: bool | None  # None for a quantity
    absent: bool  # the clip has nothing of the concept


def steps_of(run: ConceptRun, explored: ExploredClip, kind: str, most: int) -> list[Step]:
    """The steps of an explored clip in the run's order: nothing changed, the first ``most`` concepts, all."""
    evaluation = evaluation_of(run)
    steps = evaluation.adding if kind == "adding" else evaluation.removing
    row, v = steps.names.index("top"), explored.place
    logits, share = steps.logits[row, v], steps.coverage[row, v]
    truth = int(steps.truth[v])
    counted = min(most, len(run.order), logits.shape[0] - 2)
    union = np.zeros(explored.clip.frames.shape[:3], bool)
    empty, found = union, []
    sign = "+" if kind == "adding" else "−"
    places = [*range(counted + 1), *([logits.shape[0] - 1] if counted < len(run.order) else [])]
    for q in places:
        new = empty
        names: tuple[str, ...] = ("nothing",) if kind == "adding" else ("whole clip", "whole")
        if q == logits.shape[0] - 1:
            new, names = ~union, ("all",) if kind == "adding" else ("− all",)
        elif q > 0:
            k = int(run.order[q - 1])
            new = concept_mask(explored.supervoxels, explored.assigned, k)
            names = (f"{sign} concept {k}", f"{sign} conc. {k}", f"{sign} {k}")
        before, union = union, union | new
        shown = union if kind == "adding" else ~union
        z = logits[q].astype(np.float64)
        value = float(z[0] if run.quantity else softmax(z)[truth])
        right = None if run.quantity else bool(z.argmax() == truth)
        absent = 0 < q < logits.shape[0] - 1 and not new.any()
        found.append(Step(names, shown, union & ~before, float(share[q]), value, right, absent))
    return found


def adding_figure(run: ConceptRun, options: FigureOptions, moment: int | None = None) -> Figure:
    """Concepts added to an empty clip, best first."""
    return _figure(run, options, "adding", moment)


def removing_figure(run: ConceptRun, options: FigureOptions, moment: int | None = None) -> Figure:
    """Concepts removed from the whole clip, best first."""
    return _figure(run, options, "removing", moment)


def steps_length(run: ConceptRun, options: FigureOptions) -> int:
    """Frames of the moving figure."""
    return len(explored_of(run, options).clip)


def _figure(run: ConceptRun, options: FigureOptions, kind: str, moment: int | None) -> Figure:
    """A column a step, a row a frame, and below the probability of the class; ``moment`` shows that one frame."""
    explored = explored_of(run, options)
    clip, base = explored.clip, explored.base
    steps = steps_of(run, explored, kind, options.concepts)
    frames = shown_frames(options, len(clip), ROWS) if moment is None else [moment]
    wide = (options.width - 2 * MARGIN - LEFT + GAP) / len(steps) - GAP
    tall = wide * clip.frames.shape[1] / clip.frames.shape[2]
    below = MARGIN + HEAD + len(frames) * (tall + GAP)
    sheet = Sheet(options.width, below + SHARE + BARS + LEGEND + MARGIN)
    left = [MARGIN + LEFT + i * (wide + GAP) for i in range(len(steps))]
    for row, frame in enumerate(frames):
        y = MARGIN + HEAD + row * (tall + GAP)
        time_text = f"{clip.seconds[frame]:.2f} s"
        sheet.text(MARGIN + LEFT - 0.12, y + tall / 2, time_text, size=SMALL, color=GREY, ha="right", va="center")
        for x, step in zip(left, steps, strict=True):
            pixels = np.where(step.shown[frame][..., None], clip.frames[frame], base[frame])
            spot = sheet.picture(x, y, wide, tall, pixels)
            sheet.box(x, y, wide, tall, line=LIGHT.soft)  # an empty clip may be as white as the page
            if step.names[0] not in ("all", "− all"):
                sheet.outline(spot, step.new[frame], width=0.6)
    word = "shown" if kind == "adding" else "hidden"
    sheet.text(MARGIN + LEFT - 0.12, below + 0.1, word, size=SMALL, color=GREY, ha="right")
    for x, step in zip(left, steps, strict=True):
        sheet.fitted(x + wide / 2, MARGIN + HEAD - 0.1, step.names, wide - 0.05, ha="center", va="bottom")
        share = f"{number(100 * step.share, 0)} %"
        shares = [f"{share}, absent", "absent"] if step.absent else [share]
        sheet.fitted(x + wide / 2, below + 0.1, shares, wide, size=SMALL, color=GREY, ha="center")
    _bars(sheet, run, steps, left, wide, below + SHARE, 1 / len(explored.unmodified))
    return sheet.figure


def _bars(
    sheet: Sheet, run: ConceptRun, steps: list[Step], left: list[float], wide: float, y: float, chance: float
) -> None:
    """The class's probability, or the quantity's output, under each column, and what the bars mean."""
    ax = sheet.axes(left[0], y + 0.32, left[-1] + wide - left[0], BARS - 0.32)
    ax.set_xlim(left[0], left[-1] + wide)
    ax.set_xticks([])
    ax.tick_params(labelsize=SMALL, length=2, width=0.6, pad=1.5, colors=INK, color=LIGHT.soft)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(LIGHT.soft)
    if run.quantity:
        values = [0.0, *(step.value for step in steps)]
        ax.set_ylim(min(values), max(values) if max(values) > min(values) else 1)
        ax.set_ylabel(f"output, {run.units}" if run.units else "output", fontsize=SMALL, color=INK, labelpad=2)
    else:
        ax.set_ylim(0, 1)
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_ylabel("probability", fontsize=SMALL, color=INK, labelpad=2)
    ax.axhline(0 if run.quantity else chance, color=LIGHT.soft, linewidth=0.8, linestyle=":", zorder=1)
    digits = places_for([step.value for step in steps]) if run.quantity else 2
    for x, step in zip(left, steps, strict=True):
        middle = x + wide / 2
        ax.bar(
            middle,
            step.value,
            min(0.9, 0.5 * wide),
            color="white" if step.right is False else LIGHT.top,
            edgecolor=LIGHT.top,
            linewidth=0.9,
            zorder=2,
            gid={True: "right", False: "wrong", None: "output"}[step.right],
        )
        ax.annotate(
            number(step.value, digits),
            (middle, max(step.value, 0)),
            (0, 1.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=INK,
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )

    def key(right: str, wrong: str) -> list[tuple[str, str]]:
        return [
            ("■", LIGHT.top),
            (f"{right}   ", GREY),
            ("□", LIGHT.top),
            (f"{wrong}   ", GREY),
            ("┈", GREY),
            ("chance", GREY),
        ]

    name = shorten(run.target, 30)
    wordings = [key(f"recognised as “{name}”", "taken for another class"), key("recognised", "not recognised")]
    if run.quantity:
        wordings = [[("■", LIGHT.top), (f"output, {name}   ", GREY), ("┈", GREY), ("zero", GREY)]]
    sheet.line(left[0], y + BARS + 0.2, wordings, sheet.width - left[0] - MARGIN)
