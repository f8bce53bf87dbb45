"""Agreement of clips, methods and raters: published examples and independent implementations."""

import numpy as np
import pytest
from scipy import stats

from voxplain.benchmark.agreement import against_random, krippendorff_alpha, rank_agreement, reliability
from voxplain.errors import DataError
from voxplain.statistics import benjamini_hochberg, holm, sign_flip_test

NAN = np.nan
# Krippendorff 2011, Computing Krippendorff's Alpha-Reliability: four observers, twelve units, some ratings missing.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_published_example(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(alpha, abs=5e-4)


def test_krippendorffs_two_observers_and_two_values():
    # The same paper's first example: 10 units, 0 and 1, no ratings missing; alpha 0.095.
    ratings = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]])
    assert krippendorff_alpha(ratings, "nominal") == pytest.approx(0.095, abs=5e-4)


def test_krippendorff_ends():
    rng = np.random.default_rng(0)
    same = np.tile(rng.permutation(6), (5, 1))
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(same, level) == 1
        noise = np.array([rng.permutation(6) for _ in range(400)])
        assert krippendorff_alpha(noise, level) == pytest.approx(0, abs=0.01)
    assert krippendorff_alpha(np.array([[1, 2], [2, 1]]), "interval") == pytest.approx(-0.5)
    assert np.isnan(krippendorff_alpha(np.ones((3, 4))))
    assert np.isnan(krippendorff_alpha(np.array([[1, NAN], [NAN, 2]])))
    with pytest.raises(DataError, match="nominal, ordinal"):
        krippendorff_alpha(same, "ratio")


def test_rankings_of_clips_and_methods():
    scores = np.random.default_rng(1).integers(0, 5, (7, 6)).astype(float)
    for how, test in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        table, across = rank_agreement(scores, how), rank_agreement(scores.T, how)
        assert (table.shape, across.shape) == ((7, 7), (6, 6))
        assert table[2, 5] == pytest.approx(test(scores[2], scores[5]).statistic)
        assert across[1, 3] == pytest.approx(test(scores[:, 1], scores[:, 3]).statistic)
        assert np.allclose(np.diag(table), 1)
    assert rank_agreement(np.array([[1.0, 1, 1], [1, 2, 3]]))[0, 1] == 0
    assert rank_agreement(np.array([[1.0, 1, 1], [1, 2, 3]]), "kendall")[0, 1] == 0


def test_reliability_by_its_formula():
    rng = np.random.default_rng(2)
    scores, random = rng.normal(0.3, 1, (9, 4)), rng.normal(size=9)
    top = bottom = 0.0
    for i in range(9):
        for j in range(i + 1, 9):
            w = np.mean(scores[i] > random[i]) * np.mean(scores[j] > random[j])
            rho = stats.spearmanr([*scores[i], random[i]], [*scores[j], random[j]]).statistic
            top, bottom = top + w * (rho + 1), bottom + w
    assert reliability(scores, random).value == pytest.approx(top / bottom - 1)


def test_reliability_of_clips_that_agree_and_of_noise():
    rng = np.random.default_rng(3)
    order = np.array([0.1, 0.2, 0.3, 0.4]) + rng.normal(scale=0.01, size=(20, 1))
    assert reliability(order, np.zeros(20) - 1).value == pytest.approx(1)
    assert np.isnan(reliability(order, np.ones(20)).value)  # random beats every method: no clip has a weight
    for methods in (2, 5):
        noise = [reliability(a[:, 1:], a[:, 0]) for a in rng.normal(size=(20, 300, 1 + methods))]
        values = [m.value for m in noise]
        assert np.mean(values) == pytest.approx(noise[0].chance, abs=5 * np.std(values) / np.sqrt(20))
        assert np.mean(values) > 5 * np.std(values) / np.sqrt(20)
    # Clips on which random wins say nothing: they weigh 0.
    mixed = np.concatenate([order, rng.normal(size=(10, 4))])
    assert reliability(mixed, np.r_[np.full(20, -1.0), np.full(10, 99.0)]).value == pytest.approx(1)


def test_against_random():
    rng = np.random.default_rng(4)
    random = rng.normal(size=12)
    scores = np.column_stack([random + rng.uniform(0.5, 1, 12), random, random + rng.normal(size=12)])
    rows = against_random(scores, random, ("good", "same", "noise"))
    assert [r.method for r in rows] == ["good", "same", "noise"]
    assert rows[0].p_value == 2 / 2**12
    assert rows[0].corrected == pytest.approx(3 * 2 / 2**12)
    assert 0.5 < rows[0].low < rows[0].difference < rows[0].high < 1
    assert (rows[0].wins, rows[1].wins, rows[1].p_value, rows[1].corrected) == (1, 0.5, 1, 1)
    p = sign_flip_test(scores[:, 2] - random, np.random.default_rng(0))
    assert rows[2].p_value == p
    found = against_random(scores, random, ("a", "b", "c"), correction="bh")
    assert [r.corrected for r in found] == pytest.approx(benjamini_hochberg([r.p_value for r in rows]))


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, NAN])[:2] == pytest.approx([1, 1])
    assert np.isnan(holm([0.5, NAN])[1])
    assert holm(np.full((2, 2), 0.01)).shape == (2, 2)
    rng = np.random.default_rng(5)
    false = np.mean([(holm(rng.uniform(size=10)) <= 0.1).any() for _ in range(2000)])
    assert 0.07 < false < 0.12  # one false claim in a family, as often as the level says


def test_wrong_tables_are_refused():
    good = np.ones((3, 2))
    with pytest.raises(DataError, match="without NaN"):
        rank_agreement(good * NAN)
    with pytest.raises(DataError, match="random map"):
        reliability(good, np.ones(2))
    with pytest.raises(DataError, match="name for each of 2"):
        against_random(good, np.ones(3), ("a",))
    with pytest.raises(DataError, match="spearman or kendall"):
        rank_agreement(good, "pearson")
