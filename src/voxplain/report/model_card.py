"""A section for a model card: what was explained, the evidence, its limits and versions, as Markdown."""

from collections.abc import Sequence

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.concept_words import concept_words
from voxplain.concepts.description import ConceptDescription, describe_concepts
from voxplain.errors import DataError
from voxplain.report.lead import lead, plain_text
from voxplain.report.tables import interval_text, number, places_for
from voxplain.report.verdict import Finding, verdict
from voxplain.statistics import SIGNIFICANT
from voxplain.version import __version__

__all__ = ["model_card"]

SHOWN = 5  # concepts of a class
_MARKS = {"passed": "yes", "failed": "no", "untested": "not tested"}


def model_card(runs: Sequence[ConceptRun]) -> str:
    """Describe runs for the card of a model.

    Parameters
    ----------
    runs : sequence of ConceptRun
        Classes of one network.

    Returns
    -------
    str
        Markdown, with a heading of the second level.

    Raises
    ------
    DataError
        Without any run.
    """
    if not runs:
        raise DataError("expected at least one run for a model card, got none; explain a class first")
    networks = ", ".join(dict.fromkeys(f"{run.network} at layer `{run.layer}`" for run in runs))
    parts = [
        "## What the network relies on",
        f"Concept-based explanation by voxplain {__version__} of {_escape(networks)}. A concept is a group of "
        "supervoxels with similar features; its effect is the loss of the class's log-odds when it is hidden, tested "
        "against random regions of the same volume.",
        *(_class(run) for run in runs),
        _versions(runs),
    ]
    return "\n\n".join(parts) + "\n"


def _class(run: ConceptRun) -> str:
    found = describe_concepts(run)
    judged = verdict(run, found)
    answer = lead(run, found, {})
    held_out = 0 if run.evaluation is None else len(run.evaluation.adding.truth)
    lines = [
        f"### {_escape(run.target)}",
        _escape(plain_text(answer)),
        f"**{judged.label}.** {_escape(judged.reason)} {_escape(answer['measured'])}",
        f"Explained on {len(run.clips)} videos of the class, tested on {held_out} held-out videos.",
        "\n".join(["| tested | | on what it rests |", "|---|---|---|", *map(_finding, judged.findings)]),
        _concepts(run, found),
    ]
    limits = [f"- {_escape(str(warning))}" for warning in run.warnings]
    if limits:
        lines += ["Limits:", "\n".join(limits)]
    return "\n\n".join(lines)


def _finding(finding: Finding) -> str:
    return f"| {_escape(finding.label)} | {_MARKS[finding.state]} | {_escape(finding.reason)} |"


def _concepts(run: ConceptRun, found: Sequence[ConceptDescription]) -> str:
    rows = run.rows()[:SHOWN]
    digits = places_for([row.score for row in rows])
    lines = [
        f"| concept | {run.scores[run.ranking].name} | above {run.compared_with} | q | what |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        q = f"**{number(row.q_value, 3)}**" if row.q_value < SIGNIFICANT else number(row.q_value, 3)
        tested = interval_text(row.tested, row.tested_low, row.tested_high, digits)
        words = concept_words(found[row.concept], row.volume)
        lines.append(f"| {row.concept} | {number(row.score, digits)} | {tested} | {q} | {words} |")
    more = len(run.bank) - len(rows)
    return "\n".join([*lines, *([f"\n{more} more concepts rank lower."] if more > 0 else [])])


def _versions(runs: Sequence[ConceptRun]) -> str:
    """Versions and digests of the first run that has them, as text."""
    facts = next((run.provenance for run in runs if run.provenance), {})
    plain = [(key, value) for key, value in facts.items() if isinstance(value, str | int | float)]
    lines = [f"- {_escape(str(key))}: {_escape(str(value))}" for key, value in plain]
    return "\n".join(["### Versions", "", f"- preset: {_escape(runs[0].preset)}", *lines])


def _escape(text: str) -> str:
    """Text whose characters mean nothing in Markdown or HTML."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
