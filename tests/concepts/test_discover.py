"""Discovery on planted blobs, on degenerate tables, and the cluster_filter rules at their borders."""

import warnings

import numpy as np
import pytest
import torch

from voxplain.concepts.cluster_filter import CLUSTER_FILTERS, ClusterFilter
from voxplain.concepts.discover import CLUSTERERS, ConceptBank, KMeans, Spectral, discover, fit_concepts
from voxplain.concepts.features import Features
from voxplain.errors import DataError

NONE = CLUSTER_FILTERS["none"]


def blobs(count: int = 4, size: int = 30, width: int = 12, seed: int = 0):
    """Well separated non-negative blobs, in directions of their own so that NMF can tell them apart."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(count), size)
    centres = 10 * np.eye(count, width)
    order = rng.permutation(len(truth))
    values = np.abs(centres[truth] + 0.3 * rng.normal(size=(len(truth), width))).astype(np.float32)
    return values[order], truth[order], rng.integers(0, 15, len(truth))


@pytest.mark.parametrize("name", CLUSTERERS)
def test_every_clusterer_finds_planted_blobs(name):
    values, truth, clips = blobs()
    clusterer = CLUSTERERS[name]
    if hasattr(clusterer, "clusters"):
        clusterer = type(clusterer)(clusters=4)
    labels, centers, stability = clusterer(values, clips=clips)
    assert stability is None or ((stability >= 0) & (stability <= 1)).all()
    assert labels.dtype == np.int64
    assert centers.dtype == np.float32
    assert set(labels[labels >= 0]) == set(range(len(centers)))
    for k in range(len(centers)):  # no cluster mixes blobs
        assert len(set(truth[labels == k])) == 1
    assert {truth[labels == k][0] for k in range(len(centers))} == {0, 1, 2, 3}
    assert (labels >= 0).mean() > 0.8
    for k, centre in enumerate(centers):  # a centre lies in its blob; blobs are 14 apart
        assert np.linalg.norm(centre - 10 * np.eye(4, 12)[truth[labels == k][0]]) < 2.5


@pytest.mark.parametrize("name", CLUSTERERS)
@pytest.mark.parametrize(
    "table",
    [
        np.ones((1, 5)),
        np.ones((30, 5)),
        np.zeros((30, 5)),
        np.arange(10).reshape(2, 5),
        np.arange(15).reshape(3, 5) % 7,
        np.repeat(np.eye(3, 5), 12, axis=0),
        np.random.default_rng(1).normal(size=(9, 40)),
        np.random.default_rng(2).normal(size=(30, 1)),
    ],
    ids=["one", "constant", "zero", "two", "three", "three distinct", "wide", "narrow"],
)
def test_degenerate_tables_give_clusters_or_a_clear_error(name, table):
    values = table.astype(np.float32)
    try:
        bank = discover(values, np.arange(len(values)), clusterer=CLUSTERERS[name], cluster_filter=NONE)
    except DataError:
        if name not in ("dbscan", "affinity_propagation"):  # the two that may find nothing
            raise
        return
    assert 1 <= len(bank) <= len(values)
    assert bank.sizes.sum() <= len(values)


@pytest.mark.parametrize("name", CLUSTERERS)
def test_same_seed_same_bytes(name):
    values = np.random.default_rng(3).normal(size=(120, 16)).astype(np.float32)
    clips = np.arange(120) % 10
    first, second = (CLUSTERERS[name](values, clips=clips, seed=7) for _ in range(2))
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()


def test_seed_reaches_the_clusterer():
    values = np.random.default_rng(3).normal(size=(120, 16)).astype(np.float32)
    runs = {KMeans(inits=1)(values, clips=np.zeros(120, int), seed=s)[0].tobytes() for s in range(4)}
    assert len(runs) > 1


def test_members_are_the_nearest_to_the_centre_of_the_full_cluster():
    values, _, clips = blobs()
    bank = discover(values, clips, clusterer=KMeans(clusters=4), keep=7, cluster_filter=NONE)
    labels = KMeans(clusters=4)(values, clips=clips).labels
    for k in range(4):
        rows = np.flatnonzero(labels == k)
        centre = values[rows].astype(float).mean(axis=0)
        assert np.allclose(bank.centers[k], centre, atol=1e-5)
        assert not np.allclose(bank.centers[k], values[bank.members[k]].mean(axis=0), atol=1e-3)
        far = np.linalg.norm(values[rows] - centre, axis=1)
        assert bank.members[k].tolist() == rows[np.argsort(far)][:7].tolist()
        assert np.allclose(bank.distance[k], np.sort(far)[:7], atol=1e-4)
        assert bank.sizes[k] == len(rows)
        assert bank.clip_count[k] == len(set(clips[rows]))
    assert "KMeans(clusters=4" in bank.method
    assert "0." not in repr(bank).split("KMeans")[0]


def test_medoid_is_a_row_with_the_least_sum_of_distances():
    values = np.array([[0], [1], [2], [10], [50], [51], [52]], np.float32)
    labels, centers, _ = CLUSTERERS["agglomerative"].__class__(clusters=2)(values, clips=np.zeros(7, int))
    # Mean of the first cluster is 3.25; its medoid 1 or 2, both with distances summing to 11.
    assert {float(c[0]) for c in centers} in ({1.0, 51.0}, {2.0, 51.0})
    assert len(set(labels)) == 2


def test_spectral_follows_the_ring_that_kmeans_cuts():
    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    values = np.concatenate([ring, 5 * ring]).astype(np.float32)
    truth = np.repeat([0, 1], 80)
    labels = Spectral(clusters=2, neighbours=4)(values, clips=truth).labels
    assert len(set(labels[:80])) == len(set(labels[80:])) == 1
    assert labels[0] != labels[80]


def test_refused_clusters_are_skipped_and_the_rest_keep_label_order():
    values = np.concatenate([np.zeros((20, 2)), np.full((3, 2), 5), np.full((20, 2), 9)]).astype(np.float32)
    values += np.random.default_rng(0).normal(size=values.shape).astype(np.float32) * 0.1
    clips = np.arange(43) % 20
    full = discover(values, clips, clusterer=KMeans(clusters=3), cluster_filter=NONE)
    some = discover(values, clips, clusterer=KMeans(clusters=3))
    assert sorted(full.sizes) == [3, 20, 20]
    assert some.centers.tolist() == full.centers[full.sizes == 20].tolist()


def test_all_refused_says_what_to_do():
    values, _, _ = blobs()
    with pytest.raises(DataError, match="relax ClusterFilter"):
        discover(values, np.zeros(len(values), int), clusterer=KMeans(clusters=4))


@pytest.mark.parametrize(
    ("rule", "size", "clips", "searched", "accepted"),
    [
        ("video", 10, 10, 10, False),  # strictly more than ten
        ("video", 11, 5, 200, True),  # 5 > 0.4·11 = 4.4
        ("video", 11, 4, 200, False),
        ("video", 50, 20, 200, False),  # 20 = 0.4·50 and 20 = 0.1·200: both strict
        ("video", 50, 21, 200, True),
        ("video", 200, 21, 200, True),  # second clause
        ("video", 220, 22, 200, False),  # 22 = 0.1·220
        ("video", 270, 22, 60, True),  # third: 22 > 21 and 22 > 21.6
        ("video", 270, 21, 60, False),
        ("image", 50, 21, 200, False),
        ("image", 50, 26, 200, True),
        ("image", 120, 51, 200, True),
        ("image", 120, 50, 200, False),
        ("image", 200, 26, 50, True),  # third: 26 > 25 and 26 > 20
        ("image", 200, 25, 50, False),
        ("none", 1, 1, 1000, True),
    ],
)
def test_acceptance_borders(rule, size, clips, searched, accepted):
    assert CLUSTER_FILTERS[rule](size, clips, searched) is accepted


def test_shares_are_compared_without_rounding_surprises():
    # In floating point 0.1·3 > 0.3 and 0.07·100 > 7: an exact tie must stay a tie, in either direction.
    rule = ClusterFilter(clauses=((0.0, 0.07),), min_members=0)
    assert not rule(100, 7, 10)
    assert not ClusterFilter(clauses=((0.29, 0.0),), min_members=0)(1, 29, 100)  # 0.29·100 = 28.999…


def test_searched_clips_count_in_acceptance():
    values = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    clips = np.arange(30) % 4  # 4 clips, one cluster of 30: 4 > 0.1·30, 4 > 0.1·D only for D < 40
    assert len(discover(values, clips, clusterer=KMeans(clusters=1), searched=39)) == 1
    with pytest.raises(DataError):
        discover(values, clips, clusterer=KMeans(clusters=1), searched=41)


@pytest.mark.parametrize(
    ("values", "clips", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "N, D ≥ 1"),
        (np.zeros((4, 3)), np.zeros(3, int), "one clip a row"),
        (np.zeros(4), np.zeros(4, int), r"\[N,D\]"),
        (np.array([[1.0], [np.nan]]), np.zeros(2, int), "1 rows with NaN or infinity, first row 1"),
    ],
)
def test_bad_tables_are_refused(values, clips, message):
    with pytest.raises(DataError, match=message):
        discover(values, clips, cluster_filter=NONE)


def test_bank_checks_its_fields():
    one = np.array([1])
    with pytest.raises(DataError, match="lengths"):
        ConceptBank(np.zeros((2, 3), np.float32), (one,), (one,), one, one, "x", one, one)
    with pytest.raises(DataError, match="as many distances"):
        ConceptBank(np.zeros((1, 3), np.float32), (np.arange(2),), (np.zeros(1),), one, one, "x", one, one)


def test_no_warning_escapes_with_fewer_distinct_rows_than_clusters():
    values = np.repeat(np.random.default_rng(0).random((5, 8)), 10, axis=0).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bank = discover(values, np.arange(50), cluster_filter=NONE)
    assert len(bank) == 5
    assert set(bank.sizes) == {10}


# --- discovery alone ---


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy, lambda v: v.tolist()])
def test_fit_concepts_is_discover_on_a_table_of_ones_own(form):
    values, _, clips = blobs()
    bank = fit_concepts(form(values), clips=clips, clusterer=KMeans(clusters=4), keep=7, seed=3)
    truth = discover(values, clips, clusterer=KMeans(clusters=4), keep=7, cluster_filter=NONE, seed=3)
    assert np.array_equal(bank.centers, truth.centers)
    assert all(map(np.array_equal, bank.members, truth.members))
    assert bank.clip_count.tolist() == truth.clip_count.tolist()


def test_the_clips_of_a_table_are_its_origin_or_one_for_each_row():
    values, _, clips = blobs()
    table = Features(values, np.stack([clips, np.arange(len(clips))], axis=1))
    assert fit_concepts(table, clusterer=KMeans(clusters=4)).clip_count.max() <= len(set(clips))
    alone = fit_concepts(values, clusterer=KMeans(clusters=4))
    assert alone.clip_count.tolist() == alone.sizes.tolist() == [30] * 4
    with pytest.raises(DataError, match="should qualify as a concept"):
        fit_concepts(values[:8], clusterer=KMeans(clusters=4), cluster_filter="small")


def test_encode_finds_the_planted_blob_of_new_rows_and_decode_its_centre():
    values, truth, _ = blobs()
    bank = fit_concepts(values, clusterer=KMeans(clusters=4))
    new, kinds, _ = blobs(seed=5)
    codes = bank.encode(new)
    of_blob = {kind: bank.encode(values[truth == kind][:1])[0] for kind in range(4)}
    assert len(set(of_blob.values())) == 4
    assert codes.tolist() == [of_blob[kind] for kind in kinds]
    assert codes.dtype == np.int64
    assert np.array_equal(bank.decode(codes), bank.centers[codes])
    assert np.array_equal(bank.encode(bank.decode(np.arange(4))), np.arange(4))
    distance = np.linalg.norm(new[:, None].astype(np.float64) - bank.centers, axis=2)
    assert np.array_equal(codes, distance.argmin(1))


def test_what_fit_encode_and_decode_do_not_take():
    values, _, _ = blobs()
    bank = fit_concepts(values, clusterer=KMeans(clusters=4))
    for call, message in (
        (lambda: fit_concepts(values, clusterer="k-means"), "one of consensus, kmeans, .*got 'k-means'"),
        (lambda: fit_concepts(values, cluster_filter="strict"), "one of video, .*got 'strict'"),
        (lambda: fit_concepts(values[:0]), "N, D ≥ 1"),
        (lambda: bank.encode(values[:, :5]), r"features \[N,12\] of the bank's layer, got \(120, 5\)"),
        (lambda: bank.encode(np.full((2, 12), np.nan)), "finite features"),
        (lambda: bank.encode(values[0]), "N, D ≥ 1"),
        (lambda: bank.decode([4]), "0 to 3"),
        (lambda: bank.decode([-1]), "0 to 3"),
        (lambda: bank.decode([0.5]), "0 to 3, got float64"),
    ):
        with pytest.raises(DataError, match=message):
            call()
