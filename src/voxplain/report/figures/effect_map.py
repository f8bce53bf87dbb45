"""Where the concepts are in one test clip, and what hiding each of them cost the network there."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.evaluate import log_odds_of
from voxplain.errors import DataError
from voxplain.report.figures.options import FigureOptions, evaluation_of, explored_of, shown_frames
from voxplain.report.figures.sheet import COLOURS, GREY, INK, SMALL, TEXT, Sheet
from voxplain.report.tables import number, places_for
from voxplain.report.theme import LIGHT

__all__ = ["drops", "effect_map", "map_figure"]

MARGIN, GAP, HEAD, RIGHT = 0.1, 0.08, 0.36, 3.6  # cm
NAMES = 0.4  # cm for what a row is called
NARROWEST, MOST = 1.4, 6  # cm a frame, frames of a still figure
MAP = "viridis"
DIMMED = 0.55
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def drops(run: ConceptRun, explored: ExploredClip) -> np.ndarray:
    """Log-odds of the class lost with each concept hidden in this clip, [K]; NaN where the clip lacks it."""
    whole = log_odds_of(explored.unmodified, np.array(run.target_index))
    return whole - log_odds_of(explored.hidden, np.full(len(explored.hidden), run.target_index))


def effect_map(run: ConceptRun, explored: ExploredClip) -> np.ndarray:
    """At each voxel the drop of its concept, mean over the levels of supervoxels; float64 [T,H,W]."""
    lost = np.nan_to_num(drops(run, explored))[explored.assigned]
    labels = explored.supervoxels.labels
    there = labels >= 0
    return np.where(there, lost[labels], 0).sum(0) / np.maximum(there.sum(0), 1)


def map_figure(run: ConceptRun, options: FigureOptions, moment: int | None = None) -> Figure:
    """Rows: the clip, its concepts, the log-odds that each voxel's concept costs; a column a frame.

    A moving figure has the three side by side and shows the frame ``moment``.
    """
    if options.concepts > len(COLOURS):
        raise DataError(
            f"expected at most {len(COLOURS)} concepts in a map, got {options.concepts}; more colours cannot be "
            "distinguished"
        )
    evaluation_of(run)
    explored = explored_of(run, options)
    clip, values = explored.clip, effect_map(run, explored)
    chosen = [int(k) for k in run.order[: options.concepts]]
    scale = Normalize(min(0.0, float(values.min())), max(float(values.max()), 1e-9))
    heat = np.rint(255 * colormaps[MAP](scale(values))[..., :3]).astype(np.uint8)
    layers = {"clip": clip.frames, "concepts": _painted(explored, chosen), "effect": heat}
    room = options.width - 2 * MARGIN - NAMES - RIGHT + GAP
    count = min(MOST, max(1, int(room // (NARROWEST + GAP))))
    frames = shown_frames(options, len(clip), count) if moment is None else [moment]
    grid = (3, len(frames)) if moment is None else (1, 3)
    wide = min(room / grid[1], 3.5) - GAP
    tall = wide * clip.frames.shape[1] / clip.frames.shape[2]
    bottom = MARGIN + HEAD + max(grid[0] * (tall + GAP) - GAP, _legend_height(len(chosen)))
    sheet = Sheet(2 * MARGIN + NAMES + grid[1] * (wide + GAP) - GAP + RIGHT, bottom + MARGIN)
    for row, (name, pixels) in enumerate(layers.items()):
        for column, frame in enumerate(frames):
            r, c = (row, column) if moment is None else (0, row)
            x, y = MARGIN + NAMES + c * (wide + GAP), MARGIN + HEAD + r * (tall + GAP)
            sheet.picture(x, y, wide, tall, pixels[frame])
            above = f"{clip.seconds[frame]:.2f} s" if moment is None else name
            if r == 0:
                sheet.fitted(x + wide / 2, y - 0.09, [above], wide, size=SMALL, color=GREY, ha="center", va="bottom")
            if column == 0 and moment is None:
                size = min(TEXT, TEXT * tall / 1.4)
                sheet.text(MARGIN + NAMES - 0.1, y + tall / 2, name, rotation=90, ha="right", va="center", size=size)
    right = MARGIN + NAMES + grid[1] * (wide + GAP) + 0.2
    below = _legend(sheet, run, explored, chosen, right)
    _scale(sheet, scale, right, (below + 0.35, bottom))
    return sheet.figure


def _painted(explored: ExploredClip, chosen: list[int]) -> np.ndarray:
    """Grey frames with the chosen concepts in their colours, the best on top, uint8 [T,H,W,3]."""
    grey = explored.clip.frames @ LUMA
    out = np.repeat((255 * (1 - DIMMED) + grey * DIMMED)[..., None], 3, axis=-1)
    for colour, k in reversed(list(zip(COLOURS, chosen, strict=False))):
        mask = concept_mask(explored.supervoxels, explored.assigned, k)
        # Some of the frame's own light and shade stays, so that the object can be seen.
        out[mask] = (0.8 + 0.2 * grey[mask] / 255)[:, None] * np.array(to_rgb(colour)) * 255
    return np.rint(out).astype(np.uint8)


LINE = 0.36  # cm


def _legend_height(count: int) -> float:
    return (count + 1) * LINE + 2.4


def _legend(sheet: Sheet, run: ConceptRun, explored: ExploredClip, chosen: list[int], x: float) -> float:
    """Colour, name and effect of each concept; returns where it ends."""
    lost = drops(run, explored)
    digits = min(2, places_for(lost))
    y, edge = MARGIN + HEAD, x + RIGHT - 0.3
    sheet.text(edge, y, "effect here", size=SMALL, color=GREY, ha="right")
    for colour, k in zip(COLOURS, chosen, strict=False):
        y += LINE
        middle = y + 0.13
        sheet.box(x, y, 0.26, 0.26, fill=colour)
        absent = bool(np.isnan(lost[k]))
        sheet.text(x + 0.38, middle, f"concept {k}", size=TEXT, va="center", color=GREY if absent else INK)
        value_text = "absent" if absent else number(float(lost[k]), digits)
        sheet.text(edge, middle, value_text, size=TEXT, va="center", ha="right", color=INK)
    return y + LINE


def _scale(sheet: Sheet, scale: Normalize, x: float, span: tuple[float, float]) -> None:
    """The colours of the map with their values."""
    top, bottom = span[1] - min(2.0, span[1] - span[0]), span[1]
    ax = sheet.axes(x, top, 0.26, bottom - top)
    ramp = np.linspace(scale.vmin or 0, scale.vmax or 1, 256)[:, None]
    ax.imshow(
        ramp, cmap=MAP, norm=scale, origin="lower", aspect="auto", extent=(0, 1, scale.vmin or 0, scale.vmax or 1)
    )
    ax.set_xticks([])
    ax.yaxis.tick_right()
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=SMALL, length=2, width=0.6, pad=1.5, colors=INK, color=LIGHT.soft)
    for spine in ax.spines.values():
        spine.set_visible(False)
    words, room = "log-odds lost\nwhen the voxel’s\nconcept is hidden", RIGHT - 1.55
    sheet.fitted(x + 1.2, (top + bottom) / 2, [words], room, size=SMALL, color=GREY, va="center", linespacing=1.35)
