"""Checks at the head of a page: each fails by what it warns of, and not otherwise."""

import re
from dataclasses import replace

import numpy as np
import pytest

from report_runs import make_evaluated_run, make_run
from voxplain.concepts.description import BINS, CELLS, ConceptDescription
from voxplain.concepts.warnings import RunWarning, background_share
from voxplain.report.checks import reader_checks, remaining_warnings
from voxplain.report.lead import lead, plain_text
from voxplain.report.page import report_page

PLAIN = ConceptDescription(np.ones(BINS), np.ones((CELLS, CELLS)), motion=2.0, edge=0.2, wander=0.2)
WALL = replace(PLAIN, motion=0.4, edge=1.5)
LOGO = replace(PLAIN, motion=0.1, edge=0.9, wander=0.01)


def failed(run, found):
    return {check.code: check.message for check in reader_checks(run, found) if not check.passed}


def test_background_is_the_share_of_positive_effects():
    run = make_run()  # effects 0.5, 2.5, 1.5
    assert background_share(run, [PLAIN, WALL, PLAIN]) == pytest.approx(2.5 / 4.5)
    assert background_share(run, [WALL, PLAIN, PLAIN]) == pytest.approx(0.5 / 4.5)
    assert "background" in failed(run, [PLAIN, WALL, PLAIN])
    assert "significant among them: concept 1" in failed(run, [PLAIN, WALL, PLAIN])["background"]
    assert "background" not in failed(run, [WALL, PLAIN, PLAIN])
    none = replace(run.scores["effect"], value=np.array([-1.0, -2.0, -3.0]))
    assert np.isnan(background_share(replace(run, scores={**run.scores, "effect": none}), [WALL, WALL, WALL]))


def test_a_concept_at_one_place_is_a_shortcut_only_where_it_matters():
    run = make_run()
    assert "concept 1" in failed(run, [PLAIN, LOGO, PLAIN])["fixed_concept"]
    far = replace(run, scores={**run.scores, "effect": replace(run.scores["effect"], value=np.arange(3.0))})
    assert "fixed_concept" in failed(far, [PLAIN, PLAIN, LOGO])


def test_few_videos_poor_cavs_and_unsteady_rankings_are_failed():
    run = make_run()
    warned = failed(run, [PLAIN] * 3)
    assert "few_videos" in warned
    noise = replace(run.scores["effect"], scores=np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32))
    assert "unstable_ranking" in failed(replace(run, scores={**run.scores, "effect": noise}), [PLAIN] * 3)
    good = replace(run, cavs=replace(run.cavs, accuracy=np.full_like(run.cavs.accuracy, 0.95)))
    bad = replace(run, cavs=replace(run.cavs, accuracy=np.full_like(run.cavs.accuracy, 0.55)))
    assert not {"poor_cavs", "aligned_cavs"} & failed(good, [PLAIN] * 3).keys()
    assert "poor_cavs" in failed(bad, [PLAIN] * 3)
    assert "aligned_cavs" in failed(replace(good, alignment=0.6), [PLAIN] * 3)
    steady = replace(run.scores["effect"], scores=np.array([[0.5] * 4, [2.5] * 4, [1.5] * 4], np.float32))
    assert "unstable_ranking" not in failed(replace(run, scores={**run.scores, "effect": steady}), [PLAIN] * 3)


def test_dependence_on_clips_is_failed_where_the_run_was_warned():
    run = make_run()
    assert "clip_dependence" not in {check.code for check in reader_checks(run, [PLAIN] * 3)}  # not measured
    high = replace(run, clip_dependence=0.9)
    assert "clip_dependence" not in failed(high, [PLAIN] * 3)
    warned = replace(high, warnings=(*high.warnings, RunWarning("clip_dependence", "they depend by 0.9")))
    assert failed(warned, [PLAIN] * 3)["clip_dependence"] == "They depend by 0.9."
    passed = {c.code: c.message for c in reader_checks(high, [PLAIN] * 3) if c.passed}
    assert "depends on its clip by 0.90 (adjusted mutual" in passed["clip_dependence"]


def test_held_out_videos_are_counted():
    messages = [check.message for check in reader_checks(make_evaluated_run(), [PLAIN] * 3)]
    assert "The ranking was tested on 7 held-out videos." in messages
    assert "not_evaluated" in failed(make_run(), [PLAIN] * 3)


def test_failed_checks_come_first():
    order = [check.passed for check in reader_checks(make_run(), [PLAIN, WALL, PLAIN])]
    assert order == sorted(order)


def test_warnings_and_checks_are_merged_by_code():
    said = (
        RunWarning("few_videos", "worded in another way than the check"),
        RunWarning("duplicates", "2 of the class"),
        RunWarning("leaked", "1 of 3"),
        RunWarning("duplicates", "1 of the unrelated videos"),
        RunWarning("leaked", "1 of 3"),
    )
    run = replace(make_run(), warnings=said)
    left = remaining_warnings(run, reader_checks(run, [PLAIN] * 3))
    assert left == [
        RunWarning("duplicates", "2 of the class; 1 of the unrelated videos"),
        RunWarning("leaked", "1 of 3"),
    ]
    codes = re.findall(r'data-code="(\w+)"', report_page(run).decode())
    assert len(codes) == len(set(codes))
    assert {"few_videos", "duplicates", "leaked"} <= set(codes)


def test_the_answer_claims_no_more_than_its_test():
    run = make_run()
    parts = lead(run, [PLAIN] * 3, {})
    assert plain_text(parts).startswith(f"For “{run.target}” the network relies mostly on concept 1, a ")
    assert parts["measured"].startswith("Hiding it lowers the log-odds by 2.50, ")
    weak = replace(run.scores["effect"], q_value=np.array([0.9, 0.3, 0.9]))
    unsure = replace(run, scores={**run.scores, "effect": weak})
    assert "may rely mostly on" in plain_text(lead(unsure, [PLAIN] * 3, {}))
    # 4 clips: 2⁻⁴ is above 0.05.
    assert "not significant, because 4 clips are too few" in plain_text(lead(unsure, [PLAIN] * 3, {}))
    none = replace(run.scores["effect"], value=np.array([-1.0, -2.0, -3.0]))
    assert "none of the concepts" in plain_text(
        lead(replace(run, scores={**run.scores, "effect": none}), [PLAIN] * 3, {})
    )
