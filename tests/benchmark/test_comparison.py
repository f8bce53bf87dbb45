"""Comparisons against means, ranks and tests worked out by hand; Markdown and CSV say the same."""

import csv
import io
from dataclasses import dataclass, field
from itertools import combinations
from typing import ClassVar

import numpy as np
import pytest

from voxplain.benchmark.comparison import compare, comparison_csv, comparison_markdown, ranks_of
from voxplain.benchmark.ranks_figure import ranks_figure
from voxplain.benchmark.run import MethodResult
from voxplain.errors import DataError
from voxplain.metrics import METRICS, MetricValue, mean_of
from voxplain.report.theme import LIGHT


@dataclass(frozen=True)
class Metric:
    """What a comparison asks of a metric."""

    needs: str
    higher_is_better: bool | None
    unused: int = 0
    kind: ClassVar[str] = "made"


UP, DOWN, PLACE, AGAIN, TELLS = (
    Metric("map", True),
    Metric("map", False),
    Metric("mask", True),
    Metric("method", False),
    Metric("method", None),
)
CLIPS = 12


@dataclass
class Table:
    """Values [V] by method and metric, as the results a benchmark would give."""

    values: dict[str, dict[str, list[float]]]
    chance: float | None = 0.25
    errors: dict[str, str] = field(default_factory=dict)

    def results(self) -> list[MethodResult]:
        found = []
        for v in range(CLIPS):
            for i, (method, own) in enumerate(self.values.items()):
                known = {n: (row[v], self.chance) for n, row in own.items() if v < len(row)}
                found.append(
                    MethodResult(f"{v}.mp4", 0, method, known, seconds=i + v / 10, forwards=2 * i, backwards=i)
                )
            found += [MethodResult(f"{v}.mp4", 0, m, error=why) for m, why in self.errors.items()]
        return found


def rising(start: float, step: float = 0.01) -> list[float]:
    return [start + step * ((7 * v) % CLIPS) for v in range(CLIPS)]


@pytest.fixture
def table() -> Table:
    return Table(
        {
            "random": {"up": rising(0.2), "down": rising(0.5), "mask": rising(0.2)},
            "best": {"up": rising(0.8, 0.013), "down": rising(0.1, 0.013), "mask": rising(0.6, 0.017)},
            "worst": {"up": rising(0.1, 0.011), "down": rising(0.9), "mask": rising(0.05, 0.017)},
            "same": {"up": rising(0.2), "down": rising(0.5), "mask": rising(0.2)},
        }
    )


KINDS = {"up": UP, "down": DOWN, "mask": PLACE}


def test_means_intervals_and_costs_are_over_clips(table):
    found = compare(table.results(), KINDS)
    assert (found.clips, found.methods, found.metrics) == (CLIPS, ("random", "best", "worst", "same"), tuple(KINDS))
    for method, own in table.values.items():
        for name, values in own.items():
            mean = found.means[method][name]
            wanted = mean_of([MetricValue(v, 0.25) for v in values])
            assert mean.value == pytest.approx(np.mean(values))
            assert mean.chance == 0.25
            assert mean.details == wanted.details
    assert found.costs["worst"].seconds == pytest.approx(2 + 0.1 * (CLIPS - 1) / 2)
    assert (found.costs["worst"].forwards, found.costs["worst"].backwards) == (4, 2)


def test_ranks_by_hand(table):
    found = compare(table.results(), KINDS)
    # up: best 1, random and same share 2 and 3, worst 4; down the same; so the mean of the two.
    assert found.ranks["faithfulness"] == {"best": 1.0, "random": 2.5, "same": 2.5, "worst": 4.0}
    assert found.ranks["localisation"] == {"best": 1.0, "random": 2.5, "same": 2.5, "worst": 4.0}
    assert found.ranks["localisation in time"] == found.ranks["sanity"] == {}


def test_ranks_of_undefined_and_unmeasured_methods():
    def row(*values):
        return mean_of([MetricValue(v) for v in values])

    nan = float("nan")
    means = {
        "a": {"up": row(0.5, 0.5), "down": row(0.5), "tells": row(9)},
        "b": {"up": row(nan, nan), "down": row(0.1), "tells": row(5)},
        "c": {"up": row(0.9, nan), "down": row(), "tells": row(1)},
        "d": {"up": row(), "down": row(), "tells": row()},
    }
    better = {"up": True, "down": False, "tells": None}
    assert ranks_of(means, ["up"], better) == {"a": 2, "b": 3, "c": 1}
    assert ranks_of(means, ["up", "down"], better) == {"a": 2, "b": 2, "c": 1}
    assert ranks_of(means, ["tells"], better) == {}


