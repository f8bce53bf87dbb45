"""LIME and KernelSHAP against games that are known in full."""

from itertools import combinations
from math import comb, factorial

import numpy as np
import pytest
import torch

from region_clips import FOUR, SIX, Quadrants, make_clips, make_model
from small_nets import ConvNet
from voxplain.attribution import LIME, KernelSHAP
from voxplain.attribution.passes import base_input, to_input
from voxplain.attribution.perturbation.masked_clips import region_scores
from voxplain.attribution.perturbation.surrogate import coalitions, shapley_regression
from voxplain.errors import DataError
from voxplain.model import stack
from voxplain.segment import SLIC, Grid


def game(model, clip, segmenter, target: int, fill: str):
    """v(set of shown regions), by one forward for each set asked."""
    x, b = to_input(model, stack([clip]))[0], base_input(model, stack([clip]), fill)[0]
    labels = segmenter(clip).labels[0].astype(np.int64)
    count = labels.max() + 1

    def v(shown) -> float:
        z = np.isin(np.arange(count), list(shown))[None]
        return float(region_scores(model, x, b, labels, z, target, "logit")[0])

    return v, count, labels


def shapley(v, count: int) -> np.ndarray:
    """Σ_S |S|!(M−|S|−1)!/M! (v(S∪i) − v(S)), the definition."""
    values = np.zeros(count)
    for i in range(count):
        rest = [j for j in range(count) if j != i]
        for k in range(count):
            weight = factorial(k) * factorial(count - k - 1) / factorial(count)
            values[i] += weight * sum(v({*s, i}) - v(set(s)) for s in combinations(rest, k))
    return values


@pytest.mark.parametrize("segmenter", [FOUR, SIX])
def test_kernel_shap_enumerates_to_the_definition(segmenter):
    torch.manual_seed(2)
    net = ConvNet().eval() if segmenter is SIX else Quadrants()
    model, clip = make_model(net, layer="hidden" if segmenter is SIX else "feature"), make_clips(1)[0]
    v, count, labels = game(model, clip, segmenter, 0, "black")
    found = KernelSHAP(segmenter=segmenter, samples=64, fill="black")(model, clip, 0)
    assert found.details["exact"]
    exact = shapley(v, count)
    np.testing.assert_allclose(found.values, exact[labels], rtol=1e-3, atol=1e-5)
    alone = np.array([v({i}) - v(set()) for i in range(count)])
    assert np.abs(exact - alone).max() > 1e-3  # the game is not additive, or the test shows little


def test_kernel_shap_sums_exactly_and_nears_the_definition_when_it_samples():
    torch.manual_seed(2)
    model, clip = make_model(ConvNet().eval(), layer="hidden"), make_clips(1)[0]
    segmenter = Grid(cells=((2, 2, 2),))
    v, count, labels = game(model, clip, segmenter, 0, "black")
    exact = shapley(v, count)
    found = KernelSHAP(segmenter=segmenter, samples=200, fill="black")(model, clip, 0)
    assert not found.details["exact"]
    values = np.array([found.values[labels == i][0] for i in range(count)])
    assert values.sum() == pytest.approx(v(range(count)) - v([]), abs=1e-5)
    assert values.sum() == pytest.approx(found.details["full"] - found.details["empty"], abs=1e-5)
    assert np.abs(values - exact).max() < 0.1 * np.abs(exact).max()


def test_the_enumerated_kernel_is_shapleys():
    z, weight = coalitions(5, 32, np.random.default_rng(0))
    assert len({tuple(row) for row in z.tolist()}) == 32
    assert not z[0].any()
    assert z[1].all()
    for row, w in zip(z[2:], weight, strict=True):
        k = int(row.sum())
        assert w == pytest.approx(4 / (comb(5, k) * k * (5 - k)))


def test_sampled_coalitions_come_in_pairs_with_the_kernels_sizes():
    z, weight = coalitions(12, 4000, np.random.default_rng(0))
    assert len(z) == 4000
    assert (z[2::2] == ~z[3::2]).all()
    assert (weight == 1).all()
    k = np.arange(1, 12)
    expected = 1 / (k * (12 - k))
    share = np.bincount(z[2:].sum(1), minlength=12)[1:12] / 3998
    np.testing.assert_allclose(share, expected / expected.sum(), atol=0.02)
    np.testing.assert_allclose(z[2:].mean(0), 0.5, atol=1e-12)


