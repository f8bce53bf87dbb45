"""Tables of retrained networks: means over seeds and clips, tests against random, twins; by hand."""

import numpy as np
import pytest

from voxplain.benchmark.retraining import Trained
from voxplain.benchmark.retraining_tables import (
    accuracies,
    accuracy_markdown,
    accuracy_rows,
    label_pair_markdown,
    label_pair_rows,
)
from voxplain.metrics import METRICS
from voxplain.statistics import sign_flip_test

CLIPS = 20
RNG = np.random.default_rng(0)
NETS = {n: METRICS[n]() for n in ("roar", "kar")}


def trained(metric: str, method: str, ratio: float, share: float, seeds: int = 2) -> list[Trained]:
    return [Trained(metric, method, ratio, s, tuple(bool(r) for r in RNG.random(CLIPS) < share)) for s in range(seeds)]


def test_accuracies_are_means_over_seeds_with_tests_in_the_right_direction():
    cells = {("roar", m, 0.1): trained("roar", m, 0.1, s) for m, s in (("random", 0.95), ("good", 0.05))}
    cells |= {("kar", m, 0.1): trained("kar", m, 0.1, s) for m, s in (("random", 0.05), ("good", 0.95))}
    cells["roar", "", 0.0] = trained("roar", "", 0.0, 0.9)
    rows = {
        (r.metric, r.method, r.ratio): r for r in accuracies([t for own in cells.values() for t in own], NETS, 0.25)
    }
    assert set(rows) == set(cells)
    for place, own in cells.items():
        right = np.array([t.right for t in own], float)
        assert rows[place].mean.value == pytest.approx(right.mean())
        assert rows[place].seeds == pytest.approx(right.mean(1))
        assert rows[place].mean.chance == 0.25
    for metric, sign in (("roar", -1), ("kar", 1)):
        test = rows[metric, "good", 0.1].random
        shares = [np.mean([t.right for t in cells[metric, m, 0.1]], 0) for m in ("good", "random")]
        gain = sign * (shares[0] - shares[1])
        assert test.difference == pytest.approx(gain.mean())
        assert test.difference > 0
        assert test.corrected == sign_flip_test(gain, np.random.default_rng(0))
        assert rows[metric, "random", 0.1].random is None
    text = accuracy_markdown(list(rows.values()), NETS)
    assert text.splitlines()[0] == "| accuracy %: method | roar 0.1 ↓ | kar 0.1 ↑ |"
    assert text.splitlines()[2].startswith("| good | **")
    assert "**" not in text.splitlines()[3]
    assert f"Nothing hidden: {100 * rows['roar', '', 0.0].mean.value:.1f} [" in text
    assert "20 test clips, 2 seeds; chance 25.0" in text
    table = accuracy_rows(list(rows.values()))
    assert [r["method"] for r in table if r["ratio"] == 0] == ["(nothing hidden)"]
    assert {r["corrected_p"] is None for r in table if r["method"] == "random"} == {True}


def test_without_a_random_map_there_is_no_test():
    rows = accuracies(trained("kar", "good", 0.1, 0.9), NETS, 0.5)
    assert [r.random for r in rows] == [None]


def test_maps_that_depend_on_the_labels_are_marked():
    base = RNG.random(CLIPS) / 10
    likeness = {
        "copies": [(0.9 + b, 0.9 + b) for b in base],
        "explains": [(0.1 + b, 0.6 + 2 * b) for b in base],
        "constant": [(float("nan"), float("nan"))] * CLIPS,
    }
    rows = {r.method: r for r in label_pair_rows(likeness)}
    assert rows["explains"].difference == pytest.approx(0.5 + base.mean())
    assert rows["explains"].shuffled.value == pytest.approx(0.1 + base.mean())
    assert rows["explains"].corrected_p < 0.01
    assert rows["copies"].difference == 0
    assert rows["copies"].corrected_p == 1
    assert np.isnan(rows["constant"].difference)
    lines = label_pair_markdown(list(rows.values())).splitlines()
    assert [line.split(" ")[1] for line in lines[2:]] == ["explains", "copies", "constant"]
    assert "**" in lines[2]
    assert "**" not in lines[3]
