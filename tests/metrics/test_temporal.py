"""Joined clips, and whether a map finds the target's part of them."""

import numpy as np
import pytest
from known_maps import given, noise

from voxplain.errors import DataError
from voxplain.metrics import TemporalEnergy, TemporalPointing, join_in_time
from voxplain.video import Clip

OWN = np.array([True, True, False, False, False])


def counting(frames: int, start: int, label: int | None = None) -> Clip:
    """A clip whose frame t is of the grey level start + t."""
    levels = np.arange(start, start + frames, dtype=np.uint8)[:, None, None, None]
    return Clip.from_array(np.broadcast_to(levels, (frames, 4, 6, 3)).copy(), fps=10, label=label)


@pytest.mark.parametrize(
    ("side", "levels", "own"),
    [("first", [0, 2, 5, 100, 102, 104, 106, 108], [1, 1, 1, 0, 0, 0, 0, 0]), ("last", None, [0, 0, 0, 0, 0, 1, 1, 1])],
)
def test_joining_thins_out_both_clips(side, levels, own):
    joined, flags = join_in_time(counting(8, 0, label=3), counting(10, 100), share=0.4, side=side)
    levels = levels or [100, 102, 104, 106, 108, 0, 2, 5]
    assert joined.frames[:, 0, 0, 0].tolist() == levels
    assert flags.tolist() == [bool(o) for o in own]
    assert joined.label == 3
    np.testing.assert_allclose(joined.seconds, np.arange(8) / 10)


def test_joining_to_another_length():
    joined, own = join_in_time(counting(8, 0), counting(8, 100), frames=16)
    assert (len(joined), int(own.sum())) == (16, 8)
    assert joined.frames[8:, 0, 0, 0].tolist() == list(range(100, 108))


def test_what_cannot_be_joined():
    with pytest.raises(DataError, match="one size"):
        join_in_time(noise(), counting(4, 0))
    for options in ({"share": 0.05}, {"share": 1.0}, {"side": "left"}):
        with pytest.raises(DataError, match="leaves both"):
            join_in_time(counting(8, 0), counting(8, 9), **options)


def test_pointing_takes_the_frame_with_the_largest_sum_not_the_highest_voxel():
    values = np.zeros((5, 2, 2))
    values[1] = 1
    values[3, 0, 0] = 3.5
    got = TemporalPointing()(given(values), OWN)
    assert (got.value, got.chance, got.details["frame"]) == (1, 0.4, 1)
    values[3, 1, 1] = 1
    assert TemporalPointing()(given(values), OWN).value == 0
    assert TemporalEnergy()(given(values), OWN).value == pytest.approx(4 / 8.5)


def test_uniform_maps_get_the_chance_and_random_ones_on_average():
    flat = given(np.full((5, 3, 3), 0.7))
    rng = np.random.default_rng(0)
    for metric in (TemporalPointing(), TemporalEnergy()):
        assert metric(flat, OWN).value == pytest.approx(0.4)
        found = [metric(given(rng.uniform(size=(5, 3, 3))), OWN) for _ in range(1000)]
        values = np.array([m.value for m in found])
        assert values.mean() == pytest.approx(0.4, abs=5 * values.std() / np.sqrt(1000))
        assert metric.needs == "time"


def test_perfect_maps_get_1_and_maps_without_positive_values_nothing():
    values = np.zeros((5, 3, 3))
    values[:2] = 1
    values[4] = -5
    assert TemporalEnergy()(given(values), OWN).value == 1
    assert TemporalPointing()(given(values), OWN).value == 1
    assert np.isnan(TemporalEnergy()(given(-np.ones((5, 3, 3))), OWN).value)


@pytest.mark.parametrize("own", [np.ones(5, bool), np.zeros(5, bool), np.ones(4, bool), OWN.astype(int), [True]])
def test_own_frames_must_be_some(own):
    for metric in (TemporalPointing(), TemporalEnergy()):
        with pytest.raises(DataError, match="some but not all"):
            metric(given(np.ones((5, 3, 3))), own)