def test_one_region_takes_all_and_too_few_samples_are_refused():
    model, clip = make_model(Quadrants()), make_clips(1)[0]
    one = KernelSHAP(segmenter=Grid(cells=((1, 1, 1),)))(model, clip, 1)
    np.testing.assert_allclose(one.values, one.details["full"] - one.details["empty"], rtol=1e-5)
    with pytest.raises(DataError, match="enough samples for 16 supervoxels, got 6"):
        KernelSHAP(segmenter=Grid(cells=((1, 4, 4),)), samples=6)(model, clip, 1)


def test_several_levels_are_refused():
    for method in (LIME(segmenter=SLIC()), KernelSHAP(segmenter=SLIC())):
        with pytest.raises(DataError, match="one level"):
            method(make_model(Quadrants()), make_clips(1)[0], 1)


def test_lime_recovers_an_additive_function():
    model, clip = make_model(Quadrants()), make_clips(1)[0]
    v, count, labels = game(model, clip, FOUR, 1, "black")
    found = LIME(segmenter=FOUR, samples=60, alpha=1e-9, fill="black")(model, clip, 1)
    terms = np.array([v({i}) - v(set()) for i in range(count)])
    np.testing.assert_allclose(found.values, terms[labels], rtol=1e-3, atol=1e-5)
    assert found.details["r2"] == pytest.approx(1, abs=1e-4)


def test_lime_is_the_weighted_ridge_that_a_textbook_gives():
    model, clip = make_model(Quadrants()), make_clips(1)[0]
    v, _, labels = game(model, clip, FOUR, 0, "black")
    found = LIME(segmenter=FOUR, samples=40, alpha=0.5, width=0.4, fill="black", seed=3)(model, clip, 0)
    z = np.random.default_rng(3).random((40, 4)) < 0.5
    z[0] = True
    s = np.array([v(np.flatnonzero(row)) for row in z])
    norm = np.sqrt(z.sum(1))
    cosine = np.divide(z.sum(1), norm * 2, out=np.zeros(40), where=norm > 0)
    w = np.exp(-((1 - cosine) ** 2) / 0.4**2)
    centred, height = z - np.average(z, axis=0, weights=w), s - np.average(s, weights=w)
    beta = np.linalg.solve(centred.T @ (w[:, None] * centred) + 0.5 * np.eye(4), centred.T @ (w * height))
    np.testing.assert_allclose(found.values, beta[labels], rtol=1e-4, atol=1e-6)


def test_captums_surrogates_agree():
    from captum.attr import KernelShap as TheirShap
    from captum.attr import Lime as TheirLime

    model, clip = make_model(Quadrants()), make_clips(1)[0]
    labels = torch.from_numpy(FOUR(clip).labels[0].astype(np.int64))[None, None]
    x, b = to_input(model, stack([clip])), base_input(model, stack([clip]), "black")
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - captum draws from the global generator
    shap = TheirShap(model.net).attribute(x, b, target=0, feature_mask=labels, n_samples=3000)[0, 0].numpy()
    ours = KernelSHAP(segmenter=FOUR, fill="black")(model, clip, 0).values
    np.testing.assert_allclose(ours, shap, atol=0.06 * np.abs(ours).max())
    from captum._utils.models.linear_model import SkLearnLinearRegression

    lime = (
        TheirLime(model.net, SkLearnLinearRegression())
        .attribute(x, b, target=1, feature_mask=labels, n_samples=100)[0, 0]
        .numpy()
    )
    ours = LIME(segmenter=FOUR, alpha=1e-9, samples=100, fill="black")(model, clip, 1).values
    np.testing.assert_allclose(ours, lime, rtol=2e-3)


def test_a_regression_without_freedom_is_refused():
    z = np.array([[True, False, False], [False, True, True]])
    with pytest.raises(DataError, match="enough samples"):
        shapley_regression(z, np.zeros(2), np.ones(2), empty=0.0, full=1.0)
