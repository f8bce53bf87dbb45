"""CAVs against scikit-learn's solutions, closed forms and planted directions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.svm import SVC, LinearSVC

from voxplain.concepts import cav as cav_module
from voxplain.concepts.cav import CAVs, _split, cav_alignment, cav_similarity, fit_cavs, relative_cavs
from voxplain.concepts.classifiers import CLASSIFIERS, Hinge, Logistic, MeanDifference, Ridge
from voxplain.errors import DataError

CPU = torch.device("cpu")


def planted(width: int, rows: int = 40, concepts: int = 3, sets: int = 4, scale: float = 1.0, shift: float = 0.3):
    """Concepts that differ from the random sets by a direction of their own, far from the origin."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(concepts, 1, width))
    own = scale * (rng.normal(size=(concepts, rows, width)) + shift * ways + 5)
    other = scale * (rng.normal(size=(sets, rows, width)) + 5)
    own, other = (torch.from_numpy(x.astype(np.float32)) for x in (own, other))
    return list(own), other, ways[:, 0]


def training_rows(concept, negatives, key, holdout=0.33):
    """The rows that `fit_cavs` trains on and holds out, and their sides, from the split alone."""
    split = _split(len(concept), len(negatives), holdout, True, [key], CPU)
    rows = torch.cat([concept, negatives])[split.rows[0]].double().numpy()
    m = len(split.train)
    return rows[:m], split.train.numpy(), rows[m:], split.test.numpy()


def optimum(name: str, rows: np.ndarray, sides: np.ndarray):
    """The same objective's optimum by scikit-learn: weights and intercept."""
    model = {
        "ridge": SklearnRidge(alpha=1.0),
        "logistic": LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-9, max_iter=500),
        "hinge": SVC(kernel="linear", C=1 / (0.01 * len(rows)), tol=1e-8),
    }[name]
    # The rows' own coordinates in their span give the same problem in fewer dimensions.
    left, size, basis = np.linalg.svd(rows, full_matrices=False)
    model.fit(left * size, sides)
    return model.coef_.ravel() @ basis, np.ravel(model.intercept_)[0]


@pytest.mark.parametrize("width", [128, 512])
@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("name", ["ridge", "logistic", "hinge"])
def test_matches_scikit_learn(name, scale, width):
    concepts, negatives, _ = planted(width, scale=scale)
    found = fit_cavs(concepts, negatives, classifier=CLASSIFIERS[name], layer="pool")
    for k in range(3):
        for r in range(4):
            rows, sides, held, truth = training_rows(concepts[k], negatives[r], (0, k, r))
            weights, intercept = optimum(name, rows, sides)
            cosine = found.vectors[k, r] @ weights / np.linalg.norm(weights)
            assert cosine > 0.9999
            expected = np.mean(np.sign(held @ weights + intercept) == truth)
            assert found.accuracy[k, r] == pytest.approx(expected, abs=1e-6)


def test_hinge_is_close_to_linear_svc_in_many_dimensions():
    concepts, negatives, _ = planted(512)
    found = fit_cavs(concepts, negatives, classifier=Hinge(), layer="pool")
    rows, sides, _, _ = training_rows(concepts[1], negatives[2], (0, 1, 2))
    middle = rows.mean(axis=0)  # LinearSVC penalises the intercept: centre the rows first
    model = LinearSVC(loss="hinge", C=1 / (0.01 * len(rows)), tol=1e-8, max_iter=200_000, random_state=0)
    weights = model.fit(rows - middle, sides).coef_.ravel()
    assert found.vectors[1, 2] @ weights / np.linalg.norm(weights) > 0.99


