import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from made import ADDING, REMOVING, VIDEOS, outcome

from voxplain.experiments import (
    interval_figure,
    published_rows,
    rows_of,
    settings_table,
    table_csv,
    table_latex,
    table_markdown,
    verdicts,
)
from voxplain.experiments.published import BASELINES


def test_rows_are_the_shares_of_videos():
    rows = {(row.kind, row.order): row for row in rows_of(outcome())}
    assert len(rows) == 8
    for kind, counts in (("adding", ADDING), ("removing", REMOVING)):
        for order in ("top", "least", "random"):
            expected = [100 * count / VIDEOS for count in counts[order][1:-1]]
            assert rows[kind, order].accuracy == pytest.approx(expected)
    top = rows["adding", "top"]
    p = np.array(top.accuracy) / 100
    half = 196 * np.sqrt(p * (1 - p) / VIDEOS)  # the bootstrap of shares is near binomial
    np.testing.assert_allclose(top.low, 100 * p - half, atol=4)
    np.testing.assert_allclose(top.high, np.minimum(100 * p + half, 100), atol=4)
    assert top.coverage == pytest.approx([100 * q / 6 for q in range(1, 6)])
    assert rows["adding", "matched"].accuracy == rows["adding", "least"].accuracy


@pytest.mark.parametrize(
    ("table", "net", "videos"),
    [
        ("kinetics", "c3d", 480),
        ("kinetics", "r3d", 480),
        ("kinetics", "i3d", 480),
        ("kth-standard", "c3d", 863),
        ("kth-small", "c3d", 863),
    ],
)
def test_published_numbers_are_whole_videos(table, net, videos):
    """Every published entry is k/480 or k/863 to two decimals: a slip of typing would not be."""
    rows = published_rows(table, net, "standard")
    assert [(row.kind, row.order) for row in rows] == [
        (kind, order) for kind in ("adding", "removing") for order in ("top", "random", "least")
    ]
    for value in (BASELINES[table][net], *(v for row in rows for v in row.accuracy)):
        assert abs(value - 100 * round(value * videos / 100) / videos) <= 0.00501


def test_nothing_was_published_for_other_settings():
    assert published_rows(None, "c3d", "default") == published_rows("kinetics", "tiny", "standard") == []


def test_markdown_puts_published_rows_beside_ours():
    text = table_markdown([outcome(published="kth-standard")], "adding")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["network", "setting", "from", "unmodified", "order", "1", "2", "3", "4", "5"]
    assert [line[4] for line in lines[2:]] == ["Top", "Random", "Least", "Same volume", "Top", "Random", "Least"]
    assert lines[2][3] == "100.00"
    assert lines[2][5].startswith("50.0 [")
    assert lines[6] == ["c3d", "standard", "published", "91.31", "Top", "21.21", "23.52", "29.43", "39.17", "46.23"]


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(table_csv([outcome(published="kth-standard")]))))
    assert len(rows) == 2 * (4 + 3) * 5
    top = [r for r in rows if (r["source"], r["kind"], r["order"]) == ("here", "adding", "top")]
    assert [float(r["accuracy"]) for r in top] == [50, 75, 90, 95, 95]
    assert [r["low"] for r in rows if r["source"] == "published"] == [""] * 30


def test_latex_escapes_and_is_a_table():
    text = table_latex([outcome(setting="50 % & more_")], "removing")
    assert r"50 \% \& more\_" in text
    assert text.count(r"\\") == 1 + 4
    assert len({line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}) == 1


def test_settings_are_compared_by_their_areas():
    text = settings_table([outcome()])
    cells = [cell.strip() for cell in text.splitlines()[2].strip("|").split("|")]
    gap = sum(a - b for a, b in zip(ADDING["top"][1:-1], ADDING["least"][1:-1], strict=True)) / 5 / VIDEOS
    assert cells[4].startswith(f"**{100 * gap:.1f}** [")


def test_verdicts_answer_every_claim():
    lines = verdicts([outcome()])
    assert len(lines) == 2 * 4 * 2 + 1
    assert any("adding, accuracy: top above least first? yes: +64.0 points" in line for line in lines)
    assert any("removing, accuracy: top below least first? yes: +64.0 points" in line for line in lines)
    assert lines[-1].endswith("to the last bit? yes")


def test_a_wrong_order_and_a_moved_end_are_told():
    good = outcome()
    adding = good.evaluation.adding
    logits = adding.logits[[1, 0, 2, 3]]
    logits[0, 0, -1] += 1e-6
    turned = replace(adding, logits=logits)
    from voxplain.concepts.order_tests import all_order_tests

    found = replace(good.evaluation, adding=turned, order_tests=all_order_tests(turned, good.evaluation.removing))
    lines = verdicts([replace(good, evaluation=found)])
    assert any("adding, accuracy: top above least first? no, the other way round: -64.0" in line for line in lines)
    assert lines[-1].endswith("to the last bit? no")


def test_the_figure_shows_the_rows():
    figure = interval_figure([outcome(), outcome(setting="small")])
    assert len(figure.axes) == 8
    line = next(line for line in figure.axes[0].lines if line.get_label() == "top concepts first")
    np.testing.assert_allclose(line.get_ydata()[1:], [0.5, 0.75, 0.9, 0.95, 0.95])  # q = 1 … 5
    row = rows_of(outcome())[0]
    # A band an order, in two pieces each: the counted steps, and from the last of them to "all".
    assert len(figure.axes[0].collections) == 8
    corners = figure.axes[0].collections[0].get_paths()[0].vertices
    for q, (low, high) in enumerate(zip(row.low, row.high, strict=True), 1):
        at = 100 * corners[corners[:, 0] == q, 1]
        assert (at.min(), at.max()) == (pytest.approx(low), pytest.approx(high))
