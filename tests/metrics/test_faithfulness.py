"""Sufficiency, comprehensiveness, average drop and correlation: closed forms on a linear network."""

import numpy as np
import pytest
import torch
from known_maps import TARGET, base_score, contributions, given, linear_model, noise

from voxplain.attribution.passes import to_input
from voxplain.errors import DataError
from voxplain.metrics import (
    AverageDrop,
    Comprehensiveness,
    FaithfulnessCorrelation,
    IncreaseInConfidence,
    Sufficiency,
    mean_of,
)
from voxplain.metrics.record import MetricValue


def test_top_shares_of_the_exact_map():
    model, clip = linear_model(), noise()
    parts = contributions(model, clip)
    best = np.cumsum(np.sort(parts.ravel())[::-1])
    top = np.array([best[n - 1] for n in (3, 26, 128)])  # of 256
    ratios = (0.01, 0.1, 0.5)
    lost = Comprehensiveness(ratios, objective="logit")(model, clip, given(parts))
    assert lost.value == pytest.approx(top.mean(), abs=1e-4)
    kept = Sufficiency(ratios, objective="logit", chance_orders=300)(model, clip, given(parts))
    np.testing.assert_allclose(kept.details["scores"], base_score(model) + top, atol=1e-4)
    assert kept.details["whole"] == pytest.approx(base_score(model) + parts.sum(), abs=1e-4)
    assert kept.value == pytest.approx(parts.sum() - top.mean(), abs=1e-4)
    random = parts.sum() - parts.mean() * np.mean([3, 26, 128])
    assert kept.chance == pytest.approx(random, abs=5 * parts.std() * 12 / np.sqrt(300))
    assert (Sufficiency.higher_is_better, Comprehensiveness.higher_is_better) == (False, True)


def test_average_drop_by_hand():
    model, clip = linear_model(), noise(1)
    values = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    x = to_input(model, clip.frames[None])
    through = torch.from_numpy((values - values.min()) / (values.max() - values.min()))
    p, q = (float(model.net(v).softmax(1)[0, TARGET].detach()) for v in (x, x * through))
    assert abs(p - q) > 1e-3
    drop = AverageDrop()(model, clip, given(values))
    assert drop.value == pytest.approx(max(0, p - q) / p, abs=1e-5)
    assert (drop.details["whole"], drop.details["masked"]) == pytest.approx((p, q), abs=1e-5)
    assert IncreaseInConfidence()(model, clip, given(values)).value == float(q > p)


def test_an_increase_is_no_drop():
    model, clip = linear_model(), noise(2)
    against = contributions(model, clip) < 0
    helps = given(1.0 - against)
    assert AverageDrop()(model, clip, helps).value == 0
    assert IncreaseInConfidence()(model, clip, helps).value == 1
    hurts = given(against)
    assert AverageDrop()(model, clip, hurts).value > 0
    assert IncreaseInConfidence()(model, clip, hurts).value == 0


@pytest.mark.parametrize("options", [{}, {"unit": "block"}, {"unit": "voxel", "subsets": 30}])
def test_contributions_correlate_fully_with_drops_of_a_linear_network(options):
    model, clip = linear_model(), noise(3)
    parts = contributions(model, clip)
    metric = FaithfulnessCorrelation(objective="logit", **options)
    got = metric(model, clip, given(parts))
    assert got.value == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(got.details["drops"], got.details["sums"], atol=1e-4)
    assert metric(model, clip, given(-parts)).value == pytest.approx(-1, abs=1e-4)
    assert np.isnan(metric(model, clip, given(np.ones_like(parts))).value)


def test_random_maps_do_not_correlate():
    model, rng = linear_model(), np.random.default_rng(0)
    metric = FaithfulnessCorrelation(unit="voxel", subsets=20, objective="logit")
    found = [metric(model, noise(i), given(rng.normal(size=(4, 8, 8)))).value for i in range(40)]
    assert abs(np.mean(found)) < 5 * np.std(found) / np.sqrt(40) < 0.3


def test_each_clip_has_its_own_correlation_and_the_mean_is_over_clips():
    model = linear_model()
    maps = [contributions(model, noise(0)), -contributions(model, noise(1))]
    metric = FaithfulnessCorrelation(objective="logit")
    got = mean_of([metric(model, noise(i), given(v)) for i, v in enumerate(maps)])
    assert got.value == pytest.approx(0, abs=1e-3)
    assert got.chance == 0


def test_mean_over_clips_leaves_undefined_clips_out():
    got = mean_of([MetricValue(0.5, 0.1), MetricValue(float("nan"), 0.9), MetricValue(0.7, 0.8)])
    assert (got.value, got.chance) == pytest.approx((0.6, 0.45))
    assert (got.details["clips"], got.details["undefined"], got.details["above_chance"]) == (3, 1, 0.5)
    assert got.details["low"] <= 0.6 <= got.details["high"]
    assert mean_of([MetricValue(0.5), MetricValue(0.7, 0.1)]).chance is None
    assert np.isnan(mean_of([MetricValue(float("nan"))]).value)


def test_wrong_options_are_refused():
    model, clip, values = linear_model(), noise(), given(np.zeros((4, 8, 8)))
    for metric in (Sufficiency(ratios=()), Comprehensiveness(ratios=(0.5, 1.0))):
        with pytest.raises(DataError, match="above 0 and below 1"):
            metric(model, clip, values)
    with pytest.raises(DataError, match="2 subsets"):
        FaithfulnessCorrelation(subsets=1)(model, clip, values)
