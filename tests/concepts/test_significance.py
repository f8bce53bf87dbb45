"""Tests of the tests: closed forms against scipy, and rejection rates when nothing is there."""

import itertools

import numpy as np
import pytest
from scipy import stats

from voxplain.concepts.significance import effect_size, independent_t, interval, null_t_test, null_test, paired_t
from voxplain.errors import DataError
from voxplain.statistics import adjusted_tail, benjamini_hochberg, bootstrap_interval, sign_flip_test, sign_flips

SIDES = ["two-sided", "greater", "less"]


def within_binomial(rejected: int, trials: int, rate: float) -> bool:
    """Whether a count is what `rate` gives, at a one in a million risk of saying no wrongly."""
    low, high = stats.binom.interval(1 - 1e-6, trials, rate)
    return low <= rejected <= high


def chance_scores(rng, concepts: int, sets: int) -> np.ndarray:
    """Scores without any effect, as CAVs give them: a part of the concept, one of the random set, noise."""
    return (
        0.5
        + 0.1 * rng.normal(size=(concepts, 1))
        + 0.1 * rng.normal(size=(1, sets))
        + 0.05 * rng.normal(size=(concepts, sets))
    )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("test", [null_test, null_t_test])
def test_null_tests_reject_at_their_level_when_nothing_is_there(test, side):
    rng = np.random.default_rng(0)
    p = []
    for _ in range(2000):
        scores = chance_scores(rng, 20, 10)
        p.append(test(scores[:1], scores[1:]).p_value(side)[0])
    p = np.array(p)
    for level in (0.1, 0.2, 0.5):
        assert within_binomial((p <= level + 1e-12).sum(), len(p), level)
    if test is null_t_test:
        assert stats.kstest(p, "uniform").pvalue > 1e-4
    else:  # multiples of 1/20, or 1/10 two-sided: uniform on the grid
        assert set(np.round(p * 20)) == set(range(2, 21, 2) if side == "two-sided" else range(1, 21))


def test_paired_t_is_overconfident_as_its_docstring_says():
    rng = np.random.default_rng(1)
    p = np.array([paired_t(s[:1], s[1]).p_value()[0] for s in (chance_scores(rng, 2, 50) for _ in range(400))])
    assert (p < 0.01).mean() > 0.7
    p = np.array([independent_t(s[:1], s[1]).p_value()[0] for s in (chance_scores(rng, 2, 50) for _ in range(400))])
    assert (p < 0.01).mean() > 0.5


def test_null_test_counts():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    scores = np.array([0.5, 0.4, 0.05, 0.25, np.nan])
    assert null_test(scores, null).p_value("greater")[:4].tolist() == [0.2, 0.4, 1.0, 0.6]
    assert null_test(scores, null).p_value("less")[:4].tolist() == [1.0, 1.0, 0.2, 0.6]
    assert null_test(scores, null).p_value()[:4].tolist() == [0.4, 0.8, 0.4, 1.0]
    assert np.isnan(null_test(scores, null).p_value()[4])
    table = null[:, None] + np.array([[-0.1, 0.1]])
    rows = scores[:4, None] + np.array([[-0.01, 0.0, 0.01]])
    assert null_test(rows, table).p_value("greater")[[0, 2]].tolist() == [0.2, 1.0]


@pytest.mark.parametrize("side", SIDES)
def test_null_t_test_is_a_two_sample_t_test_with_one_value(side):
    rng = np.random.default_rng(2)
    null, scores = rng.normal(size=12), rng.normal(size=5) * 3
    # A sample of one adds nothing to the pooled variance: scipy's t-test from summary statistics agrees.
    expected = [
        stats.ttest_ind_from_stats(s, 0.0, 1, null.mean(), null.std(ddof=1), 12, alternative=side).pvalue
        for s in scores
    ]
    assert np.allclose(null_t_test(scores, null).p_value(side), expected)


def test_null_without_spread():
    assert null_t_test([0.5, 0.7, 0.3], np.full((4, 3), 0.5)).p_value().tolist() == [1, 0, 0]
    assert null_t_test([0.5, 0.7, 0.3], np.full(4, 0.5)).p_value("greater").tolist() == [1, 0, 1]
    assert null_test([0.5, 0.7], np.full(4, 0.5)).p_value().tolist() == [1.0, 0.4]
    with pytest.raises(DataError, match="at least 2"):
        null_t_test([0.5], [0.5])
    with pytest.raises(DataError, match="1 NaN"):
        null_test([0.5], [0.5, np.nan])
    with pytest.raises(DataError, match="got"):
        null_test(0.5, [0.5])


