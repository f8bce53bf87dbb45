"""The concepts of a class, best first: members with all else dimmed above the untouched frames (STCE Figs 3 to 5)."""

import numpy as np
from matplotlib.figure import Figure

from voxplain.concepts.concept_run import ConceptRow, ConceptRun
from voxplain.report.draw import Example, choose_examples
from voxplain.report.figures.options import FigureOptions
from voxplain.report.figures.sheet import CM, GREY, SMALL, TEXT, Sheet
from voxplain.report.tables import interval_text, number, places_for

__all__ = ["concepts_figure", "concepts_length"]

MARGIN, WORDS = 0.1, 2.5  # cm
GAP, BETWEEN = 0.06, 0.32  # cm, of tiles, of concepts
NARROWEST, MOST = 1.55, 8  # cm a tile, tiles a concept
LONGEST = 48  # frames of a moving figure
DIMMED = 0.3  # brightness left outside the concept
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def concepts_figure(run: ConceptRun, options: FigureOptions, moment: int | None = None) -> Figure:
    """A pair of rows a concept; each member where it is largest, or ``moment`` frames into the figure's time.

    Members of different videos come first, and of those the ones nearest the concept's centre.
    """
    rows = run.rows()[: options.concepts]
    room = options.width - 2 * MARGIN - WORDS
    count = min(MOST, max(2, int((room + GAP) // (NARROWEST + GAP))))
    tile = (room + GAP) / count - GAP
    height, width = run.clips[0].frames.shape[1:3]
    tall = tile * height / width
    block = max(2 * tall + GAP, _words_height())
    sheet = Sheet(options.width, 2 * MARGIN + len(rows) * (block + BETWEEN) - BETWEEN)
    for i, row in enumerate(rows):
        y = MARGIN + i * (block + BETWEEN)
        _words(sheet, run, row, y)
        for j, example in enumerate(choose_examples(run, row.concept, count)):
            x = MARGIN + WORDS + j * (tile + GAP)
            _member(sheet, run, row.concept, example, moment, (x, y, tile, tall))
    return sheet.figure


def concepts_length(run: ConceptRun, options: FigureOptions) -> int:
    """Frames of the moving figure: those of the longest clip, up to 48; shorter clips begin again."""
    return min(LONGEST, max(len(clip) for clip in run.clips))


def _member(
    sheet: Sheet,
    run: ConceptRun,
    concept: int,
    example: Example,
    moment: int | None,
    place: tuple[float, float, float, float],
) -> None:
    clip, mask = run.member(concept, example.place)
    frame = example.frame
    if moment is not None:
        start = int(np.clip(example.frame - LONGEST // 2, 0, max(0, len(mask) - LONGEST)))
        frame = start + moment % min(LONGEST, len(mask))
    x, y, wide, tall = place
    raw = clip.frames[frame]
    dim = np.rint(raw @ LUMA * DIMMED).astype(np.uint8)
    upper = sheet.picture(x, y, wide, tall, np.where(mask[frame][..., None], raw, dim[..., None]))
    sheet.outline(upper, mask[frame])
    sheet.picture(x, y + tall + GAP, wide, tall, raw)


LINE = 1.32  # of a line in font sizes


def _words_height() -> float:
    return (TEXT + 4 * SMALL) * LINE / 72 / CM


def _words(sheet: Sheet, run: ConceptRun, row: ConceptRow, y: float) -> None:
    score = run.scores[run.ranking]
    digits = places_for(score.value)
    above = interval_text(row.tested, row.tested_low, row.tested_high, digits)
    name = {"effect": "effect", "tcav": "TCAV"}.get(run.ranking, run.ranking)
    sheet.text(MARGIN, y, f"{row.rank}. Concept {row.concept}", weight="bold")
    below = [f"{name} {number(row.score, digits)}", above, f"q = {number(row.q_value, 3)}", _videos(run, row)]
    for i, line in enumerate(below):
        at = y + (TEXT + i * SMALL) * LINE / 72 / CM
        sheet.fitted(MARGIN, at, [line], WORDS - 0.15, size=SMALL, color=GREY)


def _videos(run: ConceptRun, row: ConceptRow) -> str:
    return f"in {row.videos} of {len(run.clips)} videos"
