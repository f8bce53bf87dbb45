"""One HTML file that shows a whole run; it needs no network and no other file.

Pictures and clips are data URIs, the script and the styles are inline. Text that comes from outside (class and file
names) is escaped by Jinja.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from voxplain.concepts.concept_run import ConceptRow, ConceptRun, EvaluationRun, combined_evaluation
from voxplain.concepts.description import describe_concepts
from voxplain.errors import DataError
from voxplain.files import write_whole
from voxplain.report.add_remove import common_limits, mean_curves
from voxplain.report.cards import SLOWER, cards
from voxplain.report.charts import curves_svg
from voxplain.report.checks import reader_checks, remaining_warnings
from voxplain.report.effect_sentences import effect_sentences
from voxplain.report.explorer import explorer
from voxplain.report.frame_rows import frame_rows
from voxplain.report.sentences import (
    answer_sentences,
    evaluation_sentences,
    meaning,
    order_test_sentence,
    significance_sentence,
)
from voxplain.report.tables import interval_text, number, places_for
from voxplain.report.whole_cards import whole_cards
from voxplain.statistics import SIGNIFICANT
from voxplain.version import __version__

__all__ = ["Origin", "render", "report_page", "write_report"]

LIMIT = 15_000_000  # bytes of pictures and clips a class


@dataclass(frozen=True)
class Origin:
    """How a run was made, which the run itself does not hold.

    Parameters
    ----------
    command : str, optional
    seconds : mapping of str to float
        Seconds of each step.
    """

    command: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


def write_report(
    run: ConceptRun | Sequence[ConceptRun],
    path: Path | str,
    *,
    names: Mapping[str, Mapping[int, str]] | None = None,
    limit: int = LIMIT,
    origin: Origin | None = None,
) -> Path:
    """Write one self-contained HTML page for a run, or for the runs of several classes.

    Parameters
    ----------
    run : ConceptRun or sequence of ConceptRun
    path : path
        Written whole or not at all; the same runs give the same bytes, as far as the video encoder does.
    names : mapping, optional
        Names of concepts by class and concept: ``{"bend": {3: "bending trunk"}}``.
    limit : int
        Bytes of pictures a class, beyond which further examples are left out.
    origin : Origin, optional
        Command and times that the page shows.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        Without any run.
    """
    write_whole(Path(path), report_page(run, names=names, limit=limit, origin=origin))
    return Path(path)


def report_page(
    run: ConceptRun | Sequence[ConceptRun],
    *,
    names: Mapping[str, Mapping[int, str]] | None = None,
    limit: int = LIMIT,
    origin: Origin | None = None,
) -> bytes:
    """The page itself, as `write_report` writes it."""
    runs = [run] if isinstance(run, ConceptRun) else list(run)
    if not runs:
        raise DataError("expected at least one run to report on, got none; explain a class first")
    named = names or {}
    sections = [_section(each, f"r{i}", named.get(each.target, {}), limit) for i, each in enumerate(runs)]
    return render(
        "page.html",
        sections=sections,
        together=_together(runs),
        origin=origin or Origin(),
        slower=SLOWER,
        significant=SIGNIFICANT,
    )


def render(template: str, **values: Any) -> bytes:
    """A page from one of the templates beside this file, with the styles and the script that all pages share."""
    style, script = (Markup(_file(name)) for name in ("page.css", "page.js"))
    text = _templates().get_template(template).render(**values, version=__version__, style=style, script=script)
    # A name of undecodable bytes holds lone surrogates, which UTF-8 cannot carry.
    return text.encode("utf-8", "backslashreplace")


def _file(name: str) -> str:
    return files("voxplain.report").joinpath(name).read_text("utf-8")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, interval_text=interval_text, tojson_pretty=_pretty)
    return environment


def _section(run: ConceptRun, anchor: str, names: Mapping[int, str], limit: int) -> dict[str, Any]:
    """All that the template shows of one run."""
    found = describe_concepts(run)
    checks, rows = reader_checks(run, found), run.rows()
    return {
        "id": anchor,
        "run": run,
        "answer": answer_sentences(run, found, names),
        "found": significance_sentence(run),
        "effects": effect_sentences(run, names),
        "checks": checks,
        "warnings": remaining_warnings(run, checks),
        "wholes": whole_cards(run, names, anchor),
        "cards": cards(run, found, names, anchor, limit),
        "columns": _columns(run, rows),
        "meanings": [(run.scores[name].name, meaning(run.scores[name])) for name in _names(run)],
        "evaluation": _evaluation(run.evaluation, run.units),
        "frame_rows": _frame_rows(run),
        "explorer": explorer(run, names),
        "parameters": _flat(run.parameters),
        "facts": _flat({"clip_dependence": number(run.clip_dependence), **_briefly(run.provenance)}),
        "record": {"parameters": run.parameters, "provenance": run.provenance},
    }


def _briefly(provenance: dict[str, Any]) -> dict[str, Any]:
    return {key: _brief(value) for key, value in provenance.items()}


def _names(run: ConceptRun) -> list[str]:
    """The scores in the order of the table, the one that ranks first."""
    return [run.ranking, *(name for name in ("effect", "tcav") if name in run.scores and name != run.ranking)]


def _columns(run: ConceptRun, rows: list[ConceptRow]) -> list[dict[str, Any]]:
    """The score columns: name, decimals, and (value, tested, its interval's ends, q) of each row."""
    columns = []
    for name in _names(run):
        score = run.scores[name]
        parts = (score.value, score.tested, *score.tested_interval.T, score.q_value)
        cells = [tuple(part[r.concept] for part in parts) for r in rows]
        columns.append({"name": "TCAV" if name == "tcav" else name, "places": places_for(score.value), "cells": cells})
    return columns


def _frame_rows(run: ConceptRun) -> list[dict[str, Any]]:
    """Adding and removing, shown on the explored clip with the highest log-odds or output."""
    if run.evaluation is None or not run.evaluation.explored:
        return []
    return frame_rows(run.evaluation, run.evaluation.explored[0], run.order, run.target_index)


def _evaluation(evaluation: EvaluationRun | None, units: str | None = None) -> dict[str, Any] | None:
    """Sentences, comparisons and charts; ``units`` of a quantity."""
    if evaluation is None:
        return None
    both = [mean_curves(steps) for steps in (evaluation.adding, evaluation.removing)]
    limits, quantity = common_limits(*both), evaluation.adding.quantity
    return {
        "charts": [
            {
                "kind": c.kind,
                "count": Markup(curves_svg(c, "count", limits)),
                "coverage": Markup(curves_svg(c, "coverage", limits)),
            }
            for c in both
        ],
        "quantity": quantity,
        "measure": ("output" + (f", {units}" if units else "")) if quantity else "accuracy, %",
        "draws": both[0].draws,
        "sentences": evaluation_sentences(evaluation),
        "steps": evaluation.adding.logits.shape[2] - 2,
        "order_tests": [order_test_sentence(order_test) for order_test in evaluation.order_tests],
    }


def _together(runs: Sequence[ConceptRun]) -> list[dict[str, Any]]:
    """The evaluation over all classes of each layer that has several, with its title."""
    found: list[dict[str, Any]] = []
    for layer in dict.fromkeys(run.layer for run in runs):
        own = [run for run in runs if run.layer == layer and run.evaluation is not None]
        if len(own) > 1 and len({run.classes for run in own}) == 1:  # labels are questions of their own
            title = f"{len(own)} classes together, layer {layer}"
            found.append(
                {"id": f"all-{len(found)}", "title": title, "evaluation": _evaluation(combined_evaluation(own))}
            )
    return found


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
