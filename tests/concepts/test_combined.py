from dataclasses import replace

import numpy as np
import pytest

from voxplain.concepts.concept_run import ConceptRun, EvaluationRun, combined_evaluation
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.order_tests import all_order_tests
from voxplain.errors import DataError

NAMES = ("top", "least", "random0", "random1")


def steps(kind: str, truth: int, videos: int, seed: int) -> AddRemoveCurves:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4, videos, 3, 5)).astype(np.float32)
    return AddRemoveCurves(
        kind,
        NAMES,
        logits,
        rng.random((4, videos, 3)).astype(np.float32),
        logits[0],
        rng.random((videos, 3)).astype(np.float32),
        np.full(videos, truth),
        logits[0, :, -1],
    )


def run(target: str, truth: int, videos: int, **changed: object) -> ConceptRun:
    """A run with only the fields that combining reads."""
    adding, removing = steps("adding", truth, videos, truth), steps("removing", truth, videos, 10 + truth)
    found = object.__new__(ConceptRun)
    fields = {
        "target": target,
        "network": "n",
        "layer": "pool",
        "classes": tuple("abcde"),
        "evaluation": EvaluationRun(adding, removing, all_order_tests(adding, removing)),
        **changed,
    }
    for name, value in fields.items():
        object.__setattr__(found, name, value)
    return found


def test_videos_keep_their_own_class_and_order():
    a, b = run("a", 0, 3), run("b", 1, 2)
    both = combined_evaluation([a, b])
    assert both.adding.truth.tolist() == [0, 0, 0, 1, 1]
    joined = np.concatenate([a.evaluation.removing.right(), b.evaluation.removing.right()], 1)
    assert np.array_equal(both.removing.right(), joined)
    shares = [(e.adding.baseline(), len(e.adding.truth)) for e in (a.evaluation, b.evaluation)]
    assert both.adding.baseline() == pytest.approx(sum(x * n for x, n in shares) / 5)
    # The difference over all videos is the mean of those of the classes, weighted by their videos.
    for own, one, two in zip(both.order_tests, a.evaluation.order_tests, b.evaluation.order_tests, strict=True):
        assert (own.kind, own.other, own.measure) == (one.kind, one.other, one.measure)
        assert own.difference == pytest.approx((3 * one.difference + 2 * two.difference) / 5)
        assert own.low <= own.difference <= own.high


@pytest.mark.parametrize("changed", [{"layer": "head"}, {"evaluation": None}, {"network": "m"}])
def test_what_does_not_belong_together_is_refused(changed):
    with pytest.raises(DataError, match="expected evaluated runs of one network and layer"):
        combined_evaluation([run("a", 0, 2), run("b", 1, 2, **changed)])


def test_no_runs_is_one_sentence():
    with pytest.raises(DataError, match="got 0 evaluated of 0"):
        combined_evaluation([])


def test_steps_of_other_orders_are_refused():
    a, b = run("a", 0, 2), run("b", 1, 2)
    other = replace(b.evaluation.adding, names=("top", "least", "random0", "random2"))
    object.__setattr__(b, "evaluation", replace(b.evaluation, adding=other))
    with pytest.raises(DataError, match="same orders"):
        combined_evaluation([a, b])
