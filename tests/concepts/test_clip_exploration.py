"""Taking a test clip apart: every switch position against a picture made by hand."""

import numpy as np
import pytest

from known_nets import colour_model, logits, noise, two_levels
from voxplain.concepts.clip_exploration import ClipExploration
from voxplain.errors import DataError

RANKED = np.array([2, 0, 3, 1])
ASSIGNED = np.array([0, 1, 3, 0, 3])  # concept 2 is absent


def test_every_switch_position_by_hand():
    clip, parts = noise(), two_levels()
    found = ClipExploration(switches=2)(colour_model(), clip, parts, ASSIGNED, RANKED, fill="black", place=3)
    assert found.switches.tolist() == [0, 3]  # the best that the clip has
    masks = {k: parts.masks(np.flatnonzero(k == ASSIGNED)) for k in (0, 1, 3)}

    def without(*concepts):
        gone = np.any([masks[k] for k in concepts], axis=0) if concepts else np.zeros(clip.frames.shape[:3], bool)
        return logits(np.where(gone[..., None], 0, clip.frames).astype(np.uint8))

    np.testing.assert_allclose(found.switched, [without(), without(0), without(3), without(0, 3)], atol=1e-4)
    np.testing.assert_array_equal(found.unmodified, found.switched[0])
    np.testing.assert_allclose(found.blank, logits(np.zeros_like(clip.frames)), atol=1e-4)
    np.testing.assert_allclose(found.hidden[[0, 1, 3]], [without(0), without(1), without(3)], atol=1e-4)
    assert np.isnan(found.hidden[2]).all()
    assert (found.place, found.fill) == (3, "black")


def test_clips_are_chosen_from_best_to_worst():
    margin = np.array([0.0, 5.0, -3.0, 2.0, 1.0])
    assert ClipExploration(clips=3).choose(margin) == [1, 4, 2]
    assert ClipExploration(clips=9).choose(margin) == [1, 3, 4, 0, 2]
    assert ClipExploration(clips=0).choose(margin) == []


def test_too_many_switches_and_unknown_fills_are_refused():
    with pytest.raises(DataError, match="doubles the forwards"):
        ClipExploration(switches=11)
    with pytest.raises(DataError, match="fill"):
        ClipExploration()(colour_model(), noise(), two_levels(), ASSIGNED, RANKED, fill="pink", place=0)
