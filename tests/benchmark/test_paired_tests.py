"""Paired tests between methods and the agreement of two kinds of ranks, against values worked out by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from voxplain.benchmark.comparison import compare, mean_ranks
from voxplain.benchmark.paired_tests import Pair, pair_rows, paired, pairs_markdown, ranks_agreement
from voxplain.benchmark.run import MethodResult
from voxplain.errors import DataError
from voxplain.statistics import bootstrap_interval, holm, sign_flip_test, spearman


@dataclass(frozen=True)
class Metric:
    """What a comparison asks of a metric."""

    needs: str
    higher_is_better: bool | None


METRICS = {
    "up": Metric("map", True),
    "down": Metric("map", False),
    "mask": Metric("mask", True),
    "tells": Metric("method", None),
}
CLIPS = 14
RNG = np.random.default_rng(0)


def results_of(values: dict[str, dict[str, np.ndarray]]) -> list[MethodResult]:
    return [
        MethodResult(f"{v}.mp4", 0, m, {n: (float(row[v]), None) for n, row in own.items()})
        for v in range(CLIPS)
        for m, own in values.items()
    ]


def drawn(**level: float) -> dict[str, dict[str, np.ndarray]]:
    """Methods of a level each, by metrics that all see it, some upside down."""
    sign = {"up": 1, "down": -1, "mask": 1, "tells": 1}
    return {m: {n: s * (x + 0.1 * RNG.normal(size=CLIPS)) for n, s in sign.items()} for m, x in level.items()}


def test_each_pair_is_the_test_of_its_differences_corrected_in_its_family():
    values = drawn(a=0.5, b=0.55, c=0.9)
    values["b"]["up"][3] = np.nan
    found = paired(results_of(values), METRICS, {"a": ("b", "c"), "c": ()})
    assert [(p.metric, p.against, p.method) for p in found[:4]] == [
        ("up", "a", "b"),
        ("up", "a", "c"),
        ("down", "a", "b"),
        ("down", "a", "c"),
    ]
    assert {(p.against, p.method) for p in found[6:]} == {("c", "a"), ("c", "b")}
    assert {p.metric for p in found} == {"up", "down", "mask"}, "what describes is not tested"
    family = {p.method: p for p in found if (p.metric, p.against) == ("up", "a")}
    gains = {m: values[m]["up"] - values["a"]["up"] for m in ("b", "c")}
    gains["b"] = np.delete(gains["b"], 3)
    p = [sign_flip_test(gains[m], np.random.default_rng(0)) for m in ("b", "c")]
    for m, raw, corrected in zip(("b", "c"), p, holm(p), strict=True):
        low, high = bootstrap_interval(gains[m], np.random.default_rng(0))
        wins = float((gains[m] > 0).mean())
        wanted = Pair("up", m, "a", float(gains[m].mean()), low, high, wins, raw, float(corrected), len(gains[m]))
        assert family[m] == wanted
    down = next(p for p in found if (p.metric, p.against, p.method) == ("down", "a", "c"))
    assert down.difference == pytest.approx(np.mean(values["a"]["down"] - values["c"]["down"]))
    assert down.difference > 0, "c is better where lower is better, too"


def test_tables_say_the_same():
    found = paired(results_of(drawn(a=0.1, b=0.9)), METRICS, {"a": ("b",)})
    lines = pairs_markdown(found).splitlines()
    assert len(lines) == 2 + len(found)
    assert lines[2].startswith(f"| a | up | b | **{found[0].difference:.3f}** [")
    assert pair_rows(found)[0]["corrected"] == found[0].corrected
    near = paired(results_of(drawn(a=0.5, b=0.5)), METRICS, {"a": ("b",)})
    for pair in near:
        assert ("**" in pairs_markdown([pair])) == (pair.corrected < 0.05)


def test_a_method_that_is_not_there_is_refused():
    rows = [*results_of(drawn(a=0.1, b=0.9)), MethodResult("0.mp4", 0, "lost", error="no")]
    for against in ({"lost": ()}, {"a": ("lost",)}):
        with pytest.raises(DataError, match="got lost; it has a, b"):
            paired(rows, METRICS, against)


def test_agreement_is_spearmans_of_the_tables_ranks():
    values = drawn(a=0.1, b=0.3, c=0.5, d=0.7, random=0.0, motion_energy=2.0)
    for m, x in zip("abcd", (0.5, 0.1, 0.7, 0.9), strict=True):
        values[m]["mask"] = x + 0.01 * RNG.normal(size=CLIPS)
    rows = results_of(values)
    found, ranks = ranks_agreement(rows, METRICS), compare(rows, METRICS).ranks
    across, up = ([ranks[kind][m] for m in "abcd"] for kind in ("faithfulness", "localisation"))
    assert found.spearman == pytest.approx(spearman(np.array(across), np.array(up))) == pytest.approx(0.8)
    assert (found.methods, found.clips) == (4, CLIPS)
    assert found.low - 1e-9 <= 0.8 <= found.high + 1e-9 <= 1.1
    assert "Spearman 0.80" in found.sentence()
    assert ranks_agreement(rows, METRICS) == found, "the same draws every time"
    assert ranks_agreement(rows, {"up": METRICS["up"]}) is None
    assert ranks_agreement(results_of(drawn(a=0, b=1, random=0)), METRICS) is None


def test_agreement_of_noise_is_wide():
    values = {f"m{i}": {n: RNG.normal(size=CLIPS) for n in METRICS} for i in range(8)}
    found = ranks_agreement(results_of(values), METRICS)
    assert found.high - found.low > 0.5


def test_mean_ranks():
    values = np.array([[1, np.nan], [2, 0], [2, 7], [5, 3]], float)
    measured = np.array([[True, True], [True, True], [False, False], [True, False]])
    found = mean_ranks(values, measured)
    assert found[[0, 1, 3]].tolist() == [(1 + 2) / 2, (2 + 1) / 2, 3]
    assert np.isnan(found[2])
