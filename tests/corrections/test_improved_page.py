"""The page of a correction: what was measured is on it, before and after side by side, and names are escaped."""

import re
from dataclasses import replace

import numpy as np
import pytest
from shortcut_task import cheating_model, task

from voxplain.corrections import Improved, ProjectConcept
from voxplain.corrections.clip_change import clip_changes, contradicting
from voxplain.corrections.compare import Gain
from voxplain.corrections.improved import NetworkRow
from voxplain.corrections.page import improved_page, sentences, write_improved_report
from voxplain.video import Clip


@pytest.fixture(scope="module")
def improved():
    model, test = replace(cheating_model(), classes=("red", "<b>green")), task(4, 0.5, 0)
    corrected = ProjectConcept()(model, task(20, 0.9, 1))
    clips = [Clip(f, np.arange(len(f)) / 4, f"videos/<i>{i}.mp4") for i, f in enumerate(test.frames)]
    changes = clip_changes(model, corrected, test, clips, 1, count=4)
    rows = (
        NetworkRow("original", 0.9, 0.25, 0.5, 8.0),
        NetworkRow("further", 0.91, 0.3, 0.55, 9.0),
        NetworkRow("random", 0.92, 0.31, 0.56, 8.5),
        NetworkRow("corrected", 0.93, 0.75, 0.875, 2.0),
    )
    gains = tuple(
        Gain("corrected", other, clips, 16, 32.5, 11.25, 51.0, 0.004)
        for other in ("original", "further", "random")
        for clips in ("all", "conflicting")
    )
    parameters = {"class": "<b>green", "remove": [2], "keep": [], "seeds": 1}
    parameters |= {"test_clips": 8, "test_clips_with_concept": 4}
    return Improved(corrected, "p_clarc", parameters, {"voxplain": "0"}, rows, gains, changes), test


def test_the_sentences_have_the_measured_figures(improved):
    first, second, third, fourth = sentences(improved[0])
    assert "50.0 % were recognised before the correction and 87.5 % are after it" in first
    assert "reaches 55.0 %" in first
    assert "random concept 56.0 %" in first
    assert "32.5 points, 95 % interval 11.2 to 51.0, p = 0.004" in second.replace("11.3", "11.2")
    assert "25.0 % before, 75.0 % after" in third
    assert fourth == "Of the reliance on the concept, 25 % remain."


def test_shown_clips_contradict_the_concept_and_have_the_probabilities_of_both_networks(improved):
    found, test = improved
    against = contradicting(test, 1)
    assert against.tolist() == [True, True, False, False, False, False, True, True] or against.sum() == 4
    assert len(found.changes) == 4
    model = cheating_model()
    for change in found.changes:
        i = int(change.source.removeprefix("videos/<i>").removesuffix(".mp4"))
        assert against[i]
        assert (change.label == 1) != change.mask.any()
        for network, shown in ((model, change.before), (found.model, change.after)):
            expected = network.logits(test.frames[i : i + 1]).double().softmax(1)[0].numpy()
            np.testing.assert_allclose(shown, expected, rtol=1e-6)
    changed = [c.before.argmax() != c.after.argmax() for c in found.changes]
    assert changed == sorted(changed, reverse=True)


def test_the_page_is_whole_and_escaped(improved, tmp_path):
    found, _ = improved
    text = improved_page(found).decode()
    assert "<b>green" not in text
    assert "&lt;b&gt;green" in text
    assert "<i>0" not in text
    assert text.count("<h4>before</h4>") == text.count("<h4>after</h4>") == 4
    assert "<td>32.5</td>" in text
    assert not re.search(r"(src|href)=\"https?:", text)
    path = write_improved_report(found, tmp_path / "page.html")
    assert path.read_bytes() == improved_page(found)


def test_a_page_without_clips_says_nothing_of_them(improved):
    text = improved_page(replace(improved[0], changes=())).decode()
    assert "Test clips" not in text