def test_bold_is_better_than_random_and_nothing_else(table):
    found = compare(table.results(), KINDS)
    # 12 clips that all differ in one direction: p = 2 / 2¹², of three methods the two smallest times 3 and 2.
    p = 2 / 2**CLIPS
    for name in ("up", "down", "mask"):
        tests = found.random[name]
        assert tests["best"].corrected == pytest.approx(3 * p)
        assert tests["worst"].corrected == pytest.approx(3 * p)  # 2p, but never below the one before
        assert tests["same"].corrected == 1
        assert tests["best"].difference > 0 > tests["worst"].difference
    text = comparison_markdown(found).partition("| cost a clip")[0]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.count("|") > 4}
    bold = {m: "**" in rows[m] for m in table.values}
    assert bold == {"random": False, "best": True, "worst": False, "same": False}


def test_correction_decides_what_is_bold():
    """p = 2/2⁷ beats 0.05 alone; among 4 others Holm asks for 4p ≤ 0.05."""

    def few(v: float) -> list[float]:
        return [v + 0.001 * i for i in range(7)]

    def made(others: int) -> Table:
        equal = {f"m{i}": {"up": few(0.2)} for i in range(others)}
        return Table({"random": {"up": few(0.2)}, "good": {"up": few(0.5)}, **equal})

    alone, among = compare(made(0).results(), KINDS), compare(made(4).results(), KINDS)
    assert alone.random["up"]["good"].corrected == pytest.approx(2 / 2**7)
    assert among.random["up"]["good"].corrected == pytest.approx(5 * 2 / 2**7)
    assert among.random["up"]["good"].p_value < 0.05 < among.random["up"]["good"].corrected
    assert "**" in comparison_markdown(alone)
    assert "**" not in comparison_markdown(among)


def test_agreement_of_clips(table):
    found = compare(table.results(), KINDS)
    assert 0.5 < found.alpha["up"] <= 1
    assert set(found.reliability) == set(KINDS)
    # Every clip ranks these three alike.
    clear = Table({m: {"up": rising(v, 0.001)} for m, v in (("random", 0.1), ("a", 0.5), ("b", 0.9))})
    found = compare(clear.results(), KINDS)
    assert found.alpha["up"] == pytest.approx(1)
    assert found.reliability["up"].value == pytest.approx(1)


def test_a_method_that_is_too_dear_takes_nothing_from_the_others(table):
    for method, own in table.values.items():
        own["again"] = [] if method == "worst" else rising({"random": 0.5, "best": 0.1, "same": 0.5}[method])
    found = compare(table.results(), {**KINDS, "again": AGAIN})
    assert set(found.random["again"]) == {"best", "same"}
    assert found.random["again"]["best"].corrected < 0.05
    assert found.ranks["sanity"] == {"best": 1, "random": 2.5, "same": 2.5}
    line = next(x for x in sanity_table(comparison_markdown(found)) if x.startswith("| worst "))
    assert line == "| worst | – | – [–, –] |"


def sanity_table(text: str) -> list[str]:
    return text[text.index("| sanity: method") :].partition("\n\n")[0].splitlines()


def test_undefined_clips_do_not_count(table):
    nan = float("nan")
    table.values["best"]["up"][3] = nan
    table.values["same"]["mask"] = [nan] * (CLIPS - 1) + [0.9]
    found = compare(table.results(), KINDS)
    assert found.means["best"]["up"].details["undefined"] == 1
    assert found.random["up"]["worst"].p_value == pytest.approx(2 / 2 ** (CLIPS - 1))
    assert set(found.random["mask"]) == {"best", "worst"}, "a method defined on one clip leaves the test to the others"
    assert found.random["mask"]["best"].p_value == pytest.approx(2 / 2**CLIPS)


