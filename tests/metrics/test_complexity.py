"""Complexity and sparseness of maps of k equal voxels, in closed form."""

import numpy as np
import pytest
from known_maps import given, linear_model, noise

from voxplain.metrics import Complexity, Sparseness

N = 4 * 8 * 8


@pytest.mark.parametrize("count", [1, 2, 16, N])
def test_equal_voxels(count: int) -> None:
    values = np.zeros(N)
    values[:count] = -3.0  # the sign does not count
    heat = given(np.random.default_rng(0).permutation(values).reshape(4, 8, 8))
    found = Complexity()(linear_model(), noise(), heat)
    assert found.value == pytest.approx(np.log(count) / np.log(N), abs=1e-9)
    assert found.details["effective_voxels"] == pytest.approx(count)
    assert Sparseness()(linear_model(), noise(), heat).value == pytest.approx(1 - count / N, abs=1e-9)


def test_sparseness_is_the_mean_difference_of_all_pairs() -> None:
    values = np.random.default_rng(1).random((4, 8, 8))
    flat = values.ravel()
    pairs = np.abs(flat[:, None] - flat[None]).mean() / (2 * flat.mean())
    assert Sparseness()(linear_model(), noise(), given(values)).value == pytest.approx(pairs, abs=1e-6)


def test_a_map_of_zeros_has_neither() -> None:
    heat = given(np.zeros((4, 8, 8)))
    assert np.isnan(Complexity()(linear_model(), noise(), heat).value)
    assert np.isnan(Sparseness()(linear_model(), noise(), heat).value)
