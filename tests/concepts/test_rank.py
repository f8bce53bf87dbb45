"""Rankings and their tests against SciPy, planted effects, and p-values where nothing is planted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from voxplain.concepts.effect import Effects
from voxplain.concepts.rank import (
    EFFECTS,
    TESTS,
    ConceptScores,
    over_control,
    rank_by_effect,
    rank_by_tcav,
    recognition_test,
)
from voxplain.errors import DataError

CLIPS, CLASSES, TARGET = 12, 6, 2
STRANGERS = np.where(np.arange(CLASSES) == TARGET, -20, 0) * np.ones((4, 1))  # logits of clips that are not the class


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def made(hidden: np.ndarray, control: np.ndarray, **others: np.ndarray) -> Effects:
    """Effects from the logit drops of hiding, [M,K,C]; what is not told is zero."""
    m, k, c = hidden.shape
    zero = {"base": np.zeros((m, c)), "alone": np.zeros((m, k, c)), "blank": np.zeros((m, c))}
    arrays = {"volume": np.full((m, k), 0.1), **zero, **others, "hidden": -hidden, "control": -control}
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


def test_equal_values_rank_in_index_order(rng):
    scores = np.repeat([0.5, 0.75, 0.5, 0.75], 3).reshape(4, 3)
    got = rank_by_tcav("tcav", scores, rng.random((5, 3)), target=0, chance=0.5)
    assert got.rank.tolist() == [1, 3, 0, 2]


def test_planted_effects_rank_and_only_the_class_s_own_are_significant(rng):
    got = rank_by_effect(planted(rng), TARGET, unrelated=STRANGERS)
    assert got.name == "effect (drop)"
    assert got.scores.shape == (5, CLIPS)
    assert got.rank[:2].tolist() == [1, 4]  # 2 in every clip before 3 in every other
    assert (got.q_value[[1, 4]] < 0.05).all()
    assert (got.q_value[[0, 2, 3]] > 0.05).all()
    assert (got.q_value >= got.p_value).all()
    np.testing.assert_allclose(got.q_value, stats.false_discovery_control(got.p_value))
    assert got.value[1] == pytest.approx(2, abs=0.15)
    assert got.value[4] == pytest.approx(1.5, abs=0.15)
    assert np.isnan(got.scores[4, 1::2]).all()
    assert got.effect_size[1] > 10
    assert got.null.size == 0


def test_a_concept_that_is_nowhere_has_no_effect(rng):
    got = rank_by_effect(planted(rng), TARGET, unrelated=STRANGERS)
    assert (got.value[3], got.p_value[3], got.effect_size[3]) == (0, 1, 0)
    assert got.interval[3].tolist() == [0, 0]


def test_what_all_classes_lose_alike_is_no_loss_of_log_odds(rng):
    logit = rank_by_effect(planted(rng), TARGET, unrelated=STRANGERS, objective="logit")
    assert (logit.rank[0], logit.value[2]) == (2, pytest.approx(3, abs=0.1))
    assert rank_by_effect(planted(rng), TARGET, unrelated=STRANGERS).value[2] == pytest.approx(0, abs=0.1)


def test_a_drop_no_larger_than_a_random_region_s_is_not_significant(rng):
    hidden = 0.05 * rng.normal(size=(CLIPS, 2, CLASSES))
    hidden[:, :, TARGET] += 2
    control = hidden + 0.02 * rng.normal(size=hidden.shape)
    control[:, 1] -= hidden[:, 1]
    got = rank_by_effect(made(hidden, control), TARGET, unrelated=STRANGERS, objective="logit")
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
    got = rank_by_effect(effects, 1, unrelated=effects.base, kind=kind, objective="logit")
    assert got.name == f"effect ({kind})"
    np.testing.assert_allclose(got.scores, raw.T, atol=1e-5)
    np.testing.assert_allclose(got.value, np.nan_to_num(raw).mean(0), atol=1e-5)
    if kind == "over-control":
        np.testing.assert_allclose(over_control(effects, 1, "logit"), raw, atol=1e-5)


def test_effect_intervals_cover_their_value_and_are_seeded(rng):
    effects = planted(rng, spread=0.5)
    got, again, other = (rank_by_effect(effects, TARGET, unrelated=STRANGERS, seed=s) for s in (0, 0, 1))
    assert (got.interval[:, 0] <= got.value).all()
    assert (got.value <= got.interval[:, 1]).all()
    for name in ("value", "interval", "p_value"):
        assert getattr(got, name).tobytes() == getattr(again, name).tobytes()
    assert not np.array_equal(got.interval, other.interval)


def logits_for(probabilities: list[list[float]]) -> np.ndarray:
    return np.log(np.array(probabilities)).astype(np.float32)


def test_recognition_by_scipy(rng):
    own, unrelated = rng.normal(size=(9, 6)), rng.normal(size=(7, 6))
    rise = np.exp(own) / np.exp(own).sum(1, keepdims=True)
    rise = rise.mean(0) - (np.exp(unrelated) / np.exp(unrelated).sum(1, keepdims=True)).mean(0)
    expected = stats.ttest_ind([rise[2]], np.delete(rise, 2), alternative="greater").pvalue
    assert recognition_test(own, unrelated, 2) == pytest.approx(expected, abs=1e-9)


def test_recognition_is_uniform_where_the_class_is_one_among_equals():
    """Random linear heads on two groups of features that truly differ: the heads know no class."""
    rng = np.random.default_rng(1)
    own, unrelated = rng.normal(size=(12, 20)) + rng.normal(size=20), rng.normal(size=(15, 20))
    heads = 0.05 * rng.normal(size=(400, 20, 7))
    p = [recognition_test(own @ head, unrelated @ head, 3) for head in heads]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_recognition_of_a_class_that_only_its_own_clips_get():
    own = logits_for([[0.9, 0.04, 0.03, 0.02, 0.01]] * 3)
    unrelated = logits_for([[0.02, 0.5, 0.02, 0.01, 0.45]] * 3)
    assert recognition_test(own, unrelated, 0) < 0.05
    assert all(recognition_test(own, unrelated, k) > 0.05 for k in (1, 2, 3, 4))
    assert recognition_test(own, own, 0) == 1  # no rise of anything


def test_no_effect_is_significant_in_a_network_that_does_not_know_the_class(rng):
    hidden = 3 + rng.normal(size=(12, 2, 5))  # hiding costs a lot, and alike in every clip
    hidden[..., 1:] = 0
    effects = made(hidden, 0 * hidden)
    own = effects.base
    assert (rank_by_effect(effects, 0, unrelated=own).p_value == 1).all()
    strangers = np.tile(logits_for([[0.01, 0.24, 0.25, 0.25, 0.25]]), (4, 1))
    known = rank_by_effect(replace(effects, base=own + 5 * np.eye(5)[0].astype(np.float32)), 0, unrelated=strangers)
    assert (known.p_value < 0.05).all()


@pytest.mark.parametrize("classes", [1, 2])
def test_two_classes_are_judged_by_the_random_regions_alone(rng, classes):
    assert np.isnan(recognition_test(np.zeros((3, classes)), np.ones((3, classes)), 0))
    hidden = np.zeros((12, 2, classes))
    hidden[:, 0, 0] = 3 + rng.normal(size=12)
    if classes == 2:
        p = rank_by_effect(made(hidden, 0 * hidden), 0, unrelated=np.zeros((3, classes))).p_value
        assert p[0] < 0.01 < 0.5 < p[1]


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
    }
    assert repr(ConceptScores(**fields)) == "ConceptScores(x, concepts=3, repeats=4)"
    for name in ("value", "interval", "p_value", "q_value", "effect_size"):
        with pytest.raises(DataError, match=r"scores \[K,R\], interval \[K,2\] and the rest \[K\]"):
            ConceptScores(**{**fields, name: fields[name][:2]})
