"""The glossary's figures, names and definitions are those of the code."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from voxplain.concepts.cav import CAVs, fit_cavs
from voxplain.concepts.order_tests import OTHERS
from voxplain.concepts.rank import EFFECTS, rank_by_effect, rank_by_tcav
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import UNRELATED_EXAMPLES, ConceptSettings
from voxplain.perturb import FILLS
from voxplain.statistics import SIGNIFICANT

DEFAULT = ConceptSettings()


def entries() -> dict[str, str]:
    text = (Path(__file__).parents[1] / "docs/glossary.md").read_text()
    return {name: line for line in text.splitlines() for name in re.findall(r"\*\*(.+?)\*\*", line.split(":")[0])}


def test_no_term_has_two_meanings():
    text = (Path(__file__).parents[1] / "docs/glossary.md").read_text()
    names = [name for line in text.splitlines() for name in re.findall(r"\*\*(.+?)\*\*", line.split(":")[0])]
    assert len(names) == len(set(names)) == len(entries())


def test_names_are_those_that_can_be_chosen():
    """A name in code style that the code does not have, or one of the code that is missing."""
    known = {
        "TCAV score": set(SCORES),
        "direct effect": set(EFFECTS),
        "unrelated examples": set(UNRELATED_EXAMPLES),
        "order test": set(OTHERS),
        "random set": {"random_size", "random_sets"},
    }
    for entry, names in known.items():
        assert set(re.findall(r"`(.+?)`", entries()[entry])) == names, entry
    assert {f for f in FILLS if f in entries()["baseline"]} == set(FILLS)


def test_defaults_are_marked():
    for entry, name in (
        ("TCAV score", DEFAULT.tcav),
        ("direct effect", DEFAULT.effect_kind),
        ("unrelated examples", DEFAULT.unrelated_examples),
    ):
        assert re.search(rf"`{name}`,? \(?the default|`{name}`, the default", entries()[entry]), entry


def test_a_random_set_is_as_large_as_the_settings_say():
    assert f"{DEFAULT.random_size} unrelated examples" in entries()["random set"]
    assert f"each of {DEFAULT.random_sets} random sets" in entries()["random set"]


def test_cav_accuracy_is_balanced_over_the_held_out_share():
    """By hand, with sides of different sizes: a direction that is right on one side only gives 0.5."""
    holdout = inspect.signature(fit_cavs).parameters["holdout"].default
    assert f"{100 * holdout:.0f} % of the features of each side" in entries()["CAV accuracy"]
    assert "Chance is 0.5, whatever the sizes" in entries()["CAV accuracy"]
    rng = np.random.default_rng(0)
    concept = torch.from_numpy(rng.normal(size=(300, 4)))
    unrelated = torch.from_numpy(rng.normal(size=(20, 30, 4)))
    found = fit_cavs([concept], unrelated, layer="x", balance=False)
    # All on the concept's side would be 0.91 of the rows, and 0.5 by side.
    assert found.accuracy.mean() == pytest.approx(0.5, abs=0.08)


def test_the_tcav_scores_are_defined_as_said():
    gradients = torch.tensor([[1.0, 0.0], [3.0, 0.0], [-1.0, 0.0]])
    vectors = np.array([[[1.0, 0.0], [-1.0, 0.0]]], np.float32)
    derivatives = directional_derivatives(gradients, CAVs(vectors, np.full((1, 2), 0.5, np.float32), "x"))
    by_set = {name: score(derivatives) for name, score in SCORES.items()}
    np.testing.assert_allclose(by_set["magnitude"], [[1, -1]])
    np.testing.assert_allclose(by_set["sign_count"], [[2 / 3, 1 / 3]])
    null = np.random.default_rng(0).normal(size=(4, 2))
    ranked = rank_by_tcav("x", by_set["sign_count"], null, target=0, chance=0.5)
    assert ranked.value.tolist() == pytest.approx([0.5])  # averaged over random sets


def test_a_clip_without_the_concept_counts_as_no_effect():
    from voxplain.concepts.effect import Effects

    logits = np.zeros((2, 3), np.float32)
    hidden = np.zeros((2, 1, 3), np.float32)
    hidden[0, 0, 0], hidden[1] = -2, np.nan
    effects = Effects(
        logits, hidden, np.zeros_like(hidden), np.zeros_like(hidden), logits, np.array([[1], [0]], np.float32)
    )
    one = effects.drop(0)[0, 0]
    assert rank_by_effect(effects, 0).value[0] == pytest.approx(one / 2)
    assert "counts as 0" in entries()["direct effect"]


def test_significant_means_the_same():
    assert f"q < {SIGNIFICANT:g}" in entries()["q-value"]
