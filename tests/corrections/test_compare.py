"""Statistics of the comparison against closed forms."""

import numpy as np
import pytest
from shortcut_task import cheating_model, task

from voxplain.corrections.compare import compare, crossed_interval, measure, worst_group
from voxplain.corrections.examples import removed
from voxplain.errors import DataError


def test_the_worst_group_is_that_of_the_true_labels():
    right = np.array([True, True, False, True, True, False])
    labels, present = np.array([0, 0, 0, 0, 1, 1]), np.array([True, True, False, False, True, False])
    assert worst_group(right, labels, present, smallest=1) == 0.0
    assert worst_group(right, labels, present, smallest=2) == 0.5
    assert np.isnan(worst_group(right, labels, present, smallest=9))


def test_the_interval_covers_the_mean_at_its_level():
    # differences = seed + clip + noise with known mean 1
    inside, trials = 0, 150
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        d = 1 + rng.normal(0, 1, (1, 80)) + rng.normal(0, 0.02, (6, 1)) + rng.normal(0, 1, (6, 80))
        low, high = crossed_interval(d, rng, resamples=400)
        inside += low <= 1 <= high
    assert 0.88 <= inside / trials <= 1


def test_an_interval_of_equal_differences_has_no_width():
    assert crossed_interval(np.full((3, 7), 2.0), np.random.default_rng(0)) == pytest.approx((2.0, 2.0))


def test_gains_are_in_points_and_tested_over_clips():
    right, other = np.ones((3, 12), bool), np.zeros((3, 12), bool)
    chosen = np.arange(12) < 10
    gain = compare(("a", "b"), "all", right, other, chosen)
    assert (gain.gain, gain.low, gain.high, gain.count) == pytest.approx((100, 100, 100, 10))
    assert gain.p_value == pytest.approx(2 / 2**10)
    assert compare(("a", "b"), "all", right, right, chosen).p_value == 1
    with pytest.raises(DataError, match="same seeds"):
        compare(("a", "b"), "all", right, other[:1], chosen)


def test_reliance_is_the_change_of_the_log_odds():
    model, test = cheating_model(), task(6, 0.5, 0)
    having = test.some(test.present)
    without = removed(having, np.random.default_rng(0), donors=test)
    found = measure(model, test, without, 1)
    z = [model.logits(f).double().numpy() for f in (having.frames, without)]
    expected = np.abs((z[0][:, 1] - z[0][:, 0]) - (z[1][:, 1] - z[1][:, 0]))
    np.testing.assert_allclose(found.change[test.present], expected, rtol=1e-4)
    assert found.reliance == pytest.approx(8.0, rel=1e-4)  # the corner from 1 to 0, times 4 − (−4)
    assert np.isnan(found.change[~test.present]).all()