def test_mean_difference_is_the_difference_of_means():
    concepts, negatives, _ = planted(64)
    found = fit_cavs(concepts, negatives, classifier=MeanDifference(), layer="pool")
    rows, sides, held, truth = training_rows(concepts[2], negatives[3], (0, 2, 3))
    up, down = rows[sides > 0].mean(axis=0), rows[sides < 0].mean(axis=0)
    expected = (up - down) / np.linalg.norm(up - down)
    assert np.allclose(found.vectors[2, 3], expected, atol=1e-6)
    nearer = np.linalg.norm(held - up, axis=1) < np.linalg.norm(held - down, axis=1)
    assert found.accuracy[2, 3] == pytest.approx(np.mean(nearer == (truth > 0)), abs=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("scaled", [False, True])
def test_points_towards_the_concept_and_has_unit_length(name, scaled):
    concepts, negatives, ways = planted(32, rows=60, shift=1.0)
    found = fit_cavs(concepts, negatives, classifier=CLASSIFIERS[name], layer="pool", scaled=scaled)
    assert found.vectors.shape == (3, 4, 32)
    assert found.vectors.dtype == found.accuracy.dtype == np.float32
    assert np.allclose(np.linalg.norm(found.vectors, axis=-1), 1, atol=1e-5)
    unit = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    assert (np.einsum("krd,kd->kr", found.vectors, unit) > 0.5).all()
    assert found.accuracy.min() > 0.85


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_accuracy_is_chance_without_a_concept(name):
    rng = torch.Generator().manual_seed(0)
    concepts = [torch.randn(40, 64, generator=rng) for _ in range(6)]
    negatives = torch.randn(40, 40, 64, generator=rng)
    found = fit_cavs(concepts, negatives, classifier=CLASSIFIERS[name], layer="pool")
    # 240 pairs × 26 held-out rows; pairs share rows, so allow far more than the binomial 0.006.
    assert abs(found.accuracy.mean() - 0.5) < 0.05


@pytest.mark.parametrize("classifier", [Ridge(alpha=3.0), Logistic(c=0.3), Hinge(alpha=0.05)])
def test_unbalanced_sides_and_options_reach_the_solver(classifier):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(37, 6)) + 2
    sides = np.where(np.arange(37) < 9, 1.0, -1.0)
    rows[:9] += 0.5
    a, b = classifier(torch.from_numpy(rows @ rows.T)[None], torch.from_numpy(sides))
    reference = {
        Ridge: SklearnRidge(alpha=3.0),
        Logistic: LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-10),
        Hinge: SVC(kernel="linear", C=1 / (0.05 * 37), tol=1e-9),
    }[type(classifier)].fit(rows, sides)
    assert np.allclose(rows.T @ a[0].numpy(), reference.coef_.ravel(), atol=1e-4)
    assert b.item() == pytest.approx(np.ravel(reference.intercept_)[0], abs=1e-3)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("width", [2, 100])
def test_hinge_closes_the_duality_gap_at_any_scale(scale, width):
    rng = np.random.default_rng(2)
    rows = scale * rng.normal(size=(40, width))
    sides = np.repeat([1.0, -1.0], 20)
    rows[0] = rows[39]  # the same point on both sides
    a, b = Hinge()(torch.from_numpy(rows @ rows.T)[None], torch.from_numpy(sides))
    weights = rows.T @ a[0].numpy()
    primal = 0.005 * weights @ weights + np.maximum(0, 1 - sides * (rows @ weights + b.item())).mean()
    dual = 0.01 * ((a[0].numpy() * sides).sum() - weights @ weights / 2)
    assert 0 <= primal - dual + 1e-9 < 1e-6 * primal + 2e-9


def test_vectors_do_not_change_when_scaled_features_grow():
    concepts, negatives, _ = planted(32)
    for classifier in CLASSIFIERS.values():
        small, large = (
            fit_cavs([c * s for c in concepts], negatives * s, classifier=classifier, layer="x", scaled=True)
            for s in (1.0, 64.0)
        )
        assert np.allclose(small.vectors, large.vectors, atol=1e-4)
    plain = [fit_cavs([c * s for c in concepts], negatives * s, layer="x") for s in (0.01, 1.0)]
    assert not np.allclose(plain[0].vectors, plain[1].vectors, atol=1e-2)


