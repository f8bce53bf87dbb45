"""Every clustering that is compared finds groups that are far apart."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from clustering_truth import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_groups_that_are_far_apart_are_found(name):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(7), 20)
    values = (5 * np.eye(7)[truth] + 0.02 * rng.normal(size=(140, 7))).astype(np.float32)
    clusterer, transform = METHODS[name]
    found = clusterer(transform(values), clips=np.arange(140) % 20, seed=0)
    assert adjusted_rand_score(truth, found[0]) > 0.95
    assert len(found[1]) == 7
