"""The page and the tables of an audit: names escaped, one row a class, links, the graph of relations."""

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console
from test_page import Page

import voxplain as vx
from voxplain.audits import (
    AuditRun,
    Cause,
    ClassAudit,
    ClipChange,
    ConceptAudit,
    ConfusedPair,
    Evidence,
    KindShare,
    PresenceTest,
    Relation,
    RelationEffect,
    Slice,
    Suspect,
)
from voxplain.report import audit_page
from voxplain.report.audit_tables import audit_sentences

LABEL = "<b>bend & jump</b>"
CLIP = '"><script>alert(1)</script>.mp4'
NAN = math.nan


def made() -> AuditRun:
    concepts = tuple(
        ConceptAudit(k, k + 1, kind, 3.0 - k, 2.5 - k, 3.5 - k, 0.001, 0.1, 9, "motion")
        for k, kind in enumerate(("moving thing", "overlay"))
    )
    first = ClassAudit(
        label=LABEL,
        index=0,
        clips=10,
        right=7,
        predicted_as=(("run", 3),),
        recognised=True,
        sources=(f"/data/{CLIP}", "/data/b.mp4"),
        wrong=(True, False),
        concepts=concepts,
        kinds=(KindShare("moving thing", (0,), (0.75, 0.6, 0.9), (0.1, 0.0, 0.2), 0.1, 0.001, 0.002, 10),),
        change=ClipChange((0.25, 0.1, 0.4), (NAN, NAN, NAN), 10),
        presence=(PresenceTest(1, 1.0, 0.25, 0.75, 0.5, 1.0, 0.9, 0.001, 0.004, 3, 7),),
        slices=(Slice((1,), (0,), (0, 1), 1, 0.5, 0.1, 0.9, 1.0, 0.01, 0.02),),
        causes=(Cause(LABEL, 1, True, 2.5, 1.0, 4.0, 2.0, 0.8, 0.01, 0.02, 3),),
        attractions=(),
        suspects=(Suspect(1, "overlay"),),
        relations=(Relation(0, 1, "above", 0.9, 1.0, 0.5, 0.01, 0.02, 9),),
        relation_effects=(RelationEffect(0, 1, "vertical", 4.0, 3.0, 5.0, 4.5, 0.5, 0.01, 0.02, 9),),
    )
    second = replace(
        first,
        label="run",
        index=1,
        clips=9,
        right=9,
        predicted_as=(),
        kinds=(),
        change=None,
        presence=(),
        slices=(),
        causes=(),
        suspects=(),
        relations=(),
        relation_effects=(),
    )
    held = (Evidence(LABEL, "run", 0, 3.0, 2.0, 4.0, 0.01, 0.02),)
    pair = ConfusedPair(LABEL, "run", 3, 0, 3 / 19, 0.05, 0.4, ((0, 1),), held, ())
    return AuditRun(
        "net",
        "pool",
        "default",
        {"keep": 4},
        {"device": "cpu"},
        (first, second),
        (((LABEL, 0), ("run", 1)),),
        (pair,),
        skipped=(("<odd>", "broken <file>"),),
        left_out=("relations of run",),
    )


def read(run: AuditRun) -> Page:
    page = Page()
    page.feed(audit_page(run, links={LABEL: f"{LABEL}/report.html"}).decode())
    return page


def test_names_are_text_and_links_are_quoted() -> None:
    html = audit_page(made(), links={LABEL: f"{LABEL}/report.html"}).decode()
    assert "<script>alert" not in html
    assert "<b>bend" not in html
    assert "&lt;b&gt;bend &amp; jump&lt;/b&gt;" in html
    assert 'href="%3Cb%3Ebend%20%26%20jump%3C/b%3E/report.html"' in html
    assert "broken &lt;file&gt;" in html
    assert html.count("<tr>") > 5


def test_the_same_audit_gives_the_same_page() -> None:
    assert audit_page(made()) == audit_page(made())


def test_a_line_is_thick_where_the_network_depends_on_the_relation() -> None:
    run = made()
    assert audit_page(run).decode().count('class="depends"') == 1
    effect = replace(run.classes[0].relation_effects[0], q_value=0.2)
    weak = replace(run, classes=(replace(run.classes[0], relation_effects=(effect,)), run.classes[1]))
    assert 'class="depends"' not in audit_page(weak).decode()


def test_the_csv_has_a_row_a_class_that_reads_back() -> None:
    run = made()
    first, second = csv.DictReader(io.StringIO(vx.audit_csv(run)))
    assert (first["class"], float(first["accuracy"]), first["rests_on"]) == (LABEL, 0.7, "moving thing")
    assert (float(first["moving_thing"]), float(first["held_still"]), first["suspects"]) == (0.75, 0.25, "1")
    assert (second["class"], second["held_still"], second["most_taken_for"]) == ("run", "", "")


def test_the_json_is_plain() -> None:
    run = made()
    text = json.dumps(vx.audit_json(run), allow_nan=False)
    record = json.loads(text)
    assert record["accuracy"] == pytest.approx(16 / 19)
    assert record["classes"][0]["change"]["shuffled"] == [None, None, None]
    assert record["pairs"][0]["shared"] == [[0, 1]]


def test_sentences_name_what_is_significant_only() -> None:
    run = made()
    sentences = audit_sentences(run)
    assert any("1 of the 2 clips with concept 1, without concept 0 are wrong" in s for s in sentences)
    assert any("corrects 80 % of them" in s for s in sentences)
    assert any("rest on the same concepts (0 = 1)" in s for s in sentences)
    first = run.classes[0]
    quiet = replace(
        first, slices=(replace(first.slices[0], q_value=0.3),), causes=(replace(first.causes[0], q_value=1.0),)
    )
    none = replace(run, classes=(quiet, run.classes[1]), pairs=())
    assert audit_sentences(none) == ["No concept goes significantly with wrong classifications."]


def test_the_table_of_the_terminal_begins_with_the_least_accurate_class() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(vx.audit_text(made()))
    lines = console.export_text().splitlines()
    assert lines.index(next(x for x in lines if LABEL in x)) < lines.index(
        next(x for x in lines if x.startswith(" run") or x.startswith("run"))
    )


def test_a_record_is_read_as_it_was_written(tmp_path) -> None:
    run = made()
    vx.save_audit(tmp_path, run)
    assert vx.audit_json(vx.load_audit(tmp_path)) == vx.audit_json(run)
    path = tmp_path / "audit_run.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(vx.DataError, match="damaged"):
        vx.load_audit(tmp_path)
    path.write_text(json.dumps({"format": "voxplain audit", "version": 1, "audit": {"$tuple": []}}))
    with pytest.raises(vx.DataError, match="expected an audit"):
        vx.load_audit(tmp_path)
    with pytest.raises(vx.DataError, match=r"no audit_run\.json"):
        vx.load_audit(tmp_path / "none")
