"""One HTML file that tells a run from top to bottom; it needs no network and no other file.

Pictures, figures and clips are data URIs. Text that comes from outside (class and file names) is escaped by Jinja.
"""

import base64
import io
import json
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from matplotlib.figure import Figure
from PIL import Image

from voxplain.concepts.run import ConceptRow, ConceptRun, EvaluationRun, combined_evaluation
from voxplain.errors import DataError
from voxplain.report.draw import Example, choose_examples, moving, tiles
from voxplain.report.plots import DARK, LIGHT, curves, score_bars
from voxplain.report.tables import SIGNIFICANT, number, places_for
from voxplain.report.words import contrast_words, evaluation_words, found_words, meaning
from voxplain.version import __version__
from voxplain.video.encode import encode_video

__all__ = ["report_page", "write_report"]

EXAMPLES = 8  # pictures a concept
MOVING = (5, 3)  # concepts with moving members, members each
SLOWER = 2  # clips of half a second flash by; they are shown at half speed, and the page says so
WIDEST = 256  # pixels a tile; larger ones are made smaller by a whole factor
DPI = 144


def write_report(run: ConceptRun | Sequence[ConceptRun], path: Path | str) -> Path:
    """Write one self-contained HTML page for a run, or for several classes; returns its path.

    The file appears whole or not at all, and the same runs give the same bytes, as far as
    the video encoder does. Raises DataError without any run.
    """
    return _write(Path(path), report_page(run))


def report_page(run: ConceptRun | Sequence[ConceptRun]) -> bytes:
    """The page itself, as `write_report` writes it."""
    runs = [run] if isinstance(run, ConceptRun) else list(run)
    if not runs:
        raise DataError("expected at least one run to report on, got none; explain a class first")
    sections = [_section(each, f"r{i}") for i, each in enumerate(runs)]
    text = _template().render(
        sections=sections,
        together=_together(runs),
        version=__version__,
        slower=SLOWER,
        significant=SIGNIFICANT,
        moving=MOVING[0],
    )
    # A name of undecodable bytes holds lone surrogates, which UTF-8 cannot carry.
    return text.encode("utf-8", "backslashreplace")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, tojson_pretty=_pretty)
    return environment.from_string(files("voxplain.report").joinpath("page.html").read_text("utf-8"))


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _section(run: ConceptRun, anchor: str) -> dict[str, Any]:
    """All that the template shows of one run."""
    rows = run.rows()
    cards = [_card(run, row, anchor) for row in rows]
    return {
        "id": anchor,
        "run": run,
        "found": found_words(run),
        "columns": _columns(run, rows),
        "cards": cards,
        "bars": _figure(score_bars, run),
        "meanings": [(run.scores[name].name, meaning(run.scores[name])) for name in _names(run)],
        "evaluation": _evaluation(run.evaluation),
        "parameters": _flat(run.parameters),
        "facts": _flat({key: _brief(value) for key, value in run.provenance.items()}),
        "record": {"parameters": run.parameters, "provenance": run.provenance},
    }


def _names(run: ConceptRun) -> list[str]:
    """The scores in the order of the table, the one that ranks first."""
    return [run.ranking, *(name for name in ("effect", "tcav") if name in run.scores and name != run.ranking)]


def _columns(run: ConceptRun, rows: list[ConceptRow]) -> list[dict[str, Any]]:
    """The score columns: name, decimals, and (value, low, high, q) of each row."""
    columns = []
    for name in _names(run):
        score = run.scores[name]
        cells = [(score.value[r.concept], *score.interval[r.concept], score.q_value[r.concept]) for r in rows]
        columns.append({"name": "TCAV" if name == "tcav" else name, "places": places_for(score.value), "cells": cells})
    return columns


