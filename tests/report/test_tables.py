import csv
import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console

from report_runs import NASTY, make_evaluated_run, make_run
from voxplain.concepts.concept_run import ConceptRow
from voxplain.report.add_remove import mean_curves
from voxplain.report.page import report_page
from voxplain.report.tables import interval_text, number, places_for, table_csv, table_json, table_text


def test_csv_reads_back_equal():
    run = make_run()
    kinds = {name: field.type for name, field in ConceptRow.__dataclass_fields__.items()}
    read = [
        ConceptRow(**{k: kinds[k](v) for k, v in row.items()}) for row in csv.DictReader(io.StringIO(table_csv(run)))
    ]
    for got, wanted in zip(read, run.rows(), strict=True):
        np.testing.assert_equal(asdict(got), asdict(wanted))


def test_json_holds_everything_and_is_strict():
    run = make_evaluated_run()
    value = json.loads(json.dumps(table_json(run), allow_nan=False))
    assert [row["concept"] for row in value["rows"]] == [1, 2, 0]
    assert value["rows"][1]["tcav_q"] is None  # NaN
    assert np.allclose(value["scores"]["effect"]["scores"], run.scores["effect"].scores)
    assert value["scores"]["tcav"]["interval"][2] == [0.625, 1.0]
    first = value["concepts"]["members"][1][0]
    assert (first["clip"], first["supervoxel"]) == (0, 3)
    assert first["box_t0_t1_y0_y1_x0_x1"] == run.supervoxels[0].boxes[3].tolist()
    assert value["parameters"]["segmenter"] == {"method": "SLIC", "segments": [15, 50]}
    assert value["skipped"] == [{"source": NASTY[1], "reason": "no frame <decoded>"}]
    assert [c["difference"] for c in value["evaluation"]["order_tests"]] == [0.125, 0.4, -0.25]
    steps, told = run.evaluation.removing, value["evaluation"]["removing"]
    assert told["steps"] == [0, 1, 2, 3, "all"]
    assert told["baseline"] == steps.baseline()
    means = mean_curves(steps)
    assert told["accuracy"] == {name: row.tolist() for name, row in means.values.items()}
    assert np.allclose(told["orders"]["random2"], (steps.logits[4].argmax(-1) == 0).mean(0))


def test_json_without_evaluation():
    assert table_json(make_run())["evaluation"] is None


@pytest.mark.parametrize("ranking", ["effect", "tcav"])
def test_terminal_table(ranking):
    run = replace(make_run(), ranking=ranking)
    out = Console(width=80, file=io.StringIO(), color_system=None)
    out.print(table_text(run))
    text = out.file.getvalue()
    # The brackets of a class name are no markup.
    assert "<b>bend & [red]back</b>" in text
    assert "above chance" in text
    rows = [line for line in text.splitlines() if line.strip()[:1].isdigit()]
    best = " 0.750   0.25 [" if ranking == "tcav" else " 2.50  2.5 ["
    assert best in rows[0]
    assert [line.split()[:2] for line in rows] == [[str(i + 1), str(k)] for i, k in enumerate(run.order)]
    assert max(map(len, rows)) <= 80  # a narrow terminal shows all of it
    assert "…" not in text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.005, 1, "1.0"), (-2.5, 1, "−2.5"), (-0.001, 2, "0.00"), (float("nan"), 2, "–"), (float("inf"), 0, "–")],
)
def test_number(value, digits, text):
    assert number(value, digits) == text


@pytest.mark.parametrize(("values", "places"), [([1234.5], 0), ([12.3, 0.1], 1), ([0.5], 3), ([0.0042], 5), ([0], 2)])
def test_places(values, places):
    assert places_for(values) == places


def test_what_was_not_compared_is_said_to_be_not_measured():
    assert interval_text(0.25, -0.5, float("inf"), 1) == "0.2 [−0.5, –]"
    assert interval_text(float("nan"), float("-inf"), float("inf"), 1) == "not measured"
    effect = make_run().scores["effect"]
    run = replace(make_run(), scores={**make_run().scores, "effect": replace(effect, tested=np.full(3, np.nan))})
    assert run.table().count("not measured") == 3
    assert report_page([run]).decode().count("not measured") >= 3
