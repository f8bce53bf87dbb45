"""Rankings and their tests against SciPy, planted effects, and p-values where nothing is planted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from voxplain.concepts.effect import Effects
from voxplain.concepts.rank import EFFECTS, TESTS, ConceptScores, over_control, rank_by_effect, rank_by_tcav
from voxplain.errors import DataError

CLIPS, CLASSES, TARGET = 12, 6, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def made(hidden: np.ndarray, control: np.ndarray, **others: np.ndarray) -> Effects:
    """Effects from the logit drops of hiding, [M,K,C]; what is not told is zero."""
    m, k, c = hidden.shape
    zero = {"base": np.zeros((m, c)), "alone": np.zeros((m, k, c)), "blank": np.zeros((m, c))}
    volume = np.where(np.isnan(hidden).any(-1), 0, 0.1)  # of what a clip lacks
    arrays = {"volume": volume, **zero, **others, "hidden": -hidden, "control": -control}
    return Effects(**{name: x.astype(np.float32) for name, x in arrays.items()})


def planted(rng: np.random.Generator, spread: float = 0.05) -> Effects:
    """Concept 0 does what random regions do, 1 carries the class, 2 all classes alike, 3 is nowhere, 4 in half."""
    hidden, control = (spread * rng.normal(size=(CLIPS, 5, CLASSES)) for _ in range(2))
    hidden[:, 1, TARGET] += 2
    hidden[:, 2] += 3
    hidden[:, 4, TARGET] += 3
    hidden[:, 3] = control[:, 3] = np.nan
    hidden[1::2, 4] = control[1::2, 4] = np.nan
    return made(hidden, control)


def test_tcav_ranking_by_scipy(rng):
    scores = rng.normal(0.5, 0.1, size=(4, 15))
    scores[2] += 0.6
    null = rng.normal(0.5, 0.1, size=(9, 15)) + rng.normal(0, 0.1, size=(9, 1))
    got = rank_by_tcav("tcav", scores, null, target=3, chance=0.5)
    means, chance = scores.mean(1), null.mean(1)
    assert (got.name, got.target, got.chance) == ("tcav", 3, 0.5)
    np.testing.assert_allclose(got.value, means)
    np.testing.assert_allclose(got.null, chance, rtol=1e-6)
    np.testing.assert_array_equal(got.rank, np.argsort(-means))
    assert got.rank[0] == 2
    low, high = stats.t.interval(0.95, 14, loc=means, scale=stats.sem(scores, axis=1))
    np.testing.assert_allclose(got.interval, np.stack([low, high], 1))
    t = (means - chance.mean()) / (chance.std(ddof=1) * np.sqrt(1 + 1 / 9))
    np.testing.assert_allclose(got.p_value, 2 * stats.t.sf(np.abs(t), 8))
    np.testing.assert_allclose(got.q_value, stats.false_discovery_control(got.p_value))
    np.testing.assert_allclose(got.effect_size, (means - chance.mean()) / chance.std(ddof=1))


@pytest.mark.parametrize("test", TESTS)
def test_every_test_by_scipy(test, rng):
    scores, null = rng.normal(size=(3, 12)) + np.array([[0], [0.5], [2]]), rng.normal(size=(7, 12))
    got = rank_by_tcav("tcav", scores, null, target=0, chance=0.0, test=test).p_value
    means, chance = scores.mean(1), null.mean(1)
    one_sided = [np.mean([True, *(s * chance >= s * m)]) for m in means for s in (1, -1)]
    expected = {
        "null": [stats.ttest_ind([m], chance).pvalue for m in means],
        "null-rank": np.minimum(2 * np.reshape(one_sided, (3, 2)).min(1), 1),
        "paired-t": [stats.ttest_rel(s, null[0]).pvalue for s in scores],
        "independent-t": [stats.ttest_ind(s, null[0]).pvalue for s in scores],
    }[test]
    np.testing.assert_allclose(got, expected)


@pytest.mark.parametrize("test", TESTS)
def test_a_concept_without_a_score_is_last_and_changes_no_other(test, rng):
    scores, null = rng.normal(0.7, 0.1, (3, 9)), rng.normal(0.5, 0.1, (12, 9))
    alone = rank_by_tcav("tcav", scores, null, target=0, chance=0.5, test=test)
    lost = np.full((1, 9), np.nan)
    got = rank_by_tcav("tcav", np.vstack([lost, scores]), np.vstack([null, lost]), target=0, chance=0.5, test=test)
    assert got.rank[-1] == 0
    for name in ("value", "p_value", "q_value", "effect_size", "tested", "interval", "tested_interval"):
        np.testing.assert_array_equal(getattr(got, name)[1:], getattr(alone, name))
        assert np.isnan(getattr(got, name)[0]).all()
    assert len(got.null) == 12


def test_fewer_than_two_random_concepts_test_nothing(rng):
    scores, null = rng.normal(0.7, 0.1, (3, 9)), np.full((4, 9), np.nan)
    null[0] = 0.5
    got = rank_by_tcav("tcav", scores, null, target=0, chance=0.5)
    np.testing.assert_allclose(got.value, scores.mean(1))
    assert np.isnan([got.p_value, got.q_value, got.tested, got.effect_size]).all()


def test_equal_values_rank_in_index_order(rng):
    scores = np.repeat([0.5, 0.75, 0.5, 0.75], 3).reshape(4, 3)
    got = rank_by_tcav("tcav", scores, rng.random((5, 3)), target=0, chance=0.5)
    assert got.rank.tolist() == [1, 3, 0, 2]


def test_planted_effects_rank_and_only_the_class_s_own_are_significant(rng):
    got = rank_by_effect(planted(rng), TARGET)
    assert got.name == "effect (drop)"
    assert got.scores.shape == (5, CLIPS)
    assert got.rank[:2].tolist() == [1, 4]  # 2 in every clip before 3 in every other
    assert (got.q_value[[1, 4]] < 0.05).all()
    assert (got.q_value[[0, 2, 3]] > 0.05).all()
    assert (got.q_value >= got.p_value).all()
    assert got.value[1] == pytest.approx(2, abs=0.15)
    assert got.value[4] == pytest.approx(1.5, abs=0.15)
    assert (got.scores[4, 1::2] == 0).all()
    assert got.effect_size[1] > 10
    assert got.null.size == 0


def test_a_concept_that_is_nowhere_has_no_effect(rng):
    got = rank_by_effect(planted(rng), TARGET)
    assert (got.value[3], got.p_value[3], got.effect_size[3]) == (0, 1, 0)
    assert got.interval[3].tolist() == [0, 0]


def test_what_all_classes_lose_alike_is_no_loss_of_log_odds(rng):
    logit = rank_by_effect(planted(rng), TARGET, objective="logit")
    assert (logit.rank[0], logit.value[2]) == (2, pytest.approx(3, abs=0.1))
    assert rank_by_effect(planted(rng), TARGET).value[2] == pytest.approx(0, abs=0.1)


def test_a_drop_no_larger_than_a_random_region_s_is_not_significant(rng):
    hidden = 0.05 * rng.normal(size=(CLIPS, 2, CLASSES))
    hidden[:, :, TARGET] += 2
    control = hidden + 0.02 * rng.normal(size=hidden.shape)
    control[:, 1] -= hidden[:, 1]
    got = rank_by_effect(made(hidden, control), TARGET, objective="logit")
    assert got.value == pytest.approx([2, 2], abs=0.1)
    assert got.p_value[0] > 0.05 > got.p_value[1]


@pytest.mark.parametrize("kind", EFFECTS)
def test_every_kind_is_the_mean_over_clips(kind, rng):
    arrays = {n: rng.normal(size=s) for n, s in [("base", (3, 4)), ("alone", (3, 2, 4)), ("blank", (3, 4))]}
    hidden, control = (rng.normal(size=(3, 2, 4)) for _ in range(2))
    hidden[0, 1] = control[0, 1] = arrays["alone"][0, 1] = np.nan
    effects = made(hidden, control, **arrays)
    raw = {
        "drop": arrays["base"][:, None, 1] + hidden[..., 1],
        "over-control": hidden[..., 1] - control[..., 1],
        "alone": arrays["alone"][..., 1] - arrays["blank"][:, None, 1],
    }[kind]
    got = rank_by_effect(effects, 1, kind=kind, objective="logit")
    assert got.name == f"effect ({kind})"
    np.testing.assert_allclose(got.scores, np.nan_to_num(raw).T, atol=1e-5)
    np.testing.assert_allclose(got.value, np.nan_to_num(raw).mean(0), atol=1e-5)
    if kind == "over-control":
        np.testing.assert_allclose(over_control(effects, 1, "logit"), raw, atol=1e-5)


def test_effect_intervals_cover_their_value_and_are_seeded(rng):
    effects = planted(rng, spread=0.5)
    got, again, other = (rank_by_effect(effects, TARGET, seed=s) for s in (0, 0, 1))
    assert (got.interval[:, 0] <= got.value).all()
    assert (got.value <= got.interval[:, 1]).all()
    for name in ("value", "interval", "p_value"):
        assert getattr(got, name).tobytes() == getattr(again, name).tobytes()
    assert not np.array_equal(got.interval, other.interval)


def test_q_is_one_where_the_class_is_not_recognised(rng):
    got, known = (rank_by_effect(planted(rng), TARGET, recognised=r) for r in (False, True))
    assert (got.q_value == 1).all()
    assert np.isinf(got.tested_interval).all()
    assert got.p_value.min() == known.p_value.min() == 1 / 2**CLIPS


def test_tests_and_intervals_agree_whatever_the_effects():
    """Significant where the interval lies above 0, and nowhere else, for effects of any size and spread."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        clips, concepts = rng.integers(3, 18), rng.integers(1, 15)
        hidden, control = (rng.laplace(size=(clips, concepts, 3)).round(seed % 3) for _ in range(2))
        hidden[..., 0] += rng.choice([0, 0.5, 2], concepts)
        hidden[rng.random((clips, concepts)) < 0.2] = np.nan
        got = rank_by_effect(made(hidden, control), 0, objective="logit", seed=seed)
        np.testing.assert_array_equal(got.q_value < 0.05, got.tested_interval[:, 0] > 0)
        assert (got.tested_interval[:, 0] <= got.tested).all()
        assert (got.tested <= got.tested_interval[:, 1]).all()


