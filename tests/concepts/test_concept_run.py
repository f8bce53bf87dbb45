"""The record of an explanation: every number of its table comes from the right place."""

from dataclasses import replace

import numpy as np
import pytest

from known_nets import GRID, noise, quarters
from voxplain.concepts.cav import CAVs
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun, combined_evaluation
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import Effects
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.recognition import Recognition
from voxplain.errors import DataError
from voxplain.segment import Supervoxels

K, CLIPS = 3, 2


def scores(name: str, values: list[float], q: list[float]) -> ConceptScores:
    value = np.array(values)
    return ConceptScores(
        name,
        0,
        np.zeros((K, 4), np.float32),
        value,
        np.zeros(5, np.float32),
        np.stack([value - 0.1, value + 0.2], 1),
        np.array(q) / 2,
        np.array(q),
        np.zeros(K),
        0.0,
        value - 0.25,
        np.stack([value - 0.5, value + 0.5], 1),
    )


@pytest.fixture
def run():
    """By effect concept 2 is first, then 0, then 1; by TCAV 1, 0, 2."""
    parts = Supervoxels.from_levels([quarters()])
    members = (np.array([5, 0]), np.array([1]), np.array([7, 2, 3]))
    bank = ConceptBank(
        np.zeros((K, 3), np.float32),
        members,
        tuple(np.arange(len(m), dtype=np.float32) for m in members),
        np.array([4, 4, 4]),
        np.array([2, 1, 2]),
        "by hand",
        np.full(K, np.inf, np.float32),
        np.full(K, np.nan, np.float32),
    )
    logits = np.zeros((CLIPS, K, 2), np.float32)
    hidden = logits - np.array([1, 0], np.float32)  # hiding any concept lowers the class
    volume = np.array([[0.2, 0.4, 0.6], [0.4, 0.0, 0.2]], np.float32)
    accuracy = np.array([[0.5, 0.7], [1.0, 1.0], [0.25, 0.75]], np.float32)
    return ConceptRun(
        target="bend",
        target_index=0,
        layer="pool",
        network="tiny",
        classes=("bend", "run"),
        preset="default",
        parameters={},
        provenance={},
        clips=(noise(0), noise(1)),
        supervoxels=(parts, parts),
        origin=np.array([(c, s) for c in range(CLIPS) for s in range(4)]),
        assigned=(np.zeros(4, int), np.zeros(4, int)),
        bank=bank,
        cavs=CAVs(np.tile(np.eye(3, dtype=np.float32)[:, None], (1, 2, 1)), accuracy, "pool"),
        alignment=0.0,
        effects=Effects(logits[:, 0], hidden, logits, logits, logits[:, 0], volume),
        scores={
            "effect": scores("effect (drop)", [1.5, 0.5, 2.5], [0.2, 0.9, 0.01]),
            "tcav": scores("tcav (magnitude)", [0.3, 0.4, -0.1], [0.6, 0.02, 0.7]),
        },
        ranking="effect",
    )


def test_rows_by_hand(run):
    assert run.order.tolist() == [2, 0, 1]
    first, second, third = run.rows()
    assert [r.rank for r in (first, second, third)] == [1, 2, 3]
    assert [r.concept for r in (first, second, third)] == [2, 0, 1]
    assert (first.score, first.effect, first.tcav) == (2.5, 2.5, -0.1)
    assert (first.p_value, first.q_value, first.effect_q, first.tcav_q) == (0.005, 0.01, 0.01, 0.7)
    assert (first.low, first.high) == pytest.approx((2.4, 2.7))
    assert (first.videos, first.members, third.videos, third.members) == (2, 3, 1, 1)
    assert [r.cav_accuracy for r in (first, second, third)] == pytest.approx([0.5, 0.6, 1.0])
    assert [r.volume for r in (first, second, third)] == pytest.approx([0.4, 0.3, 0.2])


def test_the_ranking_score_decides_order_and_score(run):
    other = replace(run, ranking="tcav")
    assert other.order.tolist() == [1, 0, 2]
    first = other.rows()[0]
    assert (first.concept, first.score, first.q_value) == (1, 0.4, 0.02)
    assert (first.effect, first.effect_q, first.tcav, first.tcav_q) == (0.5, 0.9, 0.4, 0.02)


def test_table_holds_the_rows_best_first(run):
    head, *lines = run.table().splitlines()
    assert head.split()[:3] == ["rank", "concept", "score"]
    numbers = [line.replace("[", "").replace("]", "").replace(",", "").split() for line in lines]
    tested = ["2.250", "2.000", "3.000"]
    assert numbers[0] == ["1", "2", "2.500", *tested, "0.010", "2.50", "-0.10", "0.50", "2/2", "40.0", "%"]
    assert [n[1] for n in numbers] == ["2", "0", "1"]


def test_sentence_says_whether_it_is_significant(run):
    tested = "2.25 above random regions of its volume (adjusted interval 2.00 to 3.00, q = 0.01, significant)"
    assert run.sentence() == (
        f"“bend” relies most on concept 2: effect 2.50, {tested}; it covers 40 % of the voxels and is found in 2 of 2 "
        "videos."
    )
    weak = replace(run, scores={**run.scores, "effect": scores("effect", [1.5, 0.5, 2.5], [0.2, 0.9, 0.05])})
    assert "may rely most on concept 2" in weak.sentence()
    assert "q = 0.05, not significant)" in weak.sentence()
    assert "0.15 above concepts of unrelated videos" in replace(run, ranking="tcav").sentence()


