"""Effects of pasted voxels against closed forms: a linear network whose log-odds rise by 8 with a lit corner."""

from dataclasses import replace

import numpy as np
import pytest
from shortcut_task import CORNER, cheating_model, task

from voxplain.corrections.content_effect import Reliance, content_effects, reliance_on, with_presence
from voxplain.errors import DataError


def marked_everywhere(n=20, rate=0.8, seed=0):
    """Examples whose corner is marked in every clip, lit or dark, and which clips are lit."""
    examples = replace(task(n, rate, seed), target=1)
    lit, masks = examples.present, np.zeros_like(examples.unwanted)
    masks[(slice(None), *CORNER)] = True
    return replace(examples, unwanted=masks), lit


def test_effects_are_those_of_the_closed_form():
    examples, lit = marked_everywhere()
    effects = content_effects(cheating_model(), examples, repeats=600)
    np.testing.assert_allclose(effects[lit], 8 * (1 - lit.mean()), atol=0.6)
    np.testing.assert_allclose(effects[~lit], -8 * lit.mean(), atol=0.6)
    masks = examples.unwanted.copy()
    masks[3] = False
    assert np.isnan(content_effects(cheating_model(), replace(examples, unwanted=masks), repeats=1)[3])


def test_presence_is_told_by_the_effect_where_the_voxels_are_in_every_clip():
    examples, lit = marked_everywhere()
    assert examples.present.all()  # by volume
    found = with_presence(cheating_model(), examples, repeats=60)
    np.testing.assert_array_equal(found.present, lit)
    assert not (found.absent & lit).any()
    assert found.absent.any()
    some = found.some(np.arange(5))
    np.testing.assert_array_equal(some.present, lit[:5])


def test_presence_stays_as_it_is_without_clips_to_compare():
    examples = replace(task(20, 1.0, 0), target=1)  # the corner is marked in the class alone
    assert with_presence(cheating_model(), examples) is examples


def test_a_network_relies_on_the_corner_and_not_on_a_random_concept():
    examples = replace(task(20, 0.8, 0), target=1)
    found = reliance_on(cheating_model(), examples)
    assert found == Reliance(pytest.approx(8, abs=1e-4), pytest.approx(1e-4), 20)
    assert found.significant
    assert found.record() == {"effect": found.effect, "p_value": found.p_value, "clips": 20, "significant": True}
    wrong = [
        reliance_on(cheating_model(), examples.random_concept(np.random.default_rng(seed)), seed=seed).significant
        for seed in range(40)
    ]
    assert sum(wrong) <= 5  # 2.5 % on the mean


def test_a_concept_that_lowers_the_class_is_not_relied_on():
    examples = replace(task(20, 0.8, 0), target=0)
    found = reliance_on(cheating_model(), examples)
    assert found.effect < 0
    assert not found.significant


def test_no_test_without_clips_of_both_kinds_and_no_effect_without_a_class():
    examples, _ = marked_everywhere()
    assert reliance_on(cheating_model(), examples).record() == {
        "effect": None,
        "p_value": None,
        "clips": 40,
        "significant": False,
    }
    with pytest.raises(DataError, match="a target"):
        content_effects(cheating_model(), replace(examples, target=None))


def test_a_random_concept_takes_presence_along():
    examples, lit = marked_everywhere()
    found = with_presence(cheating_model(), examples, repeats=60).random_concept(np.random.default_rng(0))
    assert found.present.sum() == lit.sum()
    assert not np.array_equal(found.present, lit)
    assert not (found.present & found.absent).any()


def test_presence_needs_a_value_a_clip():
    with pytest.raises(DataError, match="a value a clip"):
        replace(task(4, 0.5, 0), holding=np.ones(3, bool))
