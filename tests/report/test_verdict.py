"""The verdict: nothing is passed that was not tested, and each outcome follows from known numbers."""

from dataclasses import replace

import numpy as np
import pytest

from report_runs import make_evaluated_run, make_run
from voxplain.concepts.description import BINS, CELLS, ConceptDescription
from voxplain.concepts.order_tests import OrderTest
from voxplain.report.verdict import verdict

PLAIN = ConceptDescription(np.ones(BINS), np.ones((CELLS, CELLS)), motion=2.0, edge=0.2, wander=0.2)
LOGO = replace(PLAIN, motion=0.1, edge=0.9, wander=0.01)


def states(run, found=(PLAIN,) * 3):
    return {finding.code: finding.state for finding in verdict(run, found).findings}


def with_tests(run, videos, **outcomes):
    """An evaluated run of so many test videos whose comparisons of log-odds ended as given: difference and p-value."""
    tests = tuple(
        OrderTest(kind, other, "log_odds", *outcomes.get(f"{kind}_{other}", (0.1, -0.1, 0.3, 0.4)))
        for kind in ("adding", "removing")
        for other in ("random", "matched")
    )
    old, rows = run.evaluation.adding, np.arange(videos) % len(run.evaluation.adding.truth)
    adding = replace(
        old,
        logits=old.logits[:, rows],
        coverage=old.coverage[:, rows],
        **{name: getattr(old, name)[rows] for name in ("matched", "matched_right", "truth", "unmodified")},
    )
    return replace(run, evaluation=replace(run.evaluation, adding=adding, order_tests=tests))


CLEAR = (2.0, 1.0, 3.0, 0.001)


def test_without_held_out_clips_nothing_about_them_is_passed():
    found = verdict(make_run(), [PLAIN] * 3)
    assert (found.level, found.label) == ("untested", "Not tested on held-out clips")
    assert states(make_run())["held_out"] == "untested"


def test_too_few_held_out_clips_are_no_test():
    # Seven videos: the smallest p-value is 2⁻⁶ = 0.016, times four comparisons above 0.05.
    run = with_tests(make_evaluated_run(), 7, adding_random=CLEAR, adding_matched=CLEAR)
    assert states(run)["held_out"] == "untested"
    assert (
        states(with_tests(make_evaluated_run(), 8, adding_random=CLEAR, adding_matched=CLEAR))["held_out"] == "passed"
    )


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ({}, "failed"),
        ({"adding_random": CLEAR}, "failed"),  # not above regions of the same volume
        ({"adding_random": CLEAR, "removing_matched": CLEAR}, "failed"),
        ({"removing_random": CLEAR, "removing_matched": CLEAR}, "passed"),
        ({"removing_random": CLEAR, "removing_matched": (2.0, 1.0, 3.0, 0.02)}, "failed"),  # 0.06 by Holm
        ({"removing_random": CLEAR, "removing_matched": CLEAR, "adding_random": (-2.0, -3.0, -1.0, 0.001)}, "failed"),
    ],
)
def test_held_out_clips_support_what_is_above_both_rivals(outcomes, state):
    assert states(with_tests(make_evaluated_run(), 12, **outcomes))["held_out"] == state


def test_a_concept_that_is_not_significant_is_not_supported():
    run = with_tests(make_evaluated_run(), 12, removing_random=CLEAR, removing_matched=CLEAR)
    assert verdict(run, [PLAIN] * 3).level == "limited"  # four videos only
    weak = replace(run.scores["effect"], q_value=np.array([0.9, 0.3, 0.9]))
    found = verdict(replace(run, scores={**run.scores, "effect": weak}), [PLAIN] * 3)
    assert found.level == "unsupported"
    assert "4 clips are too few" in found.reason


def test_stability_is_passed_only_where_clips_fills_and_clusterings_agree():
    run = make_run()  # one fill, no repeated clusterings
    steady = replace(run.scores["effect"], scores=np.array([[0.5] * 4, [2.5] * 4, [1.5] * 4], np.float32))
    run = replace(run, scores={**run.scores, "effect": steady})
    assert states(run)["stability"] == "untested"
    clustered = replace(run, bank=replace(run.bank, stability=np.array([0.9, 0.9, 0.9], np.float32)))
    assert states(clustered)["stability"] == "untested"
    drops = np.array([[1.0, 5.0, 2.0], [1.0, 5.0, 2.0]])

    def filled(drops):
        hidden = np.zeros((2, *run.effects.base.shape[:1], 3, run.effects.base.shape[1]), np.float32)
        hidden[..., 0] = -drops[:, None]
        blank = np.stack([run.effects.base] * 2)
        base = np.zeros_like(run.effects.base)
        effects = replace(
            run.effects, base=base, hidden=hidden, control=hidden, alone=hidden, blank=blank, fills=("blur", "median")
        )
        return replace(clustered, effects=effects)

    assert states(filled(drops))["stability"] == "passed"
    assert states(filled(np.array([[1.0, 5.0, 2.0], [6.0, 5.0, 2.0]])))["stability"] == "failed"
    low = replace(run.bank, stability=np.array([0.9, 0.3, 0.9], np.float32))
    assert states(replace(filled(drops), bank=low))["stability"] == "failed"


def test_a_logo_is_not_passed_as_no_background():
    assert states(make_run(), [PLAIN, PLAIN, PLAIN])["background"] == "passed"
    assert states(make_run(), [PLAIN, LOGO, PLAIN])["background"] == "failed"
    assert states(make_run(), [LOGO, PLAIN, PLAIN])["background"] == "passed"  # another concept


def test_coherence_is_that_of_the_first_concept():
    run = make_run()
    good = replace(run, cavs=replace(run.cavs, accuracy=np.array([[0.5] * 5, [0.9] * 5, [0.5] * 5], np.float32)))
    bad = replace(run, cavs=replace(run.cavs, accuracy=np.array([[0.9] * 5, [0.5] * 5, [0.9] * 5], np.float32)))
    assert states(good)["coherence"] == "passed"
    assert states(bad)["coherence"] == "failed"
    assert states(replace(good, clip_dependence=0.8))["coherence"] == "failed"


def test_a_network_that_relies_on_nothing_is_not_supported():
    run = make_run()
    none = replace(run.scores["effect"], value=np.array([-1.0, -2.0, -3.0]))
    assert verdict(replace(run, scores={**run.scores, "effect": none}), [PLAIN] * 3).level == "unsupported"
