"""The page of an audit: a table with one row a class, which can be sorted, and a section for each class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from voxplain.audits import KINDS, REASONS, AuditRun, ClassAudit
from voxplain.concepts.concept_run import ConceptRun
from voxplain.files import write_whole
from voxplain.report.audit_tables import audit_sentences, class_row, slice_text
from voxplain.report.cards import short_name
from voxplain.report.draw import choose_examples, tiles
from voxplain.report.embed import jpeg
from voxplain.report.page import Origin, render
from voxplain.report.relation_graph import relation_graph
from voxplain.statistics import SIGNIFICANT

__all__ = ["audit_page", "write_audit_report"]

_SHOWN = 10  # clips of a slice, and rows of tables of tests


def write_audit_report(
    run: AuditRun, path: Path | str, *, links: Mapping[str, str] | None = None, origin: Origin | None = None
) -> Path:
    """Write the page of an audit.

    Parameters
    ----------
    run : AuditRun
        With its ``runs`` the page shows a picture of each concept.
    path : path
        Written whole or not at all.
    links : mapping of str to str, optional
        Paths of the classes' own pages by class, relative to ``path``.
    origin : Origin, optional
        Command and times that the page shows.

    Returns
    -------
    Path
    """
    write_whole(Path(path), audit_page(run, links=links, origin=origin))
    return Path(path)


def audit_page(run: AuditRun, *, links: Mapping[str, str] | None = None, origin: Origin | None = None) -> bytes:
    """The page itself, as `write_audit_report` writes it."""
    runs = {own.target: own for own in run.runs}
    pages = {label: quote(path) for label, path in (links or {}).items()}
    sections = [_section(found, runs.get(found.label), f"c{i}") for i, found in enumerate(run.classes)]
    return render(
        "audit.html",
        audit=run,
        skipped=[(short_name(source), reason.replace(source, short_name(source))) for source, reason in run.skipped],
        damaged=[(short_name(source), lost) for source, lost in run.damaged],
        sections=sections,
        rows=[class_row(found) for found in run.classes],
        kinds=KINDS,
        links=pages,
        sentences=audit_sentences(run),
        origin=origin or Origin(),
        significant=SIGNIFICANT,
    )


def _section(found: ClassAudit, run: ConceptRun | None, anchor: str) -> dict[str, Any]:
    """What the template shows of one class."""
    kinds = {c.concept: c.kind for c in found.concepts}
    marked = {s.concept: REASONS[s.reason] for s in found.suspects}
    return {
        "id": anchor,
        "found": found,
        "kinds": kinds,
        "suspects": marked,
        "pictures": {} if run is None else {c.concept: _picture(run, c.concept) for c in found.concepts},
        "presence": found.presence[:_SHOWN],
        "slices": [
            {
                "slice": s,
                "text": slice_text(s),
                "clips": [(Path(found.sources[i]).name, found.wrong[i]) for i in s.clips[:_SHOWN]],
            }
            for place, s in enumerate(found.slices)
            if not place or s.q_value < SIGNIFICANT
        ],
        "causes": [*found.causes[:_SHOWN], *found.attractions[:_SHOWN]],
        "graph": relation_graph(found),
    }


def _picture(run: ConceptRun, concept: int) -> str:
    """The example nearest the centre of the concept as a data URI."""
    upper, _ = tiles(run, concept, choose_examples(run, concept, 1)[0])
    return jpeg(upper)