def test_blocks_and_seeds(monkeypatch):
    concepts, negatives, _ = planted(16, concepts=2, sets=7)
    whole = fit_cavs(concepts, negatives, layer="x", seed=3)
    again = fit_cavs(concepts, negatives, layer="x", seed=3)
    assert whole.vectors.tobytes() == again.vectors.tobytes()
    other = fit_cavs(concepts, negatives, layer="x", seed=4)
    assert not np.allclose(whole.vectors, other.vectors, atol=1e-3)
    monkeypatch.setattr(cav_module, "_BUDGET", 80 * 80 * 2)
    parts = fit_cavs(concepts, negatives, layer="x", seed=3)
    assert np.allclose(whole.vectors, parts.vectors, atol=1e-6)
    assert np.array_equal(whole.accuracy, parts.accuracy)


def test_concepts_of_different_sizes_are_balanced():
    concepts, negatives, _ = planted(16)
    uneven = [concepts[0][:10], torch.cat([concepts[1], concepts[2]])]
    found = fit_cavs(uneven, negatives, layer="x")
    rows, sides, _, _ = training_rows(uneven[0], negatives[1], (0, 0, 1))
    assert (sides > 0).sum() == (sides < 0).sum() == 7
    weights, _ = optimum("ridge", rows, sides)
    assert found.vectors[0, 1] @ weights / np.linalg.norm(weights) > 0.9999
    split = _split(80, 40, 0.33, True, [(0, 1, 1)], CPU)
    assert len(split.train) == 54
    assert len(set(split.rows[0].tolist())) == 80
    assert split.rows[0][:27].max() >= 40  # a shuffle, not the first 40
    loose = _split(80, 40, 0.33, False, [(0, 1, 1)], CPU)
    assert (loose.train > 0).sum() == 54
    assert (loose.train < 0).sum() == 27
    assert sorted(loose.rows[0].tolist()) == list(range(120))
    assert np.isfinite(fit_cavs(uneven, negatives, layer="x", balance=False).vectors).all()


def test_two_rows_a_side_are_enough():
    concepts, negatives, _ = planted(16)
    assert fit_cavs([concepts[0][:2]], negatives[:, :2], layer="x").vectors.shape == (1, 4, 16)


def test_alignment_and_similarity():
    vectors = np.zeros((3, 2, 4), np.float32)
    vectors[0, :, 0] = vectors[1, :, 0] = 1  # equal
    vectors[2, 0, 1] = 1  # orthogonal in set 0
    vectors[2, 1, 0] = -1  # opposite in set 1
    cavs = CAVs(vectors, np.ones((3, 2), np.float32), "x")
    assert np.allclose(cav_similarity(cavs), [[1, 1, -0.5], [1, 1, -0.5], [-0.5, -0.5, 1]])
    assert cav_alignment(cavs) == pytest.approx(0.0)
    assert np.isnan(cav_alignment(CAVs(vectors[:1], np.ones((1, 2), np.float32), "x")))


def test_alignment_sees_what_all_concepts_share():
    concepts, negatives, _ = planted(64)
    own = cav_alignment(fit_cavs(concepts, negatives, classifier=MeanDifference(), layer="x"))
    grey = 2 * torch.ones(64)
    shared = fit_cavs([c + grey for c in concepts], negatives, classifier=MeanDifference(), layer="x")
    assert cav_alignment(shared) > 0.8 > 0.5 > own


