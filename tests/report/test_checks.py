"""Warning lights: each lit by what it warns of, and not otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from report_runs import make_evaluated_run, make_run
from voxplain.concepts.description import BINS, CELLS, ConceptDescription
from voxplain.report.checks import background_share, reader_checks
from voxplain.report.sentences import answer_words

PLAIN = ConceptDescription(np.ones(BINS), np.ones((CELLS, CELLS)), motion=2.0, edge=0.2, wander=0.2)
WALL = replace(PLAIN, motion=0.4, edge=1.5)
LOGO = replace(PLAIN, motion=0.1, edge=0.9, wander=0.01)


def lit(run, found):
    return {light.label: light for light in reader_checks(run, found) if light.lit}


def test_background_is_the_share_of_positive_effects():
    run = make_run()  # effects 0.5, 2.5, 1.5
    assert background_share(run, [PLAIN, WALL, PLAIN]) == pytest.approx(2.5 / 4.5)
    assert background_share(run, [WALL, PLAIN, PLAIN]) == pytest.approx(0.5 / 4.5)
    assert "background" in lit(run, [PLAIN, WALL, PLAIN])
    assert "significant among them: concept 1" in lit(run, [PLAIN, WALL, PLAIN])["background"].words
    assert "background" not in lit(run, [WALL, PLAIN, PLAIN])
    none = replace(run.scores["effect"], value=np.array([-1.0, -2.0, -3.0]))
    assert np.isnan(background_share(replace(run, scores={**run.scores, "effect": none}), [WALL, WALL, WALL]))


def test_a_concept_at_one_place_is_a_shortcut_only_where_it_matters():
    run = make_run()
    assert "concept 1" in lit(run, [PLAIN, LOGO, PLAIN])["shortcut"].words
    far = replace(run, scores={**run.scores, "effect": replace(run.scores["effect"], value=np.arange(3.0))})
    assert "shortcut" in lit(far, [PLAIN, PLAIN, LOGO])


def test_few_videos_poor_cavs_and_unsteady_rankings_are_lit():
    run = make_run()
    warned = lit(run, [PLAIN] * 3)
    assert "few videos" in warned
    noise = replace(run.scores["effect"], scores=np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32))
    assert "unstable ranking" in lit(replace(run, scores={**run.scores, "effect": noise}), [PLAIN] * 3)
    good = replace(run, cavs=replace(run.cavs, accuracy=np.full_like(run.cavs.accuracy, 0.95)))
    bad = replace(run, cavs=replace(run.cavs, accuracy=np.full_like(run.cavs.accuracy, 0.55)))
    assert "separation" not in lit(good, [PLAIN] * 3)
    assert "separation" in lit(bad, [PLAIN] * 3)
    assert "separation" in lit(replace(good, alignment=0.6), [PLAIN] * 3)
    steady = replace(run.scores["effect"], scores=np.array([[0.5] * 4, [2.5] * 4, [1.5] * 4], np.float32))
    assert "unstable ranking" not in lit(replace(run, scores={**run.scores, "effect": steady}), [PLAIN] * 3)


def test_a_linear_head_is_told_only_where_it_spoils_the_score():
    run = make_run()
    assert not any(light.label == "linear head" for light in reader_checks(run, [PLAIN] * 3))
    told = replace(run, warnings=("everything above the layer is linear: …",))
    assert "linear head" in lit(told, [PLAIN] * 3)


def test_held_out_videos_are_counted():
    words = [light.words for light in reader_checks(make_evaluated_run(), [PLAIN] * 3)]
    assert "4 videos; 7 held-out videos prove the ranking." in words


def test_lit_lights_come_first():
    order = [light.lit for light in reader_checks(make_run(), [PLAIN, WALL, PLAIN])]
    assert order == sorted(order, reverse=True)


def test_the_answer_claims_no_more_than_its_test():
    run = make_run()
    assert answer_words(run, [PLAIN] * 3, {}).startswith(
        f"“{run.target}” rests mostly on concept 1: hiding it costs 2.50"
    )
    weak = replace(run.scores["effect"], q_value=np.array([0.9, 0.3, 0.9]))
    said = answer_words(replace(run, scores={**run.scores, "effect": weak}), [PLAIN] * 3, {})
    assert "seems to rest on" in said
    assert "account for 0 %" in said