def test_methods_without_maps_are_listed_apart(table):
    table.errors = {"cam": "expected a linear head, got none"}
    found = compare(table.results(), KINDS)
    assert "cam" not in found.methods
    assert found.errors == table.errors
    assert comparison_markdown(found).rstrip().endswith("- cam: expected a linear head, got none")
    late = [*table.results()[:-1], MethodResult("11.mp4", 0, "same", error="expected another clip")]
    assert "same" not in compare(late, KINDS).methods, "half of the clips are another sample"
    with pytest.raises(DataError, match="got none: expected a linear head"):
        compare([j for j in table.results() if j.error], KINDS)


def test_metrics_that_describe_are_shown_and_rank_nothing(table):
    for own in table.values.values():
        own["tells"] = rising(0.3)
    found = compare(table.results(), {**KINDS, "tells": TELLS})
    assert found.kinds["tells"] == "sanity"
    assert "tells" not in found.random
    assert "tells" not in found.alpha
    assert found.ranks["sanity"] == {}
    head = sanity_table(comparison_markdown(found))[0]
    assert head == "| sanity: method | mean rank | tells |"


def test_without_random_nothing_is_tested(table):
    del table.values["random"]
    found = compare(table.results(), KINDS)
    assert found.random == found.reliability == {}
    assert "**" not in comparison_markdown(found)
    assert set(found.alpha) == set(KINDS)


def test_markdown_and_csv_agree(table):
    found = compare(table.results(), KINDS)
    rows = list(csv.DictReader(io.StringIO(comparison_csv(found))))
    assert len(rows) == 4 * 3, "one line a method and metric, and one head"
    assert comparison_csv(found).count("method,metric") == 1
    text = comparison_markdown(found)
    for row in rows:
        start = text.index(f"| {row['kind']}: method")
        part = text[start:].partition("\n\n")[0].splitlines()
        at = [cell.split(" ")[0] for cell in part[0].strip("| ").split(" | ")].index(row["metric"])
        line = next(x for x in part if x.startswith(f"| {row['method']} "))
        cell = line.strip("| ").split(" | ")[at]
        value, low, high = (float(row[k]) for k in ("mean", "low", "high"))
        assert cell.replace("**", "") == f"{value:.3f} [{low:.3f}, {high:.3f}]"
        bold = row["corrected_p"] != "" and float(row["corrected_p"]) < 0.05 and float(row["minus_random"]) > 0
        assert ("**" in cell) == bold
        assert row["higher_is_better"] == str(KINDS[row["metric"]].higher_is_better)
        assert (row["clips"], float(row["chance"])) == (str(CLIPS), 0.25)
    costs = text[text.index("| cost a clip") :].splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in costs] == list(table.values), "cheapest first"


def test_one_clip_and_no_chance_are_dashes():
    table = Table({"random": {"up": [0.2]}, "a": {"up": [0.5]}}, chance=None)
    found = compare(table.results()[:2], KINDS)
    assert found.random == {}
    text = comparison_markdown(found)
    assert "| a | 1.0 | 0.500 [–, –] |" in text
    assert "| *chance* | – | – |" in text


def test_kinds_of_all_registered_metrics_are_known():
    single = {n: make() for n, make in METRICS.items() if make().needs in ("map", "mask", "time", "method")}
    values = {m: {n: rising(v) for n in single} for m, v in (("random", 0.1), ("a", 0.3))}
    found = compare(Table(values).results(), single)
    assert set(found.kinds.values()) == {"faithfulness", "localisation", "localisation in time", "sanity"}


def test_ranks_figure_has_a_point_for_each_method(table):
    found = compare(table.results(), KINDS)
    figure = ranks_figure(found)
    axes, key = figure.axes
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() in "so"}
    wanted = zip(found.ranks["faithfulness"].values(), found.ranks["localisation"].values(), strict=True)
    assert points == set(wanted)
    named = dict(t.get_text().split() for t in key.texts)
    assert set(named.values()) == set(found.methods)
    for t in axes.texts:  # the number on each point is the key's
        method = named[t.get_text()]
        assert t.xy == (found.ranks["faithfulness"][method], found.ranks["localisation"][method])
    colours = {line.get_color() for line in axes.lines if line.get_marker() == "s"}
    assert colours == {LIGHT.random}
    figure.canvas.draw()
    boxes = [t.get_window_extent() for t in key.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2)), "no name lies over another"