def test_effect_size():
    null = np.array([[1.0, 3.0], [3.0, 5.0], [5.0, 7.0]])  # means 2, 4, 6: mean 4, sd 2
    assert effect_size([[7.0, 9.0], [4.0, 4.0]], null).tolist() == [2.0, 0.0]
    assert effect_size([2.0], [1.0, 1.0]).tolist() == [np.inf]
    assert np.isnan(effect_size([1.0], [1.0, 1.0]))[0]


@pytest.mark.parametrize("side", SIDES)
def test_t_tests_by_their_formulas(side):
    rng = np.random.default_rng(3)
    scores, random = rng.normal(0.3, 1, (6, 12)), rng.normal(size=12)
    tail = {"greater": stats.t.sf, "less": stats.t.cdf, "two-sided": lambda t, df: 2 * stats.t.sf(abs(t), df)}[side]
    away = scores - random
    t = away.mean(1) / (away.std(1, ddof=1) / np.sqrt(12))
    np.testing.assert_allclose(paired_t(scores, random).p_value(side), tail(t, 11), rtol=1e-12)
    pooled = (11 * scores.var(1, ddof=1) + 8 * random[:9].var(ddof=1)) / 19
    t = (scores.mean(1) - random[:9].mean()) / np.sqrt(pooled * (1 / 12 + 1 / 9))
    np.testing.assert_allclose(independent_t(scores, random[:9]).p_value(side), tail(t, 19), rtol=1e-12)


def test_t_tests_of_equal_values():
    assert np.isnan(independent_t(np.ones((1, 5)), np.ones(5)).p_value()).all()
    assert independent_t(np.full((1, 5), 2.0), np.ones(5)).p_value() == 0
    assert independent_t(np.full((1, 5), 2.0), np.ones(5)).p_value("less") == 1


def test_paired_t_follows_the_reference():
    random = np.array([0.5, 0.6, 0.7, 0.8])
    p = paired_t([random, random + 0.125, random - [0.3, 0.2, 0.31, 0.24]], random).p_value()
    assert np.isnan(p[0])  # all differences zero: NaN, which the reference keeps, for NaN > 0.01 is false
    assert p[1] < 1e-12  # all the same
    assert 0 < p[2] < 0.01  # far below random survives too
    assert (
        paired_t([[1.0, 2.0, 4.0, 99.0]], [0.0, 1.5, 1.0]).p_value()[0]
        == paired_t([[1.0, 2.0, 4.0]], [0.0, 1.5, 1.0]).p_value()[0]
    )
    with pytest.raises(DataError, match="R ≥ 2"):
        paired_t([[1.0]], [2.0])


def test_interval_matches_scipy_and_covers():
    rng = np.random.default_rng(4)
    values = rng.normal(2, 3, (2000, 8))
    low, high = interval(values)
    expected = stats.t.interval(0.95, 7, values[0].mean(), stats.sem(values[0]))
    assert (low[0], high[0]) == pytest.approx(expected)
    assert within_binomial(((low <= 2) & (high >= 2)).sum(), 2000, 0.95)
    low, high = interval(values, level=0.5)
    assert within_binomial(((low <= 2) & (high >= 2)).sum(), 2000, 0.5)
    assert np.isnan(interval([[1.0], [2.0]])).all()


def bca_by_hand(values, rng, resamples, level):
    """Efron's formulas written out, means of all resamples drawn at once."""
    means = values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
    below = ((means < values.mean()).sum() + (means <= values.mean()).sum()) / 2 / resamples
    away, bias = values - values.mean(), stats.norm.ppf(below)
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    wanted = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.quantile(means, stats.norm.cdf(bias + wanted / (1 - acceleration * wanted)))


@pytest.mark.parametrize("count", [2, 5, 30, 300])
@pytest.mark.parametrize("kind", ["exponential", "counts"])
def test_bootstrap_interval_by_hand(count, kind):
    rng = np.random.default_rng(5)
    values = rng.exponential(size=count) if kind == "exponential" else np.append(rng.integers(0, 3, count - 1), 3.0)
    for resamples, level in ((1999, 0.95), (20_000, 0.9)):  # 300 × 20,000 values: more than one batch
        found = bootstrap_interval(values, np.random.default_rng(6), resamples=resamples, level=level)
        expected = bca_by_hand(values, np.random.default_rng(6), resamples, level)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert found == bootstrap_interval(values, np.random.default_rng(6), resamples=resamples, level=level)


def test_bootstrap_interval_covers_a_skewed_mean():
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(500):
        low, high = bootstrap_interval(rng.exponential(size=40), rng, level=0.9, resamples=499)
        inside += low <= 1 <= high
    assert 0.84 < inside / 500 < 0.94  # nominal 0.90, known to fall a little short on skewed data