@pytest.mark.parametrize("test", TESTS)
def test_tcav_tests_and_intervals_agree(test):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        null = rng.normal(size=(99, 12)) / 3
        scores = rng.normal(size=(8, 12)) + rng.choice([-1, 0, 1], (8, 1))
        got = rank_by_tcav("tcav", scores, null, target=0, chance=0.0, test=test)
        outside = (got.tested_interval[:, 0] > 0) | (got.tested_interval[:, 1] < 0)
        np.testing.assert_array_equal(got.q_value < 0.05, outside)


def test_a_clip_without_the_concept_counts_and_one_that_is_not_measured_does_not(rng):
    hidden = 2 + 0.1 * rng.normal(size=(CLIPS, 2, CLASSES)) * np.ones((1, 1, CLASSES))
    hidden[: CLIPS // 2] = np.nan
    plain = made(hidden, 0 * hidden)
    volume = plain.volume.copy()
    volume[:, 1] = 0.1  # the concept is there, and its effect unknown
    got = rank_by_effect(replace(plain, volume=volume), 0, objective="logit")
    assert got.value == pytest.approx([1, 2], abs=0.1)
    assert got.tested == pytest.approx([1, 2], abs=0.1)
    assert got.p_value.tolist() == [2.0 ** -(CLIPS // 2)] * 2
    none = rank_by_effect(made(np.nan * hidden, hidden, volume=volume + 0.1), 0, objective="logit")
    assert np.isnan(none.value).all()
    assert none.p_value.tolist() == [1, 1]


def test_scores_check_their_shapes(rng):
    fields = {
        "name": "x",
        "target": 0,
        "scores": np.zeros((3, 4)),
        "value": np.zeros(3),
        "null": np.zeros(2),
        "interval": np.zeros((3, 2)),
        "p_value": np.zeros(3),
        "q_value": np.zeros(3),
        "effect_size": np.zeros(3),
        "chance": 0.0,
        "tested": np.zeros(3),
        "tested_interval": np.zeros((3, 2)),
    }
    assert repr(ConceptScores(**fields)) == "ConceptScores(x, concepts=3, repeats=4)"
    for name in ("value", "interval", "p_value", "q_value", "effect_size", "tested", "tested_interval"):
        with pytest.raises(DataError, match=r"scores \[K,R\], intervals \[K,2\] and the rest \[K\]"):
            ConceptScores(**{**fields, name: fields[name][:2]})


def test_a_concept_that_was_compared_in_no_clip_has_nothing_tested(rng):
    effects = planted(rng)
    control = effects.control.copy()
    control[:, 4] = np.nan  # in every other clip only
    got = rank_by_effect(replace(effects, control=control), TARGET)
    assert np.isnan(got.tested[4])
    assert got.q_value[4] == 1
    assert np.isfinite(got.tested[[0, 1, 2]]).all()
    assert got.value[4] == pytest.approx(1.5, abs=0.15)