def _card(run: ConceptRun, row: ConceptRow, anchor: str) -> dict[str, Any]:
    chosen = choose_examples(run, row.concept, EXAMPLES)
    pairs = [_pair(run, row.concept, example) for example in chosen]
    clips = []
    if row.rank <= MOVING[0]:
        clips = [_clip(run, row.concept, example) for example in chosen[: MOVING[1]]]
    return {"id": f"{anchor}-c{row.concept}", "row": row, "pairs": pairs, "clips": clips}


def _pair(run: ConceptRun, concept: int, example: Example) -> dict[str, Any]:
    upper, lower = (_shrink(tile) for tile in tiles(run, concept, example))
    height, width = upper.shape[:2]
    raw = run.clips[example.clip].frames[example.frame]
    # The raw frame travels as it is where the page can enlarge it by repeating pixels as `tiles` does.
    lower = raw if raw.shape[0] < lower.shape[0] else lower
    return {
        "upper": _png(upper), "lower": _png(lower), "width": width, "height": height,
        "name": short_name(example.source), "source": example.source, "seconds": example.seconds,
    }  # fmt: skip


def short_name(source: str) -> str:
    """The last two parts of a path, enough to tell videos of different folders apart."""
    return "/".join(PurePosixPath(source.replace("\\", "/")).parts[-2:]) or source


def _clip(run: ConceptRun, concept: int, example: Example) -> dict[str, Any]:
    frames = np.stack([_shrink(frame) for frame in moving(run, concept, example.place)])
    seconds = run.clips[example.clip].seconds
    span = float(seconds[-1] - seconds[0])
    rate = (len(seconds) - 1) / span if span > 0 else 25.0
    data = encode_video(frames, fps=int(np.clip(round(rate / SLOWER), 2, 30)), crf=24)
    height, width = frames.shape[1:3]
    return {"data": _uri(data, "video/mp4"), "name": short_name(example.source), "width": width, "height": height}


def _evaluation(evaluation: EvaluationRun | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    return {
        "curves": _figure(curves, evaluation),
        "words": evaluation_words(evaluation),
        "steps": evaluation.adding.logits.shape[2] - 2,
        "contrasts": [contrast_words(contrast) for contrast in evaluation.contrasts],
    }


def _together(runs: Sequence[ConceptRun]) -> list[dict[str, Any]]:
    """The evaluation over all classes of each layer that has several, with its title."""
    found: list[dict[str, Any]] = []
    for layer in dict.fromkeys(run.layer for run in runs):
        own = [run for run in runs if run.layer == layer and run.evaluation is not None]
        if len(own) > 1:
            title = f"{len(own)} classes together, layer {layer}"
            found.append(
                {"id": f"all-{len(found)}", "title": title, "evaluation": _evaluation(combined_evaluation(own))}
            )
    return found


def _figure(draw: Any, subject: Any) -> dict[str, Any]:
    """A figure for light and for dark pages, with its size on the page."""
    light, dark = (_figure_png(draw(subject, theme=theme)) for theme in (LIGHT, DARK))
    width, height = Image.open(io.BytesIO(light)).size
    scale = DPI / 96
    uris = {"light": _uri(light, "image/png"), "dark": _uri(dark, "image/png")}
    return {**uris, "width": round(width / scale), "height": round(height / scale)}


def _figure_png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def _shrink(tile: np.ndarray) -> np.ndarray:
    """A tile of at most 256 pixels a side: means of whole blocks, so that big networks make no giant pages."""
    factor = -(-max(tile.shape[:2]) // WIDEST)
    return tile if factor == 1 else np.asarray(Image.fromarray(tile).reduce(factor))


def _png(pixels: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", optimize=True)
    return _uri(out.getvalue(), "image/png")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as (dotted name, text), as the command line spells them."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            listed = isinstance(value, list | tuple)
            found.append((f"{prefix}{key}", ", ".join(map(str, value)) if listed else str(value)))
    return found


def _brief(value: Any) -> Any:
    """Long lists (a hash for every video) by their number; the whole record is in the details below."""
    return f"{len(value)} entries" if isinstance(value, dict | list | tuple) and len(value) > 12 else value


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
