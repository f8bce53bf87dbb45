"""Presence of concepts in wrong and right clips: closed forms, the level of the test, permutation within classes."""

import numpy as np
import pytest
from scipy import stats

from voxplain.audits import presence_tests
from voxplain.errors import DataError


def noise(rng: np.random.Generator, clips: int, concepts: int) -> np.ndarray:
    return np.where(rng.random((clips, concepts)) < 0.6, rng.random((clips, concepts)), 0.0)


def test_the_p_value_is_that_of_scipys_permutation_test() -> None:
    rng = np.random.default_rng(1)
    volume, wrong = noise(rng, 24, 1), np.arange(24) < 9
    volume[wrong, 0] += 0.3
    ((found,),) = presence_tests([volume], [wrong], permutations=4999)
    ranks = stats.rankdata(volume[:, 0])
    expected = stats.permutation_test(
        (ranks[wrong], ranks[~wrong]),
        lambda x, y: abs(x.mean() - ranks.mean()),
        permutation_type="independent",
        alternative="greater",
        n_resamples=4999,
        rng=np.random.default_rng(5),
    )
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.01)
    u = stats.mannwhitneyu(volume[wrong, 0], volume[~wrong, 0]).statistic
    assert found.more == pytest.approx(u / (9 * 15))
    assert found.q_value == found.p_value, "of one test"


def test_without_a_difference_any_of_the_concepts_is_called_significant_rarely() -> None:
    """Of 200 audits of two classes with 5 concepts each; at 5 % more than 20 have a probability of 0.001."""
    false = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        wrong = [rng.random(20) < 0.4 for _ in range(2)]
        found = presence_tests([noise(rng, 20, 5) for _ in range(2)], wrong, permutations=199, seed=seed)
        false += any(test.q_value < 0.05 for own in found for test in own)
    assert false <= 20


def test_a_difference_of_accuracy_between_classes_is_none_of_concepts() -> None:
    """The concept is in all clips of a class that is mostly wrong: within the class it tells nothing."""
    rng = np.random.default_rng(0)
    wrong = [np.arange(20) < 16, np.arange(20) < 3]
    everywhere, nowhere = np.full((20, 1), 0.2), np.zeros((20, 1))
    (first,), (second,) = presence_tests([everywhere, nowhere], wrong)
    assert first.p_value == second.p_value == 1
    assert (first.more, second.more, first.difference) == (0.5, 0.5, 0.0)
    volume = noise(rng, 20, 1)
    volume[wrong[1]] = 0.9
    assert presence_tests([everywhere, volume], wrong)[1][0].q_value < 0.05


def test_too_few_wrong_clips_are_not_tested() -> None:
    assert presence_tests([np.ones((9, 2))], [np.arange(9) < 2]) == [()]


def test_the_same_seed_gives_the_same_tests() -> None:
    rng = np.random.default_rng(3)
    volume, wrong = noise(rng, 15, 3), np.arange(15) % 3 == 0
    assert presence_tests([volume], [wrong], seed=4) == presence_tests([volume], [wrong], seed=4)


def test_other_lengths_are_an_error() -> None:
    with pytest.raises(DataError, match="same clips"):
        presence_tests([np.ones((4, 1))], [np.ones(5, bool)])
