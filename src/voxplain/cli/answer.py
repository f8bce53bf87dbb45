"""The answers of a run as text and as plain values: what, how sure, and where the page is."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxplain.cli.console import Console
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import describe_concepts
from voxplain.concepts.warnings import RunWarning
from voxplain.report.lead import lead, plain_text
from voxplain.report.verdict import verdict

__all__ = ["answer_record", "print_answer", "print_note"]

# What the verdict says already.
# Elsewhere in the answer, or when the network was loaded.
SAID = ("assumed_classes", "few_videos", "class_not_recognised", "not_evaluated", "unstable_ranking")


def print_answer(console: Console, run: ConceptRun) -> None:
    """Print the answer for a class in two or three lines, and what limits it."""
    found = describe_concepts(run)
    answer, judged = lead(run, found, {}), verdict(run, found)
    console.print(plain_text(answer), markup=False, highlight=False)
    console.print(f"  {judged.label}: {judged.reason} {answer['measured']}", markup=False, highlight=False)
    for warning in run.warnings:
        if warning.code not in SAID:
            print_note(console, warning)


def print_note(console: Console, warning: RunWarning) -> None:
    """Print a warning of a run."""
    console.print(f"note: {warning}", markup=False, highlight=False)


def answer_record(runs: Sequence[ConceptRun], page: Path) -> dict[str, Any]:
    """The answers of several classes and the place of their page, for `json.dump`."""
    records = []
    for run in runs:
        found = describe_concepts(run)
        judged, best = verdict(run, found), run.relied_on()
        records.append(
            {
                "class": run.target,
                "layer": run.layer,
                "answer": plain_text(lead(run, found, {})),
                "concept": None if best is None else best.concept,
                "verdict": {"level": judged.level, "label": judged.label, "reason": judged.reason},
                "findings": [asdict(finding) for finding in judged.findings],
                "warnings": [asdict(warning) for warning in run.warnings],
            }
        )
    return {"classes": records, "report": str(page)}
