"""The page of a correction: what was removed, and networks and test clips before and after side by side."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.attribution.overlay import overlay
from voxplain.concepts.concept_run import ConceptRun
from voxplain.corrections.clip_change import ClipChange
from voxplain.corrections.improved import Improved, NetworkRow
from voxplain.files import write_whole
from voxplain.report.cards import clip_speed, pair_of_clips, short_name
from voxplain.report.draw import choose_examples, enlarge, scale_of, stacked, stacked_mask
from voxplain.report.embed import clip_uri, jpeg
from voxplain.report.page import Origin, render
from voxplain.report.tables import number
from voxplain.video import damage_sentence

__all__ = ["improved_page", "write_improved_report"]

NAMES = {
    "original": "original",
    "further": "further training without correction",
    "random": "random concept",
    "corrected": "corrected",
}
LIKELY = 3  # classes whose probability is shown
EXAMPLES = 4  # clips of each concept
SKIPPED = 3  # videos that are named


def write_improved_report(
    improved: Improved, path: Path | str, *, run: ConceptRun | None = None, origin: Origin | None = None
) -> Path:
    """Write one self-contained HTML page for a correction.

    Parameters
    ----------
    improved : Improved
    path : str or Path
        The page to write; an existing file is replaced.
    run : ConceptRun, optional
        The run whose concepts were removed or kept; shown with examples.
    origin : Origin, optional
        The command, shown on the page.

    Returns
    -------
    Path
        ``path``.
    """
    write_whole(Path(path), improved_page(improved, run=run, origin=origin))
    return Path(path)


def improved_page(improved: Improved, *, run: ConceptRun | None = None, origin: Origin | None = None) -> bytes:
    """The page itself, as `write_improved_report` writes it."""
    removed, kept = improved.parameters["remove"], improved.parameters["keep"]
    concepts = [] if run is None else [_concept(run, int(k)) for k in (*removed, *kept)]
    classes = improved.model.classes
    return render(
        "improved.html",
        target=improved.parameters["class"],
        network=improved.model.name,
        method=improved.method,
        sentences=sentences(improved),
        verb="removed" if removed else "kept",
        concepts=concepts,
        rows=[_row(row) for row in improved.rows],
        gains=[_gain(g) for g in improved.gains],
        parameters=improved.parameters,
        chosen=_chosen(improved.changes),
        changes=[_change(change, classes) for change in improved.changes],
        facts=_facts(improved),
        origin=origin or Origin(),
    )


def sentences(improved: Improved) -> list[str]:
    """What the correction brought, in words."""
    before, further, random, after = (improved.row(name) for name in NAMES)
    gain = {(g.corrected, g.against, g.clips): g for g in improved.gains}
    found = [said] if (said := improved.not_corrected()) else []
    if not math.isnan(after.conflicting):
        against = gain["corrected", "further", "conflicting"]
        found.append(
            f"Of the test clips that contradict the concept, {_percent(before.conflicting)} were recognised before the "
            f"correction and {_percent(after.conflicting)} are after it; the same training without the correction "
            f"reaches {_percent(further.conflicting)}, and the correction of a random concept "
            f"{_percent(random.conflicting)}."
        )
        found.append(
            f"Against further training that is {number(against.gain, 1)} points, 95 % interval "
            f"{number(against.low, 1)} to {number(against.high, 1)}, p = {against.p_value:.2g}."
        )
    found.append(
        f"Accuracy on all test clips: {_percent(before.accuracy)} before, {_percent(after.accuracy)} after; "
        f"of the worst group: {_percent(before.worst_group)} before, {_percent(after.worst_group)} after."
    )
    if before.reliance > 0:
        found.append(f"Of the reliance on the concept, {100 * after.reliance / before.reliance:.0f} % remain.")
    found += [said] if (said := improved.random_not_corrected()) else []
    return found + _lost_videos(improved.provenance)


def _lost_videos(facts: dict[str, Any]) -> list[str]:
    """Sentences on videos that are damaged, and that were left out."""
    found = []
    damaged = [(short_name(source), lost) for source, lost in facts.get("damaged_videos", {}).items()]
    count = sum(len(facts.get(name, ())) for name in ("training_videos", "test_videos"))
    if said := damage_sentence(damaged, count):
        found.append(f"{said}.")
    if skipped := facts.get("skipped_videos"):
        names = ", ".join(short_name(source) for source in list(skipped)[:SKIPPED])
        more = f", and {len(skipped) - SKIPPED} more" if len(skipped) > SKIPPED else ""
        found.append(f"Left out, because they cannot be read or too little is left of them: {names}{more}.")
    return found


def _percent(share: float) -> str:
    return "an unknown share" if math.isnan(share) else f"{100 * share:.1f} %"


def _row(row: NetworkRow) -> dict[str, Any]:
    shares = (row.accuracy, row.worst_group, row.conflicting)
    cells = ["–" if math.isnan(v) else number(100 * v, 1) for v in shares]
    cells.append("–" if math.isnan(row.reliance) else number(row.reliance, 2))
    return {"name": NAMES[row.network], "cells": cells, "main": row.network == "corrected"}


def _gain(gain: Any) -> dict[str, Any]:
    named = {"all": "all", "conflicting": "that contradict the concept"}
    return {
        "name": f"{NAMES[gain.corrected]} − {NAMES[gain.against]}",
        "clips": f"{named[gain.clips]} ({gain.count})",
        "points": number(gain.gain, 1),
        "interval": f"{number(gain.low, 1)} to {number(gain.high, 1)}",
        "p": f"{gain.p_value:.2g}",
    }


def _concept(run: ConceptRun, k: int) -> dict[str, Any]:
    clips = []
    for example in choose_examples(run, k, EXAMPLES):
        clips.append(pair_of_clips(run.clips[example.clip], *stacked(run, k, example), example.seconds))
    return {"number": k, "clips": clips}


def _chosen(changes: tuple[ClipChange, ...]) -> str:
    """Which clips are shown, and how many of them became right or wrong."""
    right = [[int(p.argmax()) == c.label for p in (c.before, c.after)] for c in changes]
    better, worse = sum(a > b for b, a in right), sum(a < b for b, a in right)
    return (
        f"{len(changes)} of the test clips that contradict the concept, those with a changed answer first: {better} of "
        f"them became right, {worse} became wrong. The network is that of the first seed."
    )


def _change(change: ClipChange, classes: tuple[str, ...]) -> dict[str, Any]:
    area = change.mask.sum((1, 2))
    still = int(area.argmax()) if area.any() else len(area) // 2
    frames, at = stacked_mask(change.frames, change.mask, still)
    if not area.any():  # nothing to dim
        half = frames.shape[1] // 2
        frames = np.concatenate([frames[:, half:], frames[:, half:]], axis=1)
    seconds = change.seconds
    clip = pair_of_clips(_Times(seconds, change.source), frames, at, float(seconds[still]))  # type: ignore[arg-type]
    sides = [_side(change, i, classes, still) for i in (0, 1)]
    return {
        "name": short_name(change.source),
        "label": classes[change.label],
        "clip": clip,
        "caption": "the concept is bright" if area.any() else "without the concept",
        "before": sides[0],
        "after": sides[1],
    }


class _Times:
    """What `pair_of_clips` reads of a clip."""

    def __init__(self, seconds: np.ndarray, source: str) -> None:
        self.seconds, self.source = seconds, source


def _side(change: ClipChange, which: int, classes: tuple[str, ...], still: int) -> dict[str, Any]:
    p = (change.before, change.after)[which]
    shown = sorted({*np.argsort(-p, kind="stable")[:LIKELY].tolist(), change.label}, key=lambda c: -p[c])
    likely = [
        {
            "name": classes[c],
            "probability": number(100 * float(p[c]), 0),
            "width": round(100 * float(p[c]), 1),
            "own": c == change.label,
        }
        for c in shown
    ]
    return {"likely": likely, "right": int(p.argmax()) == change.label, "clip": _overlay(change, which, still)}


def _overlay(change: ClipChange, which: int, still: int) -> dict[str, Any] | None:
    """The map of one network over the frames, on the scale of both."""
    if change.maps is None:
        return None
    both = np.stack(change.maps)
    drawn = overlay(np.concatenate([change.frames, change.frames]), both.reshape(-1, *both.shape[2:]))
    frames = enlarge(drawn.reshape(2, -1, *drawn.shape[1:])[which], scale_of(*change.mask.shape[1:]))
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    fps = clip_speed(change.seconds)
    return {
        "data": clip_uri(frames, fps),
        "poster": jpeg(frames[still]),
        "start": round((still + 0.5) / fps, 3),
        "width": frames.shape[2],
        "height": frames.shape[1],
    }


def _facts(improved: Improved) -> list[tuple[str, str]]:
    """Parameters and provenance as text; long lists by their number."""
    values = {**improved.parameters, **improved.provenance}
    # The keys of those are paths of this machine.
    counted = {name for name, v in values.items() if name.endswith("_videos") or len(v if _many(v) else "") > 12}
    return [(name, f"{len(v)} entries" if name in counted else str(v)) for name, v in values.items()]


def _many(value: Any) -> bool:
    return isinstance(value, dict | list)
