"""k-means by several starts at once: as low as scikit-learn, exact sums, the same bytes from any number of threads."""

import numpy as np
import pytest
import sklearn.cluster
import torch
from threadpoolctl import threadpool_limits

from voxplain.concepts.cluster import KMeans, with_means
from voxplain.concepts.lloyd import _changes, _lloyd, _means, _plus_plus, _principal, kmeans


def mixture(rows: int = 2000, width: int = 120, groups: int = 12, apart: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(groups, width))
    return (centres[rng.integers(groups, size=rows)] + rng.normal(size=(rows, width)) + 3).astype(np.float32)


def inertia(values: np.ndarray, labels: np.ndarray) -> float:
    found, centres = with_means(values, labels)[:2]
    return float(((values - centres[found]).astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("apart", [0.0, 0.5], ids=["structureless", "mixture"])
@pytest.mark.parametrize("directions", [50, 120], ids=["few directions", "all"])
def test_inertia_is_as_low_as_scikit_learns(apart, directions):
    values = mixture(rows=1000, apart=apart)
    with threadpool_limits(1):
        theirs = [sklearn.cluster.KMeans(12, n_init=1, random_state=s).fit(values).inertia_ for s in range(20)]
        ours = [inertia(values, kmeans(values, 12, inits=1, directions=directions, seed=s)) for s in range(20)]
    assert np.mean(ours) < 1.002 * np.mean(theirs)


def test_ends_where_no_row_is_nearer_another_centre():
    values = mixture(apart=2.0)
    labels, centres = KMeans(clusters=12)(values, clips=np.arange(len(values)))[:2]
    far = ((values[:, None] - centres) ** 2).sum(axis=2)
    assert (far.argmin(axis=1) == labels).all()


def test_same_bytes_from_any_number_of_threads():
    values, before, found = mixture(rows=5000), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(KMeans()(values, clips=np.arange(len(values)), seed=5))
    finally:
        torch.set_num_threads(before)
    assert len({labels.tobytes() + centres.tobytes() for labels, centres, _ in found}) == 1


def test_sums_by_changes_are_those_of_the_clusters():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 7)).astype(np.float32)
    old, new = rng.integers(-1, 5, size=(3000, 2)), rng.integers(0, 5, size=(3000, 2))
    first, second = _changes(values, old.clip(0), np.full_like(old, -1), 5), _changes(values, new, old.clip(0), 5)
    for s in range(2):
        for k in range(5):
            rows = values[new[:, s] == k].astype(np.float64)
            assert np.allclose(first[0][s, k] + second[0][s, k], rows.sum(axis=0), atol=1e-9)
            assert first[1][s, k] + second[1][s, k] == len(rows)
    added, joined = _changes(values, new, new, 5)
    assert not added.any()
    assert not joined.any()


def test_an_empty_cluster_moves_to_the_row_farthest_from_its_centre():
    values = np.array([[0, 0], [1, 0], [0, 1], [9, 9]], np.float32)
    labels, centres = np.zeros((4, 1), np.int64), np.array([[[0, 0], [50, 50]]], np.float32)
    sums, counts = _changes(values, labels, np.full_like(labels, -1), 2)
    assert _means(values, centres, sums, counts, labels)[0, 1].tolist() == [9, 9]
    labels, low = _lloyd(values - values.mean(axis=0), centres, 1e-4, map)
    assert labels[:, 0].tolist() == [0, 0, 0, 1]
    assert low[0] == pytest.approx(4 / 3, rel=1e-5)


def test_plus_plus_takes_no_point_twice():
    values = np.repeat(10 * np.eye(6, dtype=np.float32), 50, axis=0)
    for seed in range(20):
        assert len(np.unique(_plus_plus(values, 6, (seed, 0)), axis=0)) == 6


def test_principal_directions_keep_the_distances_of_flat_data():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(300, 5)) @ rng.normal(size=(5, 80))).astype(np.float32)
    values -= values.mean(axis=0)
    seen = _principal(values, 5, 0)
    assert seen.shape == (300, 5)
    far, kept = (np.linalg.norm(x[:1] - x, axis=1) for x in (values, seen))
    assert np.allclose(far, kept, rtol=1e-4)
