"""The statement about the class: against SciPy, on networks with random weights, and where it cannot be made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from known_nets import noise
from voxplain.concepts.recognition import LEAST_COST, LEAST_RISE, Recognition, recognition
from voxplain.nets import build_net
from voxplain.statistics import sign_flip_test

FOUND = Recognition(12, 11, 20, 3, 4.25, 3.0, 5.5, 0.001, 2.25, 6.0)


def two_outputs(log_odds: np.ndarray) -> np.ndarray:
    """Logits of a network with two classes by the log-odds of the first."""
    return np.stack([log_odds, np.zeros(len(log_odds))], 1)


def test_by_scipy():
    rng = np.random.default_rng(0)
    own, unrelated = rng.normal(3, 2, 12), rng.normal(0, 1, 20)
    found = recognition(two_outputs(own), two_outputs(unrelated), 0)
    welch = stats.ttest_ind(own, unrelated, equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(welch.confidence_interval(0.95)))
    assert found.rise == pytest.approx(own.mean() - unrelated.mean())
    assert (found.predicted, found.unrelated_predicted) == ((own > 0).sum(), (unrelated > 0).sum())
    rise = stats.ttest_ind(own, unrelated + LEAST_RISE, equal_var=False, alternative="greater").pvalue
    often = stats.binomtest(int((own > 0).sum()), 12, 0.5, alternative="greater").pvalue
    assert found.p_value == pytest.approx(max(2 * rise, often))


def test_the_interval_agrees_with_the_statement():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        own, unrelated = rng.normal(rng.uniform(0.1, 3), 0.8, 12), rng.normal(-0.5, 0.8, 9)
        found = recognition(two_outputs(own), two_outputs(unrelated), 0)
        if found.predicted >= 10:  # of 12, as often as a fair coin does with probability 0.02
            assert found.holds == (found.low > LEAST_RISE)
        else:
            assert not found.holds


@pytest.mark.parametrize("classes", [2, 3, 6, 10])
def test_known_classes_are_recognised_whatever_their_number(classes):
    rng = np.random.default_rng(classes)
    own, unrelated = rng.normal(0, 1, (12, classes)), rng.normal(0, 1, (20, classes))
    own[:, 1] += 7
    assert recognition(own, unrelated, 1).holds
    assert not recognition(own, unrelated, 0).holds
    assert not recognition(own, own, 1).holds  # predicted in every video, and in every unrelated one


def test_a_class_that_unrelated_clips_get_too_is_recognised_by_what_hiding_costs():
    rng = np.random.default_rng(0)
    own, unrelated = two_outputs(rng.normal(4, 1, 12)), two_outputs(rng.normal(3.5, 1, 20))
    cost = rng.normal([LEAST_COST + 2, 0, -1], 1, (12, 3))
    cost[:, 2] = np.nan  # not compared with random regions
    blank = np.stack([two_outputs(rng.normal(mean, 0.5, 12)) for mean in (0, -3)])
    blank[:, 9:] = np.nan  # measured in a part of the clips
    assert not recognition(own, unrelated, 0).holds
    found = recognition(own, unrelated, 0, cost=cost, blank=blank)
    assert found.holds
    assert found.cost == pytest.approx(cost[:, 0].mean())
    assert found.everything == pytest.approx((own[:9] - blank[0, :9])[:, 0].mean())
    assert not recognition(own, unrelated, 0, cost=cost).holds
    assert not recognition(own, unrelated, 0, blank=blank).holds
    assert not recognition(own, unrelated, 0, cost=cost - 2, blank=blank).holds  # no more than the least cost
    shown = np.stack(
        [blank[0], two_outputs(np.full(12, 4.0))]
    )  # the class of an empty clip, too, with one of the fills
    assert not recognition(own, unrelated, 0, cost=cost, blank=shown).holds
    assert not recognition(-own, unrelated, 0, cost=cost, blank=blank - 9).holds  # not predicted in its own clips


def test_what_hiding_costs_by_other_tests_of_one_mean():
    rng = np.random.default_rng(1)
    for shift in (0, 0.3, 0.6, 0.9, 3):
        own, unrelated = two_outputs(rng.normal(4, 0.1, 12)), two_outputs(np.full(20, 4.0))
        cost, blank = rng.normal(LEAST_COST + shift, 1, (12, 1)), two_outputs(rng.normal(3, 1.5, 12) - shift)
        flips = sign_flip_test(cost[:, 0] - LEAST_COST, rng, side="greater")
        fall = stats.ttest_1samp((own - blank)[:, 0], LEAST_RISE, alternative="greater").pvalue
        p = recognition(own, unrelated, 0, cost=cost, blank=blank).p_value
        assert p == pytest.approx(max(0.5**12, min(1, 2 * max(flips, fall))))


def test_networks_with_random_weights_recognise_nothing():
    own, unrelated = ([noise(i).frames for i in range(k, k + 12)] for k in (0, 12))
    clips = torch.from_numpy(np.stack([*own, *(255 - x // 4 for x in unrelated)])).permute(0, 4, 1, 2, 3).float() / 255
    clips = torch.nn.functional.interpolate(clips, (8, 16, 16))
    for seed in range(20):
        torch.manual_seed(seed)
        with torch.no_grad():
            logits = build_net("tiny", 2).eval()(clips).numpy()
        assert not any(recognition(logits[:12], logits[12:], y).holds for y in (0, 1))


def test_too_few_clips_and_one_output():
    one = recognition(np.ones((1, 3)), np.zeros((5, 3)), 0)
    assert (one.p_value, one.low, one.high, one.holds) == (1, -np.inf, np.inf, False)
    single = recognition(np.full((9, 1), 2.0), np.full((9, 1), -2.0), 0)
    assert (single.predicted, single.unrelated_predicted, single.rise, single.holds) == (9, 0, 4, True)


def test_sentences():
    assert FOUND.sentence("bend") == (
        "The network recognises “bend”: it predicts it in 11 of its 12 videos and in 3 of 20 unrelated ones."
    )
    assert FOUND.details().startswith(
        "The log-odds of the class are 4.2 higher in its own videos (95 % interval 3.0 to 5.5), fall by 6.0 when "
        "everything is hidden, and by at most 2.2 more when a concept is hidden than when random regions of its volume "
        "are. Recognised"
    )
    lost = replace(FOUND, rise=-1.0, low=-2.0, high=0.0, p_value=0.5)
    assert "does not clearly recognise “bend”" in lost.sentence("bend")
    assert lost.sentence("bend").endswith("unrelated ones, so no concept is called significant.")
    assert "1.0 lower in its own videos (95 % interval −2.0 to 0.0" in lost.details()
