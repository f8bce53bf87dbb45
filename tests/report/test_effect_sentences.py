"""Sentences on motion, pairs, completeness and fills, of a run whose effects are known; the run is saved and read."""

import re
from dataclasses import replace

import numpy as np

from report_runs import make_run, make_scores
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import Effects
from voxplain.report.effect_sentences import effect_sentences
from voxplain.store.runs import load_run, save_run

M, K, C = 12, 3, 4
VARIANTS = (("alone", (0, 1)), ("frozen", (1,)), ("hidden", (0, 1)), ("moved", (1,)), ("shuffled", (1,)))


def known_run() -> ConceptRun:
    """Concept 1 costs 10 log-odds, 4 when held still; with concept 0 it costs 15, where 10 + 2 would be the sum."""

    def logits(lost):
        z = np.zeros((2, M, len(lost), C), np.float32)
        z[..., 0] = 20 - np.asarray(lost) - np.linspace(-0.5, 0.5, M)[:, None]
        return z

    hidden, alone, variants = logits([2, 10, 1]), logits([18, 10, 19]), logits([5, 4, 15, 0, 3])
    hidden[1, ..., 0] -= [0, 0, 9]  # with the second fill concept 2 seems to matter
    variants[:, M // 2 :] = np.nan
    base = logits([0])[0, :, 0]
    effects = Effects(
        base,
        hidden,
        hidden,
        alone,
        logits([20])[:, :, 0],
        np.full((M, K), 0.1, np.float32),
        ("blur", "median"),
        np.arange(0, 2 * M, 2),
        VARIANTS,
        variants,
        123,
    )
    scores = {**make_run().scores, "effect": make_scores("effect (drop)", [2.0, 10.0, 1.0], [0.01, 0.01, 0.9], 0.0, 0)}
    return replace(make_run(), effects=effects, scores=scores)


def test_what_is_said_of_known_effects():
    got = effect_sentences(known_run(), {0: "ring"})
    assert [re.split(r" \(?\[", s)[0] for s in got] == [
        "Concept 1 matters by its motion: held still it loses 40 %",
        "Hiding ring and concept 1 together costs 3.0 log-odds more than the sum of each alone",
        "The 2 significant concepts together: hiding them costs 75 %",
        "The effect of concept 2 depends on what replaces hidden voxels (blur, median): read it with care.",
    ]
    assert "moved elsewhere 0 %" in got[0]
    assert "(6 clips)" in got[0]
    assert "showing only them keeps 75 %" in got[2]


def test_one_significant_concept_is_one():
    run = known_run()
    alone = make_scores("effect (drop)", [2.0, 10.0, 1.0], [0.5, 0.01, 0.9], 0.0, 0)
    (got,) = [s for s in effect_sentences(replace(run, scores={**run.scores, "effect": alone})) if "blank clip" in s]
    assert got.startswith("The one significant concept: hiding it costs 50 %")
    assert "showing only it keeps 50 %" in got


def test_nothing_is_said_of_what_was_not_measured():
    assert effect_sentences(make_run()) == []


def test_a_run_with_all_of_it_is_saved_and_read(tmp_path):
    run = known_run()
    save_run(tmp_path, run)
    got = load_run(tmp_path).effects
    for name, value in vars(run.effects).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(got, name), value)
            assert getattr(got, name).dtype == value.dtype
        else:
            assert getattr(got, name) == value
    assert effect_sentences(load_run(tmp_path)) == effect_sentences(run)


def test_the_share_of_no_concept_is_what_the_concepts_of_one_level_leave():
    from voxplain.report.sentences import significance_sentence
    from voxplain.segment import Supervoxels

    run = known_run()  # three concepts of a tenth of the voxels each
    flat = [Supervoxels.from_levels([s.labels[0]]) for s in run.supervoxels]
    one_level = replace(run, supervoxels=flat, assigned=tuple(np.full(s.count, -1) for s in flat))
    assert significance_sentence(one_level).endswith("70 % of the voxels are of no concept.")
