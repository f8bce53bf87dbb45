"""Prediction difference analysis: the weight of evidence by hand, and where the samples come from."""

import numpy as np
import pytest
import torch

from region_clips import Quadrants, make_clips, make_model
from small_nets import GRID, LinearNet
from voxplain.attribution import PredictionDifference
from voxplain.attribution.passes import logits, to_input
from voxplain.attribution.perturbation.masked_clips import cuboids
from voxplain.attribution.perturbation.prediction_difference import places
from voxplain.errors import DataError
from voxplain.model import stack
from voxplain.video import Clip

WINDOW = (2, 4, 4)


def evidence(p: float, q: float, n: int, classes: int) -> float:
    p, q = ((v * n + 1) / (n + classes) for v in (p, q))
    return float(np.log2(p / (1 - p)) - np.log2(q / (1 - q)))


@pytest.mark.parametrize("sampling", ["conditional", "marginal"])
def test_the_weight_of_evidence_by_hand(sampling):
    torch.manual_seed(0)
    model, clip = make_model(LinearNet(scale=5), batch_size=3), make_clips(1)[0]
    method = PredictionDifference(window=WINDOW, stride=WINDOW, samples=3, sampling=sampling, laplace=1000)
    found = method(model, clip, 2).values
    x = to_input(model, stack([clip]))
    p = float(logits(model, x).double().softmax(1)[0, 2])
    size, corners = cuboids(GRID, WINDOW, WINDOW)
    rng = np.random.default_rng(0)
    for t, y, w in corners:
        probabilities = []
        for a, b, c in places(GRID, size, (t, y, w), sampling, 3, rng):
            changed = x.clone()
            changed[0, :, t : t + 2, y : y + 4, w : w + 4] = x[0, :, a : a + 2, b : b + 4, c : c + 4]
            probabilities.append(float(logits(model, changed).double().softmax(1)[0, 2]))
        expected = evidence(p, float(np.mean(probabilities)), 1000, 5)
        np.testing.assert_allclose(found[t : t + 2, y : y + 4, w : w + 4], expected, rtol=1e-4, atol=1e-6)
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("sampling", ["conditional", "marginal"])
def test_samples_come_from_beside_the_window(sampling):
    grid, size, rng = (16, 30, 40), (4, 6, 8), np.random.default_rng(0)
    for corner in [(0, 0, 0), (5, 11, 16), (12, 24, 32)]:
        drawn = np.array(places(grid, size, corner, sampling, 300, rng))
        assert (drawn >= 0).all()
        assert (drawn + size <= grid).all()
        away = np.abs(drawn - corner)
        assert (away >= size).any(1).all(), "a source overlaps its window"
        assert (away <= size).all() == (sampling == "conditional")
        assert len(np.unique(drawn, axis=0)) > 100


def test_a_clip_that_is_the_same_everywhere_says_nothing():
    flat = Clip(np.full((*GRID, 3), 90, np.uint8), np.arange(4) / 25, "flat", None)
    found = PredictionDifference(window=(1, 2, 2), stride=None)(make_model(Quadrants()), flat, 0)
    np.testing.assert_allclose(found.values, 0, atol=1e-5)


def test_sure_networks_stay_finite():
    torch.manual_seed(0)
    model, clip = make_model(LinearNet(scale=1e4)), make_clips(1)[0]
    found = PredictionDifference(window=WINDOW, stride=WINDOW)(model, clip, int(model.logits(stack([clip])).argmax()))
    assert np.abs(found.values).max() > 1


@pytest.mark.parametrize("sampling", ["conditional", "marginal"])
def test_a_window_without_room_beside_it_is_refused(sampling):
    with pytest.raises(DataError, match="beside which another fits"):
        PredictionDifference(window=(4, 6, 6), sampling=sampling, stride=None)(
            make_model(Quadrants()), make_clips(1)[0], 0
        )


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"sampling": "gaussian"}, {"laplace": 0}, {"seed": -1}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(DataError, match="expected sampl"):
        PredictionDifference(**wrong)
