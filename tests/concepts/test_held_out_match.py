"""Held-out supervoxels beside the clusters of their concepts, with features whose distances are known."""

import numpy as np
import pytest

from voxplain.concepts.cluster import KMeans
from voxplain.concepts.discover import fit_concepts
from voxplain.concepts.held_out_match import HeldOutMatch, held_out_match
from voxplain.concepts.warnings import far_held_out
from voxplain.errors import DataError

CENTRES = np.array([[0.0, 0.0], [100.0, 0.0]])


def rows(rng, spread: float, count: int = 60) -> np.ndarray:
    return np.concatenate([centre + rng.normal(0, spread, (count, 2)) for centre in CENTRES]).astype(np.float32)


@pytest.fixture(scope="module")
def bank():
    return fit_concepts(rows(np.random.default_rng(0), 1.0), clusterer=KMeans(clusters=2), keep=30)


def test_clips_like_those_of_the_concepts_are_near(bank):
    found = held_out_match(bank, [rows(np.random.default_rng(i), 1.0) for i in range(1, 5)])
    assert found.supervoxels.tolist() == [240, 240]
    assert found.clips.tolist() == [4, 4]
    assert found.expected == pytest.approx(0.5)  # 30 of 60
    assert found.near == pytest.approx(found.expected, abs=0.15)
    assert not found.far.any()
    assert far_held_out(found, [0, 1]) is None


def test_other_clips_are_far(bank):
    found = held_out_match(bank, [rows(np.random.default_rng(i), 8.0) for i in range(1, 5)])
    assert found.far.all()
    assert "concept 1 are far from it" in str(far_held_out(found, [1]))


def test_nothing_is_said_of_concepts_without_supervoxels(bank):
    k = int(bank.encode(CENTRES[:1].astype(np.float32))[0])
    found = held_out_match(bank, [np.zeros((9, 2), np.float32), np.zeros((0, 2), np.float32)])
    assert (found.supervoxels[k], found.clips[k], found.near[k]) == (9, 1, 1)
    assert np.isnan(found.near[1 - k])
    assert not found.far.any()


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(DataError, match="one value for each of K"):
        HeldOutMatch(np.zeros(2, int), np.zeros(2, int), np.zeros(3), np.zeros(2))
