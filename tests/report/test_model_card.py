"""The section for a model card: what it holds, and that names cannot break its Markdown."""

import pytest

from report_runs import TARGET, make_evaluated_run, make_run
from voxplain.errors import DataError
from voxplain.report.model_card import model_card


def test_it_holds_answer_verdict_limits_and_versions():
    text = model_card([make_evaluated_run()])
    assert text.startswith("## What the network relies on\n")
    assert "relies mostly on concept 1, a " in text
    assert "tested on 7 held-out videos" in text
    assert "| few videos | no |" in text
    assert "few \\<videos\\>" in text  # the run's warning
    assert "- weights: sha256:00" in text
    rows = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |", "| 0 |"))]
    assert [row.split(" | ")[1] for row in rows] == ["2.50", "1.50", "0.50"]


def test_names_cannot_break_the_markdown():
    text = model_card([make_run()])
    assert TARGET not in text
    assert "\\<b\\>bend & \\[red\\]back\\</b\\>" in text
    assert "not tested on held-out clips | not tested |" in text


def test_no_run_is_an_error():
    with pytest.raises(DataError, match="at least one run"):
        model_card([])
