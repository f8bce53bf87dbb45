"""Insertion over several baselines and over other clips: equal to plain insertion where it must be."""

import numpy as np
import pytest
from known_maps import contributions, given, linear_model, noise

from voxplain.errors import DataError
from voxplain.metrics import InfilledInsertion, Insertion
from voxplain.perturb import base_clip


def test_each_baseline_is_plain_insertion() -> None:
    model, clip = linear_model(), noise()
    heat = given(contributions(model, clip))
    plain = [Insertion(steps=16, fill=fill)(model, clip, heat).value for fill in ("mean", "black")]
    found = InfilledInsertion(fills=("mean", "black"), steps=16)(model, clip, heat)
    assert found.details["areas"] == pytest.approx(plain, abs=1e-6)
    assert found.value == pytest.approx(np.mean(plain), abs=1e-6)
    assert found.details["spread"] == pytest.approx(abs(plain[0] - plain[1]), abs=1e-6)


def test_another_clip_is_what_shows_where_the_clip_is_hidden() -> None:
    model, clip, other = linear_model(), noise(), noise(1)
    parts, theirs = contributions(model, clip), contributions(model, other)
    heat = given(parts - theirs)
    found = InfilledInsertion(fills=(), others=(other.frames,), steps=256, objective="logit")(model, clip, heat)
    gain = np.sort((parts - theirs).ravel())[::-1]
    start = float(model.logits(other.frames[None])[0, 2])
    curve = start + np.concatenate([[0], np.cumsum(gain)])
    assert found.value == pytest.approx(np.trapezoid(curve) / 256, abs=1e-3)
    mean = base_clip(clip.frames, "mean", model.mean_colour)
    same = InfilledInsertion(fills=(), others=(mean,), steps=8)(model, clip, heat).value
    assert same == pytest.approx(Insertion(steps=8)(model, clip, heat).value, abs=1e-5)


def test_other_clips_of_another_size_and_no_baseline() -> None:
    model, clip = linear_model(), noise()
    small = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(DataError, match="expected others of uint8"):
        InfilledInsertion(others=(small,))(model, clip, given(np.ones(model.grid)))
    with pytest.raises(DataError, match="a baseline or more"):
        InfilledInsertion(fills=())
