"""Consensus clusters: planted groups, stability that separates clear from overlapping ones, and what a bank reaches."""

import numpy as np
import pytest

from voxplain.concepts import consensus
from voxplain.concepts.cluster import Clustering, KMeans
from voxplain.concepts.consensus import Consensus, _mean_of_pairs, _together
from voxplain.concepts.discover import CLUSTERERS, discover, fit_concepts
from voxplain.errors import DataError


def groups(apart: float, *, count: int = 5, size: int = 24, seed: int = 0, spread: float = 1.0):
    """Rows about ``count`` ≤ 12 centres that are ``apart`` · √2 from each other, from clips of one row a group each."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(count), size)
    values = apart * np.eye(count, 12)[truth] + spread * rng.normal(size=(len(truth), 12))
    return values.astype(np.float32), truth, np.repeat(np.arange(size), count)


def same_groups(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = set(zip(a.tolist(), b.tolist(), strict=True))
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("count", [6, 7, 9, 12])
def test_planted_groups_and_their_number_are_found(count):
    values, truth, clips = groups(12.0, count=count)
    found = Consensus(draws=24)(values, clips=clips)
    assert same_groups(found.labels, truth)
    for k, centre in enumerate(found.centers):
        np.testing.assert_allclose(centre, values[found.labels == k].mean(0), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_clear_groups_do_not_depend_on_the_seed(seed):
    """As many groups as the smallest number of a draw: fewer would be cut at random in every draw."""
    values, _, clips = groups(12.0, count=6)
    first, other = (Consensus(draws=24)(values, clips=clips, seed=s) for s in (17, seed))
    assert same_groups(first.labels, other.labels)


def test_stability_is_one_for_a_clear_group_and_less_for_groups_that_overlap():
    clear, truth, clips = groups(30.0, count=4)
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(96, 12)).astype(np.float32) * 4 - 40  # one wide cloud, which k-means cuts anywhere
    values = np.concatenate([clear, cloud])
    found = Consensus(base=(8,), max_clusters=8, draws=24)(values, clips=np.append(clips, np.arange(96) % 24))
    own = [found.labels[:96][truth == k] for k in range(4)]
    assert all(len(set(labels)) == 1 for labels in own)
    of_cloud = set(found.labels[96:].tolist())
    assert min(found.stability[labels[0]] for labels in own) > 0.9
    assert max(found.stability[k] for k in of_cloud) < 0.8
    exact = Consensus(base=(4,), draws=8)(clear, clips=clips)
    assert exact.stability.tolist() == [1.0] * 4


def test_stability_is_the_mean_share_of_draws_in_which_pairs_are_together():
    drawn = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 0]])  # rows by draws
    together = _together(drawn)
    np.testing.assert_allclose(together, [[1, 2 / 3, 2 / 3], [2 / 3, 1, 1 / 3], [2 / 3, 1 / 3, 1]], atol=1e-6)
    assert _mean_of_pairs(together, np.arange(3)) == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert _mean_of_pairs(together, np.array([1])) == 1.0


def test_more_rows_than_are_compared_get_the_nearest_centre(monkeypatch):
    values, truth, clips = groups(12.0, count=6)
    monkeypatch.setattr(consensus, "ROWS", 60)
    found = Consensus(draws=24)(values, clips=clips)
    assert len(found.labels) == len(values)
    assert same_groups(found.labels, truth)
    far = np.linalg.norm(values[:, None] - found.centers, axis=2)
    assert (far.argmin(1) == found.labels).all()


def test_bounds_of_the_number_hold():
    values, _, clips = groups(12.0, count=7)
    for least, most in ((2, 3), (2, 5), (7, 7), (5, 12)):
        found = Consensus(min_clusters=least, max_clusters=most, draws=8)(values, clips=clips)
        assert least <= len(found.centers) <= most
    few = Consensus(min_clusters=10, draws=8)(values, clips=clips)
    assert len(few.centers) == 7  # rows a clip, below the lower bound
    for wrong in ({"min_clusters": 1}, {"min_clusters": 5, "max_clusters": 4}, {"draws": 0}, {"base": ()}):
        with pytest.raises(DataError, match=r"expected 2 ≤ min_clusters ≤ max_clusters, 1 draw or more .*; correct"):
            Consensus(**wrong)


# --- what a bank reaches ---


@pytest.mark.parametrize("name", CLUSTERERS)
def test_every_clusterer_returns_a_clustering(name):
    values, _, clips = groups(12.0)
    found = CLUSTERERS[name](values, clips=clips)
    assert isinstance(found, Clustering)
    assert (found.stability is None) == (name != "consensus")
    if found.stability is not None:
        assert found.stability.shape == (len(found.centers),)
        assert found.stability.dtype == np.float32


def test_a_row_further_than_a_multiple_of_the_median_distance_is_of_no_concept():
    values = np.array([[0, 0], [1, 0], [-1, 0], [0, 2], [0, -2], [40, 0], [41, 0], [39, 0]], np.float32)
    bank = fit_concepts(values, clusterer=KMeans(clusters=2), reach=2.0)
    one, other = (int(bank.encode([[x, 0.0]])[0]) for x in (0.0, 40.0))
    assert bank.reach[[one, other]].tolist() == [2.0, 2.0]  # medians of 0 1 1 2 2 and 0 1 1, twice
    rows = [[2.0, 0.0], [2.1, 0.0], [0.0, -1.9], [42.0, 0.0], [38.0, 0.0], [42.1, 0.0], [20.0, 0.0]]
    assert bank.encode(rows).tolist() == [one, -1, one, other, other, -1, -1]
    everywhere = fit_concepts(values, clusterer=KMeans(clusters=2))
    assert np.isinf(everywhere.reach).all()
    assert set(everywhere.encode(rows)) == {0, 1}


def test_equal_rows_reach_themselves():
    bank = fit_concepts(np.repeat(np.eye(2, 3), 6, axis=0), clusterer=KMeans(clusters=2), reach=2.0)
    assert (bank.reach > 0).all()
    assert set(bank.encode(np.eye(2, 3))) == {0, 1}
    assert bank.encode([[0.5, 0.5, 0.0]]).tolist() == [-1]


def test_a_bank_keeps_the_stability_of_the_concepts_that_qualify():
    labels = np.array([0] * 6 + [1] * 2 + [2] * 7)  # the second is too small for a concept
    centers, stability = np.arange(3, dtype=np.float32)[:, None], np.array([0.9, 0.5, 0.7], np.float32)

    def fixed(values, *, clips, seed=0):
        return Clustering(labels, centers, stability)

    values = labels[:, None].astype(np.float32)
    bank = discover(values, np.arange(15), clusterer=fixed, cluster_filter=lambda size, clips, searched: size > 5)
    assert bank.centers.tolist() == [[0.0], [2.0]]
    assert bank.stability.tolist() == stability[[0, 2]].tolist()
    assert np.isnan(fit_concepts(values, clusterer=KMeans(clusters=3)).stability).all()
