from dataclasses import replace

import numpy as np
import pytest

from report_runs import VIDEOS, make_evaluation, make_run
from voxplain.report.sentences import evaluation_sentences, meaning, order_test_sentence, significance_sentence

CLAIMED, UNCLEAR, AGAINST = make_evaluation().order_tests


def test_a_contrast_says_no_more_than_its_interval():
    assert order_test_sentence(CLAIMED) == (
        "Adding the top concepts first keeps 12.5 points of accuracy more than the least concepts first "
        "(95 % 5.0 to 20.0, p = 0.012)."
    )
    assert "no clear difference to random regions of the same volume: 0.400 of log-odds" in order_test_sentence(UNCLEAR)
    assert (
        "loses 25.0 points of accuracy less than concepts in random order, which does not support the ranking"
        in order_test_sentence(AGAINST)
    )


@pytest.mark.parametrize(
    ("q", "start"), [([0.5, 0.5, 0.5], "None"), ([0.01, 0.5, 0.5], "1 of"), ([0.01, 0.02, 0.03], "All of")]
)
def test_found_words_count(q, start):
    run = make_run()
    score = replace(run.scores["effect"], q_value=np.array(q))
    assert significance_sentence(replace(run, scores={**run.scores, "effect": score})).startswith(start)


def test_evaluation_words_name_the_end_points():
    evaluation = make_evaluation()
    words = " ".join(evaluation_sentences(evaluation))
    steps = evaluation.adding
    assert f"{VIDEOS} held-out test videos" in words
    assert f"{100 * steps.baseline():.1f} % unmodified" in words
    assert f"one video is {100 / VIDEOS:.1f} %" in words
    assert f"The top 3 concepts cover {100 * steps.coverage[0, :, 3].mean():.1f} %" in words


def test_a_blank_clip_that_is_called_the_class_is_told():
    evaluation = make_evaluation()
    steps = evaluation.adding
    logits = steps.logits.copy()
    logits[:, :, 0] = [9, 0, 0, 0]
    told = evaluation_sentences(replace(evaluation, adding=replace(steps, logits=logits)))
    assert any("empty clip is itself classified as the right class" in words for words in told)
    logits[:, :, 0] = [0, 9, 0, 0]
    told = evaluation_sentences(replace(evaluation, adding=replace(steps, logits=logits)))
    assert not any("empty clip" in words for words in told)


@pytest.mark.parametrize(
    "name", ["effect (drop)", "effect (over-control)", "effect (alone)", "tcav (magnitude, logit)"]
)
def test_every_score_has_a_meaning_of_its_own(name):
    score = replace(make_run().scores["effect"], name=name)
    assert "Significant" in meaning(score) or "Significance" in meaning(score)
    assert meaning(replace(score, name="another")).startswith("Higher is more important")
