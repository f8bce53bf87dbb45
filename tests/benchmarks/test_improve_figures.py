"""Figures of the benchmark of corrections, by hand."""

import numpy as np
import pytest

from improve_figures import gains, gaps_closed, nested, summary, table
from improve_planted import covering
from improve_real import with_real_defect


def network(worst, agreeing, iid, reliance, right):
    return {
        "worst": worst,
        "agreeing": agreeing,
        "contradicting": 0.5,
        "iid": iid,
        "reliance": reliance,
        "right": right,
    }


def case(after):
    """Two clips, each without and with the defect; the first of one row and the second of the other contradict it."""
    before = network(0.5, 0.9, 0.95, 4.0, [[0, 1], [1, 0]])
    figures = {"original": before, "further": before, "random": before, "corrected": after}
    masks = {"clip_recall": 1.0, "clip_precision": 0.5}
    return {"figures": figures, "against": [[True, False], [False, True]], "masks": masks}


def test_figures_of_two_cases():
    good, none = network(0.8, 0.9, 0.94, 1.0, [[1, 1], [1, 1]]), network(0.5, 0.9, 0.95, 4.0, [[0, 1], [1, 0]])
    found = summary([case(good), case(none)])
    assert found["gap_closed"][0] == pytest.approx((0.75 + 0) / 2)
    assert found["iid_loss"][0] == pytest.approx(0.5)
    assert found["reliance_left"][0] == pytest.approx((0.25 + 1) / 2, abs=1e-3)
    assert found["gain_over_further"]["points"][0] == 50.0  # both contradicting clips of one of two cases
    assert found["random_over_further"]["points"] == [0.0, 0.0, 0.0]
    assert "0.25" in table({"patch-held-out-601": {"concept_swap": case(good)}})


def test_cases_without_a_gap_do_not_count_for_it():
    flat = case(network(0.9, 0.9, 0.9, 1.0, [[1, 1], [1, 1]]))
    flat["figures"]["original"] = network(0.85, 0.9, 0.9, 1.0, [[1, 1], [1, 1]])
    assert summary([flat])["gap_closed"] is None


def test_the_interval_is_over_cases_and_clips():
    rng = np.random.default_rng(0)
    same = nested([np.array([1.0, 3.0] * 50)] * 4, rng)
    apart = nested([np.full(100, v) for v in (0.0, 4.0, 0.0, 4.0)], rng)
    assert same[0] == apart[0] == 2.0
    assert same[2] - same[1] < 0.5
    assert apart[2] - apart[1] > 1.5
    assert gains([case(network(1, 1, 1, 1, [[1, 1], [1, 1]]))], "corrected", "further", rng)["points"] == [100.0] * 3


@pytest.mark.parametrize("kind", ["mark", "border", "tint"])
def test_defects_of_real_clips(kind):
    frames = np.full((2, 24, 24, 3), 100, np.uint8)
    changed = with_real_defect(kind, frames)
    share = (changed != frames).any(-1).mean()
    assert {"mark": 0.01, "border": 0.2, "tint": 0.99}[kind] < share <= {"mark": 0.04, "border": 0.4, "tint": 1.0}[kind]
    assert (changed[0] == changed[1]).all()
    assert (frames == 100).all()


def test_concepts_are_added_while_they_cover_more_of_the_defect():
    masks = np.zeros((4, 1, 1, 1, 10), bool)
    masks[0, ..., :4], masks[1, ..., 4:6], masks[2, ..., 6:], masks[3, ..., 3:5] = True, True, True, True
    truth = np.zeros((1, 1, 1, 10), bool)
    truth[..., :6] = True
    assert covering(masks, truth) == (0, 1)
    assert covering(masks, np.zeros_like(truth)) == ()


def test_the_share_of_the_gap_that_a_network_closes_counts_cases_with_a_gap():
    original, none = {"worst": 0.5, "agreeing": 0.9}, {"worst": 0.5, "agreeing": 0.55}
    nets = [{"original": original, "corrected": {"worst": 0.7}}, {"original": none, "corrected": {"worst": 0.7}}]
    assert gaps_closed(nets, "corrected") == [pytest.approx(0.5)]
    assert gaps_closed(nets, "unbiased") == []