def test_bootstrap_interval_of_little():
    rng = np.random.default_rng(0)
    assert bootstrap_interval([2.0, 2.0, 2.0], rng) == (2.0, 2.0)
    assert np.isnan(bootstrap_interval([2.0], rng)).all()
    with pytest.raises(DataError):
        bootstrap_interval(np.zeros((2, 2)), rng)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("count", [5, 8])
def test_sign_flips_match_scipy_exactly_when_small(side, count):
    values = np.random.default_rng(count).normal(0.5, 1, count)
    expected = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative=side
    ).pvalue
    assert sign_flip_test(values, np.random.default_rng(0), side=side) == pytest.approx(expected)


def test_sign_flips_by_hand():
    rng = np.random.default_rng(0)
    assert sign_flip_test([1.0, 2.0, 4.0], rng) == 2 / 8
    assert sign_flip_test([1.0, 2.0, 4.0], rng, side="greater") == 1 / 8
    assert sign_flip_test([1.0, 2.0, 4.0], rng, side="less") == 1.0
    assert sign_flip_test([0.0, 0.0], rng) == 1.0
    assert sign_flip_test([0.1, 0.2, -0.3], rng) == 1.0  # the sum is 0 but for rounding
    assert np.isnan(sign_flip_test([], rng))
    assert np.isnan(sign_flip_test([1.0, np.nan], rng))
    with pytest.raises(DataError):
        sign_flip_test([[1.0]], rng)


def test_sampled_sign_flips_approach_the_exact_ones_and_never_reach_zero():
    values = np.random.default_rng(1).normal(0.4, 1, 12)
    exact = sign_flip_test(values, np.random.default_rng(0), permutations=4095)
    sampled = sign_flip_test(values, np.random.default_rng(0), permutations=4000)
    assert exact * 4096 == int(exact * 4096)
    assert sampled == pytest.approx(exact, abs=0.03)
    assert sampled == sign_flip_test(values, np.random.default_rng(0), permutations=4000)
    assert sign_flip_test(np.full(100, 1.0), np.random.default_rng(0), permutations=999) == 1 / 1000


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("permutations", [9999, 99])
def test_sign_flips_reject_at_their_level_when_nothing_is_there(side, permutations):
    rng = np.random.default_rng(9)
    p = np.array([sign_flip_test(rng.laplace(size=10), rng, permutations=permutations, side=side) for _ in range(1500)])
    for level in (0.05, 0.1, 0.5):
        assert within_binomial((p <= level).sum(), len(p), level)


def test_sign_flips_of_many_are_those_of_one():
    rng = np.random.default_rng(14)
    values = rng.normal(0.4, 1, (9, 6))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 5] = np.nan
    p = sign_flips(values, rng).p_value()
    for column, found in zip(values.T[:5], p[:5], strict=True):
        assert found == sign_flip_test(column[~np.isnan(column)], rng, side="greater")
    assert p[5] == 1
    assert sign_flips(np.full((12, 1), 3.0), rng).p_value() == 1 / 4096
    assert sign_flips([[0.1], [0.2], [-0.3]], rng).p_value() == 5 / 8  # a sum that is 0 but for rounding
    with pytest.raises(DataError, match=r"values \[n,K\]"):
        sign_flips([1.0], rng)


def test_sampled_sign_flips_of_many_approach_the_exact_ones():
    values = np.random.default_rng(15).normal(0.4, 1, (12, 3))
    exact, sampled = (sign_flips(values, np.random.default_rng(0), permutations=n) for n in (4095, 4000))
    np.testing.assert_allclose(sampled.p_value(), exact.p_value(), atol=0.03)
    np.testing.assert_allclose(sampled.adjusted(), exact.adjusted(), atol=0.03)
    np.testing.assert_allclose(sampled.interval(200), exact.interval(204), atol=0.1)
    assert sign_flips(np.ones((100, 1)), np.random.default_rng(0), permutations=999).p_value() == 1 / 1000


def test_an_interval_holds_what_the_test_does_not_reject():
    """The definition, with the test made again at every value; the ends are means of subsets."""
    rng = np.random.default_rng(16)
    values = rng.normal(1, 2, 7)
    low, high = sign_flips(values[:, None], rng).interval(12)[0]
    for end, side, outwards in ((low, "greater", -1), (high, "less", 1)):
        outside, inside = (sign_flip_test(values - (end + d), rng, side=side) for d in (outwards * 1e-6, 0.0))
        assert outside <= 12 / 128 < inside
    assert sign_flips(values[:, None], rng).interval(0).tolist() == [[-np.inf, np.inf]]


