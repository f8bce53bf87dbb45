"""Concept scores against loops, closed forms above a linear head, and the trap of its constant gradient."""

import numpy as np
import pytest
import torch

from known_nets import CLASSES, WEIGHTS, colour_model, conv_model, feature, plain
from voxplain.concepts.cav import CAVs
from voxplain.concepts.score import SCORES, directional_derivatives, is_linear_above, magnitude, sign_count
from voxplain.model import stack


@pytest.fixture
def cavs():
    vectors = np.random.default_rng(0).normal(size=(40, 3, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return CAVs(vectors, np.full((40, 3), 0.9, np.float32), "colour")


@pytest.fixture
def clips():
    """Plain clips of many colours, near the mean colour: softmax is then far from saturated."""
    colours = np.random.default_rng(1).integers(-25, 26, (30, 3)) + np.array([51, 102, 153])
    return [plain(tuple(c)) for c in colours]


def test_derivatives_are_inner_products(cavs):
    g = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    got = directional_derivatives(g, cavs)
    assert got.shape == (7, 40, 3)
    assert got.dtype == np.float32
    for m, k, r in [(0, 0, 0), (6, 39, 2), (3, 11, 1)]:
        assert got[m, k, r] == pytest.approx(float(g[m].numpy() @ cavs.vectors[k, r]), abs=1e-5)


def test_scores_by_hand():
    derivatives = np.array([[[1.0, -1.0]], [[0.0, 2.0]], [[3.0, -4.0]], [[-1e-30, 1e-30]]], np.float32)  # [4,1,2]
    np.testing.assert_allclose(sign_count(derivatives), [[0.5, 0.5]])  # zero is no gain
    np.testing.assert_allclose(magnitude(derivatives), [[1.0, -0.75]])
    assert sign_count(derivatives).dtype == magnitude(derivatives).dtype == np.float32


@pytest.mark.parametrize("name", SCORES)
def test_a_pair_without_a_direction_has_no_score(name):
    derivatives = np.array([[[2.0, np.nan], [1.0, 1.0]], [[-1.0, np.nan], [1.0, 1.0]]])
    assert np.isnan(SCORES[name](derivatives)).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_higher_for_a_concept_that_raises_the_class(name):
    derivatives = np.random.default_rng(2).normal(size=(200, 1, 4)) + np.array([-1.0, 0.0, 1.0])[:, None]
    low, middle, high = SCORES[name](derivatives).mean(1)
    assert low < middle < high


def test_the_plain_logit_above_a_linear_head_says_nothing_of_the_clips(cavs, clips):
    gradients = colour_model().gradient(stack(clips), 2, objective="logit")
    score = sign_count(directional_derivatives(gradients, cavs))
    assert np.array_equal(score, (cavs.vectors @ WEIGHTS[2] > 0).astype(np.float32))
    assert set(np.unique(score)) == {0, 1}


@pytest.mark.parametrize("objective", ["log_odds", "log_probability"])
def test_log_odds_depend_on_the_clips(cavs, clips, objective):
    y, model = 2, colour_model()
    others = [k for k in range(CLASSES) if k != y]
    rows = []
    for clip in clips:  # ∇ log odds = W_y − Σ_{k≠y} q_k W_k, q the softmax over the other classes
        z = WEIGHTS @ feature(clip.frames) + model.net.head.bias.detach().double().numpy()
        q = np.exp(z[others]) / np.exp(z[others]).sum()
        miss = np.exp(z[others]).sum() / np.exp(z).sum()
        rows.append((WEIGHTS[y] - q @ WEIGHTS[others]) * (miss if objective == "log_probability" else 1))
    truth = np.array(rows) @ cavs.vectors.reshape(-1, 3).T
    got = directional_derivatives(model.gradient(stack(clips), y, objective=objective), cavs)
    np.testing.assert_allclose(got.reshape(30, -1), truth, atol=1e-5)
    share = sign_count(got)
    np.testing.assert_allclose(share.ravel(), (truth > 0).mean(0))
    assert ((share > 0) & (share < 1)).any()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_linear_heads_are_found_at_any_scale(scale, clips):
    frames = stack(clips[:4])
    assert is_linear_above(colour_model(scale * WEIGHTS), frames, 1)
    bent = conv_model()
    with torch.no_grad():
        bent.net[-1].weight *= scale
    assert not is_linear_above(bent, frames, 1)
