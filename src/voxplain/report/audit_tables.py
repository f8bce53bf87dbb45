"""An audit as text: CSV and a table for the terminal with one row a class, JSON of everything, sentences."""

import csv
import io
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from voxplain.audits import KINDS, AuditRun, ClassAudit, Slice
from voxplain.plain_text import csv_cell
from voxplain.report.tables import number, plain
from voxplain.statistics import SIGNIFICANT

__all__ = ["audit_csv", "audit_json", "audit_sentences", "audit_text", "class_row", "slice_text"]

Side = Literal["left", "right"]
_COLUMNS: tuple[tuple[str, Side], ...] = (
    ("class", "left"),
    ("accuracy, %", "right"),
    ("clips", "right"),
    ("rests on", "left"),
    ("share", "right"),
    ("held still", "right"),
    ("taken for", "left"),
    ("slices", "right"),
    ("suspects", "left"),
)


def class_row(found: ClassAudit) -> dict[str, Any]:
    """The row of a class: accuracy, what it rests on, shares of the log-odds by kind, and numbers of findings.

    Parameters
    ----------
    found : ClassAudit

    Returns
    -------
    dict
        Plain values by column; None for what was not measured.
    """
    low, high = found.interval
    frozen = None if found.change is None else found.change.frozen[0]
    row = {
        "class": found.label,
        "clips": found.clips,
        "right": found.right,
        "accuracy": found.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "most_taken_for": found.predicted_as[0][0] if found.predicted_as else "",
        "recognised": found.recognised,
        "rests_on": found.rests_on,
        **{kind.replace(" ", "_"): found.share(kind) for kind in KINDS},
        "held_still": frozen,
        "concepts": len(found.concepts),
        "significant_concepts": sum(c.q_value < SIGNIFICANT for c in found.concepts),
        "concepts_of_wrong_clips": sum(t.q_value < SIGNIFICANT for t in found.presence),
        "causes": sum(c.q_value < SIGNIFICANT for c in found.causes),
        "slices": sum(s.q_value < SIGNIFICANT for s in found.slices),
        "suspects": " ".join(str(s.concept) for s in found.suspects),
    }
    return {name: plain(value) for name, value in row.items()}


def audit_csv(run: AuditRun) -> str:
    """One row a class as CSV, in the order of the network's classes.

    Parameters
    ----------
    run : AuditRun

    Returns
    -------
    str
    """
    out = io.StringIO()
    rows = [class_row(found) for found in run.classes]
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def audit_json(run: AuditRun) -> dict[str, Any]:
    """The whole audit as plain values: NaN and infinity as None.

    Parameters
    ----------
    run : AuditRun

    Returns
    -------
    dict
    """
    return {
        "network": run.network,
        "layer": run.layer,
        "preset": run.preset,
        "accuracy": run.accuracy,
        "rows": [class_row(found) for found in run.classes],
        "classes": [plain(found) for found in run.classes],
        "shared": plain(run.shared),
        "pairs": [plain(pair) for pair in run.pairs],
        "skipped": plain(run.skipped),
        "left_out": plain(run.left_out),
        "damaged": plain(run.damaged),
        "parameters": plain(run.parameters),
        "provenance": plain(run.provenance),
    }


def audit_text(run: AuditRun) -> Table:
    """Table for the terminal, one row a class, the least accurate first.

    Parameters
    ----------
    run : AuditRun

    Returns
    -------
    rich.table.Table
    """
    title = Text.assemble((run.network, "bold"), f" · {run.layer} · accuracy {100 * run.accuracy:.1f} %")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name, side in _COLUMNS:
        table.add_column(name, justify=side)
    for found in run.worst():
        row = class_row(found)
        table.add_row(
            Text(found.label),
            number(100 * found.accuracy, 1),
            str(found.clips),
            found.rests_on or "–",
            number(found.share(found.rests_on)) if found.rests_on else "–",
            "–" if row["held_still"] is None else number(row["held_still"]),
            Text(row["most_taken_for"] or "–"),
            str(row["slices"]),
            row["suspects"] or "–",
        )
    return table


def slice_text(found: Slice) -> str:
    """What describes a slice, in words.

    Examples
    --------
    >>> slice_text(Slice((2, 5), (0,), (3, 1, 4, 7), 3, 0.25, 0.05, 0.7, 0.9, 0.001, 0.01))
    'with concepts 2 and 5, without concept 0'
    >>> slice_text(Slice((2,), (), (3, 1, 4, 7), 3, 0.25, 0.05, 0.7, 0.9, 0.001, 0.01, "wave", "wave", 0.8))
    'that concept 2 of “wave” draws to “wave”'
    """

    def listed(concepts: tuple[int, ...]) -> str:
        return f"concept{'s' if len(concepts) > 1 else ''} {' and '.join(map(str, concepts))}"

    if found.taken_for:
        whose = f" of “{found.concepts_of}”" if found.concepts_of else ""
        return f"that {listed(found.present)}{whose} draws to “{found.taken_for}”"
    parts = [f"{word} {listed(own)}" for word, own in (("with", found.present), ("without", found.absent)) if own]
    return ", ".join(parts)


def audit_sentences(run: AuditRun) -> list[str]:
    """What was found, in sentences: one for each significant finding, or that there is none.

    Parameters
    ----------
    run : AuditRun

    Returns
    -------
    list of str
    """
    found = []
    for own in run.classes:
        for s in own.slices:
            if s.q_value < SIGNIFICANT:
                found.append(
                    f"“{own.label}”: {s.wrong} of the {len(s.clips)} clips {slice_text(s)} are wrong "
                    f"(accuracy {100 * s.accuracy:.0f} %, elsewhere {100 * s.rest:.0f} %; q = {s.q_value:.3g})."
                )
        for c in (*own.causes, *own.attractions):
            if c.q_value < SIGNIFICANT:
                whose = f"wrong clips of “{own.label}”" if c.own else f"clips taken for “{own.label}”"
                found.append(
                    f"Hiding concept {c.concept} of “{own.label}” in {c.clips} {whose} raises the margin of the true "
                    f"class by {number(c.gain)} and corrects {100 * c.corrected:.0f} % of them (q = {c.q_value:.3g})."
                )
    for pair in run.pairs:
        if pair.shared:
            both = " and ".join(f"{i} = {j}" for i, j in pair.shared)
            found.append(
                f"“{pair.first}” and “{pair.second}” are confused in {100 * pair.rate:.0f} % of their clips and rest "
                f"on the same concepts ({both})."
            )
    return found or ["No concept goes significantly with wrong classifications."]