def test_sign_flip_intervals_cover():
    rng = np.random.default_rng(17)
    ends = sign_flips(rng.laplace(2, 1, (10, 2000)), rng).interval(102)
    assert within_binomial(((ends[:, 0] <= 2) & (ends[:, 1] >= 2)).sum(), 2000, 1 - 2 * 102 / 1024)


def max_t_by_hand(values: np.ndarray) -> list[float]:
    """The step-down maximum, written out for every sign pattern."""
    signs = np.array(list(itertools.product((1, -1), repeat=len(values))))
    sums = np.einsum("fn,nk->fk", signs, values / np.sqrt((values**2).sum(0)))
    p, least, left = np.ones(values.shape[1]), 0.0, list(np.argsort(-sums[0]))
    while left:
        least = p[left[0]] = max(least, float((sums[:, left].max(1) >= sums[0, left[0]] - 1e-9).mean()))
        left.pop(0)
    return p.tolist()


def test_max_t_by_hand():
    rng = np.random.default_rng(19)
    values = rng.normal([0, 0.5, 1, 2, 3], 1, (8, 5))
    found = sign_flips(values, rng)
    assert found.adjusted().tolist() == max_t_by_hand(values)
    assert (found.adjusted() >= found.p_value()).all()
    alike = sign_flips(np.repeat(values[:, [2]], 9, 1), rng)  # nothing is lost where the tests are one
    assert alike.adjusted().tolist() == [found.p_value()[2]] * 9


def test_max_t_rarely_rejects_anything_where_nothing_is_there():
    rng = np.random.default_rng(20)
    any_rejected = [
        (sign_flips(rng.laplace(size=(8, 6)) + rng.laplace(size=(8, 1)), rng).adjusted() < 0.2).any()
        for _ in range(600)
    ]
    assert within_binomial(sum(any_rejected), 600, 0.2)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_adjusted_intervals_agree_with_adjusted_p_values(level):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = rng.normal(rng.choice([0, 1, 2], 7), 1, (rng.integers(4, 15), 7)).round(seed % 3)
        values[rng.random(values.shape) < 0.2] = np.nan
        found = sign_flips(values, rng, permutations=999)
        np.testing.assert_array_equal(found.adjusted() < level, found.adjusted_intervals(level)[:, 0] > 0)


def test_the_adjusted_tail_parts_significant_from_others():
    rng = np.random.default_rng(18)
    for level in (0.05, 0.2):
        for _ in range(200):
            p = np.where(rng.random(12) < 0.4, rng.beta(0.1, 5, 12), rng.random(12))
            p[rng.random(12) < 0.2] = np.nan
            q = benjamini_hochberg(p)
            np.testing.assert_array_equal(q < level, p < adjusted_tail(q, level=level))


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    rng = np.random.default_rng(12)
    for p in (rng.uniform(size=50) ** 2, np.round(rng.uniform(size=50), 1), np.ones(3)):
        ranked = np.sort(p)
        steps = ranked * len(p) / np.arange(1, len(p) + 1)
        expected = [min(1, steps[np.searchsorted(ranked, one) :].min()) for one in p]
        np.testing.assert_allclose(benjamini_hochberg(p), expected, rtol=1e-12)
    p = rng.uniform(size=50)
    assert np.allclose(benjamini_hochberg(p.reshape(5, 10)).ravel(), benjamini_hochberg(p))


def test_benjamini_hochberg_leaves_nan_out():
    p = np.array([0.01, np.nan, 0.04, 0.03, np.nan])
    q = benjamini_hochberg(p)
    assert np.isnan(q[[1, 4]]).all()
    assert np.allclose(q[[0, 2, 3]], [0.03, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    assert benjamini_hochberg([]).shape == (0,)


def test_benjamini_hochberg_holds_the_false_discovery_rate():
    rng = np.random.default_rng(11)
    shares = []
    for _ in range(1000):
        z = rng.normal(size=40)
        z[:10] += 3
        found = benjamini_hochberg(stats.norm.sf(z)) <= 0.2
        shares.append(found[10:].sum() / max(found.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.2 * 30 / 40, abs=0.02)


def test_concepts_that_were_not_measured_leave_the_interval_of_the_others_as_it_is():
    rng = np.random.default_rng(0)
    measured = rng.normal(17, 3, (12, 1))
    beside = sign_flips(np.hstack([measured, np.full((12, 4), np.nan)]), rng)
    alone = sign_flips(measured, rng).adjusted_intervals()
    np.testing.assert_allclose(beside.adjusted_intervals()[:1], alone, rtol=1e-12)
    assert alone[0, 0] < measured.mean() < alone[0, 1]
