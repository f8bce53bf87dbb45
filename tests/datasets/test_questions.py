"""Planted questions: the answers are those of the scenes and of their counterfactuals."""

import numpy as np
import pytest

from question_nets import count_model, label_model, speed_model
from voxplain.datasets.planted import QUESTIONS, freeze, planted_answers, render, true_answer, without
from voxplain.errors import DataError


@pytest.mark.parametrize("question", QUESTIONS)
def test_same_seed_same_clips_and_their_answers(question):
    one, two = (planted_answers(question, 6, seed=2) for _ in range(2))
    assert all(np.array_equal(a.clip.frames, b.clip.frames) for a, b in zip(one, two, strict=True))
    other = planted_answers(question, 6, seed=3)
    assert not np.array_equal(one[0].clip.frames, other[0].clip.frames)
    for planted in one:
        assert np.array_equal(true_answer(question, planted.scene), planted.answer)
        assert set(planted.masks()) == {thing.name for thing in planted.scene.objects}
    assert len({tuple(p.answer) for p in planted_answers(question, 40)}) > 3


def test_counterfactuals_change_the_answer_by_what_they_take_away():
    for planted in planted_answers("count", 20):
        for thing in planted.scene.objects:
            left = float(true_answer("count", without(planted.scene, thing.name))[0])
            assert left == planted.answer[0] - (thing.shape == "disk")
    for planted in planted_answers("speed", 10):
        assert true_answer("speed", freeze(planted.scene, "disk1")).tolist() == [0.0]
        assert true_answer("speed", freeze(planted.scene, "square0")).tolist() == planted.answer.tolist()
    with pytest.raises(DataError, match="a question among count, speed, labels"):
        planted_answers("colour", 1)


@pytest.mark.parametrize(("question", "model", "off"), [("count", count_model(), 0.25), ("speed", speed_model(), 0.5)])
def test_the_clips_show_their_answers(question, model, off):
    """Networks in closed form read them; so do the counterfactuals, which are rendered again."""
    shown = planted_answers(question, 24, seed=1)
    read = np.array([float(model.logits(p.clip)[0, 0]) for p in shown])
    assert np.abs(read - [p.answer[0] for p in shown]).max() < off
    for planted in shown[:8]:
        for thing in planted.scene.objects:
            scene = (without if question == "count" else freeze)(planted.scene, thing.name)
            found = float(model.logits(render(scene, codec=False))[0, 0])
            assert abs(found - true_answer(question, scene)[0]) < off


def test_the_clips_show_their_labels():
    model = label_model()
    for planted in planted_answers("labels", 24, seed=1):
        assert np.array_equal(model.logits(planted.clip)[0].numpy() > 0, planted.answer > 0)