def test_relative_cavs_ignore_what_all_concepts_share():
    concepts, _, ways = planted(32, rows=60, shift=1.0)
    grey = 50 * torch.ones(32)
    found = relative_cavs([c + grey for c in concepts], repeats=5, layer="x")
    assert found.vectors.shape == (3, 5, 32)
    assert found.accuracy.min() > 0.9
    for k in range(3):
        rest = ways[[i for i in range(3) if i != k]].mean(axis=0)
        way = (ways[k] - rest) / np.linalg.norm(ways[k] - rest)
        assert (found.vectors[k] @ way > 0.5).all()
    assert not np.allclose(found.vectors[0, 0], found.vectors[0, 1])
    with pytest.raises(DataError, match="at least 2"):
        relative_cavs(concepts[:1], layer="x")


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("value", [0.0, 0.3, 1e5])
def test_equal_features_have_no_direction_and_lose_no_other_concept(name, value):
    concepts, negatives, _ = planted(16)
    flat = torch.full((40, 16), value)
    sets = torch.stack([negatives[0], flat])
    for scaled in (False, True):
        found = fit_cavs([concepts[0], flat], sets, classifier=CLASSIFIERS[name], layer="relu", scaled=scaled)
        assert np.isnan(found.accuracy).tolist() == [[False, False], [False, True]]
        assert np.isnan(found.vectors[1, 1]).all()
        alone = fit_cavs([concepts[0]], sets, classifier=CLASSIFIERS[name], layer="relu", scaled=scaled)
        np.testing.assert_array_equal(found.vectors[0], alone.vectors[0])
        assert found.known.tolist() == [True, False]
        assert found.mean_accuracy == alone.accuracy.mean()
    assert found.without_direction(["a", "b"]).startswith("no CAV, and no TCAV score, of b: at layer 'relu'")
    assert "1 without a direction" in repr(found)
    assert np.isnan(cav_alignment(found))  # one concept is left


def test_no_concept_with_a_direction():
    flat = torch.ones(40, 16)
    found = fit_cavs([flat, flat], flat[None], layer="relu")
    assert not found.known.any()
    assert np.isnan(found.vectors).all()
    assert np.isnan([found.mean_accuracy, cav_alignment(found)]).all()
    assert found.without_direction(["a", "b"]).startswith("no CAV, and no TCAV score, of a, b:")


def test_what_has_no_direction_does_not_change_the_alignment():
    concepts, negatives, _ = planted(16)
    flat = torch.ones(40, 16)
    sets = torch.cat([negatives, flat[None]])
    with_flat = fit_cavs([*concepts, flat], sets, layer="x")
    assert cav_alignment(with_flat) == pytest.approx(cav_alignment(fit_cavs(concepts, sets, layer="x")))


@pytest.mark.parametrize(("classifier", "field"), [(Ridge, "alpha"), (Logistic, "c"), (Hinge, "alpha")])
def test_penalties_must_be_positive(classifier, field):
    for value in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match=f"{field}={value}"):
            classifier(**{field: value})


def test_bad_input_is_refused():
    concepts, negatives, _ = planted(16)
    for own, others, options, message in [
        ([], negatives, {}, "each concept needs"),
        ([concepts[0][:1]], negatives, {}, "n ≥ 2"),
        ([concepts[0][:, :5]], negatives, {}, r"\[n,16\]"),
        (concepts, negatives[0], {}, r"\[R,n,D\]"),
        (concepts, negatives, {"holdout": 1.0}, "held-out share"),
        ([concepts[0] * float("nan")], negatives, {}, "concept 0 should have finite"),
        (concepts, negatives / 0, {}, "random sets should have finite"),
    ]:
        with pytest.raises(DataError, match=message):
            fit_cavs(own, others, layer="x", **options)


def test_record_checks_itself_and_prints_shapes():
    vectors, accuracy = np.ones((2, 3, 4), np.float32) / 2, np.full((2, 3), 0.75, np.float32)
    assert repr(CAVs(vectors, accuracy, "pool")) == (
        "CAVs(2 concepts × 3 random sets × 4 features of 'pool', accuracy 0.75)"
    )
    with pytest.raises(DataError, match=r"\[K,R,D\]"):
        CAVs(vectors, accuracy[:1], "pool")
    with pytest.raises(DataError, match="length 1"):
        CAVs(vectors * 2, accuracy, "pool")
    for lengths, shares in ((vectors * np.nan, accuracy), (vectors, accuracy * np.nan)):
        with pytest.raises(DataError, match="NaN where the accuracy is NaN"):
            CAVs(lengths, shares, "pool")
    assert CAVs(vectors, accuracy, "pool").without_direction(["a", "b"]) == ""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    concepts, negatives, _ = planted(128)
    for classifier in CLASSIFIERS.values():
        here, there = (
            fit_cavs(concepts, negatives, classifier=classifier, layer="x", device=device) for device in ("cpu", "cuda")
        )
        assert np.allclose(here.vectors, there.vectors, atol=1e-4)
