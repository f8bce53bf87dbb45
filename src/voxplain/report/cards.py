"""Concept cards: moving examples, score, when and where, for each concept of a run, best first."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from markupsafe import Markup

from voxplain.concepts.concept_run import ConceptRow, ConceptRun
from voxplain.concepts.concept_words import concept_words
from voxplain.concepts.description import ConceptDescription
from voxplain.concepts.effect import concept_mask
from voxplain.report.charts import sparkline
from voxplain.report.draw import Example, choose_examples, heat, stacked, stacked_mask, tiles
from voxplain.report.embed import clip_uri, jpeg, png, shrink
from voxplain.report.tables import interval_text, number, places_for
from voxplain.statistics import SIGNIFICANT
from voxplain.video import Clip

__all__ = ["SLOWER", "cards", "clip_speed", "pair_of_clips", "short_name"]

SHOWN, MORE, HELD_OUT = 3, 8, 2  # examples on a card, as stills on demand, and of held-out clips
SLOWER = 2  # clips of half a second are too short to follow at full speed; the page states the speed
FASTEST = 30  # frames a second on the page


def cards(
    run: ConceptRun, found: Sequence[ConceptDescription], names: Mapping[int, str], anchor: str, limit: int
) -> list[dict[str, Any]]:
    """A card for each concept; stills on demand are left out once the pictures have reached ``limit`` bytes."""
    rows = run.rows()
    span = _span(rows)
    chosen = [choose_examples(run, row.concept, SHOWN + MORE) for row in rows]
    shown = [[_clip(run, r.concept, e) for e in c[:SHOWN]] for r, c in zip(rows, chosen, strict=True)]
    held_out = [_held_out(run, row.concept) for row in rows]
    used = sum(len(c["data"]) + len(c["poster"]) for own in (*shown, *held_out) for c in own)
    made = []
    for row, own, held, examples in zip(rows, shown, held_out, chosen, strict=True):
        more: list[dict[str, Any]] = []
        for example in examples[SHOWN:]:
            if used > limit:
                break
            more.append(_still(run, row.concept, example))
            used += len(more[-1]["still"])
        made.append(
            {
                **_facts(run, row, found[row.concept], span),
                "clips": own,
                "held_out": held,
                "match": _match(run, row.concept),
                "more": more,
                "id": f"{anchor}-c{row.concept}",
                "name": names.get(row.concept, ""),
                "words": concept_words(found[row.concept], row.volume),
            }
        )
    return made


def _held_out(run: ConceptRun, concept: int) -> list[dict[str, Any]]:
    """The concept in held-out clips, those in which it covers most first."""
    explored = () if run.evaluation is None else run.evaluation.explored
    masks = [(clip, concept_mask(clip.supervoxels, clip.assigned, concept)) for clip in explored]
    masks = sorted((pair for pair in masks if pair[1].any()), key=lambda pair: -int(pair[1].sum()))
    made = []
    for clip, mask in masks[:HELD_OUT]:
        frame = int(mask.sum((1, 2)).argmax())
        made.append(
            pair_of_clips(clip.clip, *stacked_mask(clip.clip.frames, mask, frame), float(clip.clip.seconds[frame]))
        )
    return made


def _match(run: ConceptRun, concept: int) -> dict[str, Any] | None:
    """How near held-out supervoxels of a concept are to it; None where that was not measured."""
    match = None if run.evaluation is None else run.evaluation.match
    if match is None or run.evaluation is None:
        return None
    return {
        "clips": int(match.clips[concept]),
        "of": len(run.evaluation.adding.truth),
        "near": number(100 * float(match.near[concept]), 0),
        "expected": number(100 * float(match.expected[concept]), 0),
        "far": bool(match.far[concept]),
    }


def _still(run: ConceptRun, concept: int, example: Example) -> dict[str, Any]:
    """An example as one picture, at the moment at which its part is largest."""
    shown, _ = tiles(run, concept, example)
    clip = run.clips[example.clip]
    return {"still": jpeg(shrink(shown[None])[0]), "name": short_name(clip.source)}


def _facts(run: ConceptRun, row: ConceptRow, found: ConceptDescription, span: tuple[float, float]) -> dict[str, Any]:
    start, stop = span
    place = lambda v: round(100 * (min(max(v, start), stop) - start) / (stop - start), 2)  # noqa: E731
    digits = places_for([row.score])
    return {
        "row": row,
        "score": number(row.score, digits),
        "tested": interval_text(row.tested, row.tested_low, row.tested_high, digits),
        "sure": row.q_value < SIGNIFICANT,
        "bar": {
            "zero": place(0.0),
            "value": place(row.tested if np.isfinite(row.tested) else 0.0),
            "low": place(row.tested_low),
            "high": place(row.tested_high),
        },
        "when": Markup(sparkline(found.when, f"Share of the picture concept {row.concept} covers from start to end")),
        "where": png(heat(found.where)),
        "motion": number(found.motion, 1),
        "background": found.like_background,
        "fixed": found.fixed,
    }


def _span(rows: Sequence[ConceptRow]) -> tuple[float, float]:
    """The range of all bars: one scale for all cards."""
    ends = [v for r in rows for v in (r.tested, r.tested_low, r.tested_high) if np.isfinite(v)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    return (low, high) if high > low else (0.0, 1.0)


def _clip(run: ConceptRun, concept: int, example: Example) -> dict[str, Any]:
    """An example of a concept."""
    return pair_of_clips(run.clips[example.clip], *stacked(run, concept, example), example.seconds)


def pair_of_clips(clip: Clip, frames: np.ndarray, still: int, seconds: float) -> dict[str, Any]:
    """Highlighted above raw in one video: the page shows one half, so that both always play in step."""
    frames = shrink_pair(frames)
    height, width = frames.shape[1] // 2, frames.shape[2]
    fps = clip_speed(clip.seconds)
    return {
        "data": clip_uri(frames, fps),
        "poster": jpeg(frames[still]),
        "start": round((still + 0.5) / fps, 3),  # the poster's frame, in which the mask is largest
        "thumb": jpeg(frames[still, :height]),
        "width": width,
        "height": height,
        "name": short_name(clip.source),
        "seconds": seconds,
    }


def shrink_pair(frames: np.ndarray) -> np.ndarray:
    """Stacked frames whose halves are at most 256 pixels a side and of even height, as the codec requires."""
    half = frames.shape[1] // 2
    upper, lower = shrink(frames[:, :half]), shrink(frames[:, half:])
    even = upper.shape[1] - upper.shape[1] % 2, upper.shape[2] - upper.shape[2] % 2
    return np.concatenate([upper[:, : even[0], : even[1]], lower[:, : even[0], : even[1]]], axis=1)


def clip_speed(seconds: np.ndarray) -> int:
    """Frames a second at which a clip with these times [T] is shown."""
    span = float(seconds[-1] - seconds[0])
    rate = (len(seconds) - 1) / span if span > 0 else 25.0
    return int(np.clip(round(rate / SLOWER), 2, FASTEST))


def short_name(source: str) -> str:
    """The last two parts of a path, enough to distinguish videos of different folders."""
    return "/".join(PurePosixPath(source.replace("\\", "/")).parts[-2:]) or source
