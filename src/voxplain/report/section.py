"""All that the templates show of one class: its answer, verdict, evidence and details, as plain values."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from voxplain.concepts.concept_run import ConceptRow, ConceptRun, EvaluationRun
from voxplain.concepts.description import describe_concepts
from voxplain.report.add_remove import common_limits, mean_curves
from voxplain.report.cards import cards, short_name
from voxplain.report.charts import curves_svg
from voxplain.report.checks import reader_checks, remaining_warnings
from voxplain.report.comparisons import comparison_rows
from voxplain.report.effect_sentences import effect_sentences
from voxplain.report.effect_strip import effect_strip
from voxplain.report.explorer import explorer
from voxplain.report.frame_rows import frame_rows
from voxplain.report.importance import importance
from voxplain.report.lead import lead, plain_text
from voxplain.report.sentences import evaluation_sentences, meaning, order_test_sentence
from voxplain.report.tables import number, places_for
from voxplain.report.verdict import verdict
from voxplain.report.whole_cards import whole_cards

__all__ = ["evaluation_values", "index_card", "section"]

TOP_CLIPS = 3
# What a finding of the verdict says already.
SAID = {"few_videos", "not_evaluated", "class_not_recognised", "unstable_ranking"}


def section(run: ConceptRun, anchor: str, names: Mapping[int, str], limit: int) -> dict[str, Any]:
    """The values of one class.

    Parameters
    ----------
    run : ConceptRun
    anchor : str
        Prefix of the identifiers of its parts on the page.
    names : mapping of int to str
        Names of concepts.
    limit : int
        Bytes of pictures, beyond which further examples are left out.

    Returns
    -------
    dict
        As ``class.html`` names them.
    """
    found = describe_concepts(run)
    checks, rows = reader_checks(run, found), run.rows()
    limits = [check for check in checks if not check.passed and check.code not in SAID]
    own, wholes = cards(run, found, names, anchor, limit), whole_cards(run, names, anchor)
    return {
        "id": anchor,
        "run": run,
        "lead": lead(run, found, names),
        "verdict": verdict(run, found),
        "top": _top(run, own, wholes),
        "strip": effect_strip(run, names),
        "effects": effect_sentences(run, names),
        "limits": limits,
        "checks": [check for check in checks if check not in limits],
        "warnings": remaining_warnings(run, checks),
        "wholes": wholes,
        "cards": own,
        **_groups(run, own),
        "columns": _columns(run, rows),
        "meanings": [(run.scores[name].name, meaning(run.scores[name])) for name in _names(run)],
        "evaluation": evaluation_values(run.evaluation, run.units),
        "frame_rows": _frame_rows(run),
        "explorer": explorer(run, names),
        "parameters": _flat(run.parameters),
        "facts": _flat({"clip_dependence": number(run.clip_dependence), **_briefly(_placed(run.provenance))}),
        "record": {"parameters": run.parameters, "provenance": _placed(run.provenance)},
        "skipped": [(short_name(source), reason.replace(source, short_name(source))) for source, reason in run.skipped],
    }


def _placed(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance with videos by the last two parts of their paths, as everywhere on the page."""
    return {
        key: {short_name(name): digest for name, digest in value.items()} if key.endswith("videos") else value
        for key, value in provenance.items()
    }


def index_card(values: Mapping[str, Any], link: str) -> dict[str, Any]:
    """A class on an index: its picture, verdict and sentence, with a link to its part or page."""
    top = values["top"]
    return {
        "link": link,
        "target": values["run"].target,
        "layer": values["run"].layer,
        "verdict": values["verdict"],
        "sentence": plain_text(values["lead"]),
        "picture": top["clips"][0]["thumb"] if top else "",
        "alt": f"{top['what']}, highlighted in a frame" if top else "",
    }


def _top(run: ConceptRun, own: list[dict[str, Any]], wholes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What the answer names, playing: the clips of its card, or of the whole that it is a part of."""
    whole = next((w for w in wholes if tuple(w["parts"]) == run.first and w["clips"]), None)
    best = run.relied_on()
    if whole is None or best is None or best.concept not in run.first:
        concept = best.concept if best is not None else int(run.order[0])
        place = next(card for card in own if card["row"].concept == concept)
        what, prefix, clips = f"Concept {concept}", place["id"], place["clips"]
    else:
        what, prefix, clips = whole["title"], whole["id"], whole["clips"]
    shown = [{**clip, "same": f"{prefix}-v{i}"} for i, clip in enumerate(clips[:TOP_CLIPS])]
    return {"what": what, "clips": shown} if shown else None


def _groups(run: ConceptRun, own: list[dict[str, Any]]) -> dict[str, Any]:
    """Important cards, near copies of each, and negligible cards."""
    found = importance(run)
    of = {card["row"].concept: card for card in own}
    return {
        "important": [of[k] for k in found.important],
        "copies": [(k, [of[j] for j in copies]) for k, copies in found.copies.items()],
        "negligible": [of[k] for k in found.negligible],
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


def evaluation_values(evaluation: EvaluationRun | None, units: str | None = None) -> dict[str, Any] | None:
    """Curves, comparisons and sentences of an evaluation, with the ``units`` of a quantity; None without one."""
    if evaluation is None:
        return None
    tests, quantity = evaluation.order_tests, evaluation.adding.quantity
    both = [mean_curves(steps) for steps in (evaluation.adding, evaluation.removing)]
    limits = common_limits(*both)
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
        "comparisons": {**comparison_rows(tests), "count": len(tests)},
        "order_tests": [order_test_sentence(order_test) for order_test in tests],
    }


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
