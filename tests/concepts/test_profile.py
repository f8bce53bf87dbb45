"""Profiles against inner products written out."""

import numpy as np
import pytest

from voxplain.concepts.cav import CAVs
from voxplain.concepts.profile import concept_profile, profile_similarity
from voxplain.errors import DataError


@pytest.fixture
def cavs():
    vectors = np.random.default_rng(0).normal(size=(3, 4, 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return CAVs(vectors, np.full((3, 4), 0.9, np.float32), "pool")


def test_profile_is_the_inner_product(cavs):
    features = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    profile = concept_profile(features, cavs)
    assert profile.shape == (5, 3, 4)
    assert profile.dtype == np.float32
    for n, k, r in [(0, 0, 0), (4, 2, 3), (1, 2, 0)]:
        assert profile[n, k, r] == pytest.approx(sum(features[n] * cavs.vectors[k, r]), rel=1e-4, abs=1e-5)


def test_a_cav_profiles_itself_highest(cavs):
    profile = concept_profile(cavs.vectors[:, 0], cavs)[:, :, 0]
    assert np.allclose(np.diag(profile), 1, atol=1e-6)
    assert (profile.argmax(axis=1) == np.arange(3)).all()


def test_wrong_width_names_the_layer(cavs):
    with pytest.raises(DataError, match=r"\[N,6\] of layer 'pool'"):
        concept_profile(np.zeros((5, 7)), cavs)


def test_similarity():
    profile = np.array([[1, 0], [2, 0], [0, 3], [-1, 0], [0, 0]])
    expected = [[1, 1, 0, -1, 0], [1, 1, 0, -1, 0], [0, 0, 1, 0, 0], [-1, -1, 0, 1, 0], [0, 0, 0, 0, 0]]
    assert np.allclose(profile_similarity(profile), expected)
    assert profile_similarity(np.ones((4, 3, 2))).shape == (4, 4)
    with pytest.raises(DataError):
        profile_similarity(np.ones(3))