def test_sentence_of_a_concept_that_was_not_compared(run):
    effect = scores("effect", [1.5, 0.5, 2.5], [1, 1, 1])
    unknown = replace(run, scores={**run.scores, "effect": replace(effect, tested=np.full(K, np.nan))})
    assert "concept 2: effect 2.50, not compared with random regions of its volume; it covers" in unknown.sentence()


def test_sentence_of_a_class_that_is_not_recognised(run):
    known, unknown = (Recognition(12, 12, 9, 0, 5.0, 4.0, 6.0, p) for p in (0.001, 0.5))
    assert replace(run, recognition=known).sentence() == run.sentence()
    assert replace(run, recognition=unknown).sentence() == (
        "The network does not clearly recognise “bend”, so no concept is called significant; first is concept 2, "
        "effect 2.50; it covers 40 % of the voxels and is found in 2 of 2 videos."
    )


def test_a_concept_whose_hiding_raises_the_class_is_not_relied_on(run):
    """By effect 2, 0, 1 come first; the class is lowered by hiding none, by 1 only, by 0 and 1."""
    none = "“bend” relies on none of the concepts: hiding none of them lowers it."
    for lowering, said in (((), none), ((1,), "concept 1: effect 0.50"), ((0, 1), "concept 0: effect 1.50")):
        hidden = np.zeros((CLIPS, K, 2), np.float32)
        hidden[..., 0] = 1
        hidden[:, list(lowering), 0] = -1
        changed = replace(run, effects=replace(run.effects, hidden=hidden))
        assert said in changed.sentence()
        by_tcav = replace(changed, ranking="tcav").sentence()
        assert ("concept 1: tcav 0.40" if lowering else none) in by_tcav
    negative = replace(run, scores={**run.scores, "effect": scores("effect", [-1.5, -0.5, -2.5], [0.2, 0.9, 0.05])})
    assert negative.sentence() == none


@pytest.mark.parametrize(
    ("concept", "place", "clip", "supervoxel"), [(0, 0, 1, 1), (0, 1, 0, 0), (2, 0, 1, 3), (2, 2, 0, 3)]
)
def test_members_are_found_where_they_are(run, concept, place, clip, supervoxel):
    found, mask = run.member(concept, place)
    assert found is run.clips[clip]
    assert np.array_equal(mask, quarters() == supervoxel)
    assert mask.shape == GRID


def test_refusals_and_text(run):
    assert repr(run) == "ConceptRun('bend', layer='pool', clips=2, concepts=3)"
    with pytest.raises(DataError, match=r"a ranking of \['effect', 'tcav'\], got 'beauty'; choose"):
        replace(run, ranking="beauty")
    for wrong in ({"clips": run.clips[:1]}, {"supervoxels": run.supervoxels[:1]}, {"assigned": run.assigned[:1]}):
        with pytest.raises(DataError, match="supervoxels and assignments for every clip"):
            replace(run, **wrong)


def evaluated(run: ConceptRun, target: int, videos: int) -> ConceptRun:
    """The top order is right in every video while adding and never while removing; the others the reverse."""
    hit, miss = np.eye(2)[target], np.eye(2)[1 - target]

    def steps(kind: str) -> AddRemoveCurves:
        top, other = (hit, miss) if kind == "adding" else (miss, hit)
        z = np.stack([np.tile(x, (videos, 4, 1)) for x in (top, other, other)]).astype(np.float32)
        return AddRemoveCurves(
            kind,
            ("top", "least", "random0"),
            z,
            np.zeros(z.shape[:3], np.float32),
            z[1],
            np.zeros((videos, 4), np.float32),
            np.full(videos, target),
            np.tile(hit, (videos, 1)),
        )

    return replace(run, evaluation=EvaluationRun(steps("adding"), steps("removing"), ()))


def test_classes_are_evaluated_together(run):
    both = combined_evaluation([evaluated(run, 0, 3), evaluated(run, 1, 2)])
    assert both.adding.truth.tolist() == both.removing.truth.tolist() == [0, 0, 0, 1, 1]
    assert both.adding.baseline() == 1
    assert both.adding.right()[0].all()
    assert not both.removing.right()[0].any()
    least = [c for c in both.order_tests if c.other == "least" and c.measure == "accuracy"]
    assert {c.kind: c.difference for c in least} == {"adding": 1, "removing": 1}


def test_runs_that_do_not_belong_together_are_not_combined(run):
    whole = evaluated(run, 0, 3)
    for others in ([run], [replace(whole, layer="fc")], [replace(whole, network="c3d")], [replace(whole, classes=())]):
        with pytest.raises(DataError, match=r"expected evaluated runs of one network and layer, got .*; run evaluate"):
            combined_evaluation([whole, *others])
    with pytest.raises(DataError, match="got 0 evaluated of 0 at 0 places"):
        combined_evaluation([])
