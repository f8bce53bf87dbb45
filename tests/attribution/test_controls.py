"""Controls: what they show, and that they know nothing of the network."""

import numpy as np
import pytest

from region_clips import Quadrants, make_clips, make_model
from small_nets import ConvNet
from voxplain.attribution import CentrePrior, FrameConstant, MotionEnergy, RandomMap
from voxplain.errors import DataError
from voxplain.video import Clip

GRID = (8, 12, 20)


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames, np.arange(len(frames)) / 25, "made", None)


@pytest.fixture
def model():
    return make_model(Quadrants(), grid=GRID)


def test_random_is_normal_and_follows_the_content(model):
    one, two = make_clips(2, grid=GRID)
    first, second = RandomMap()(model, [one, two], 0)
    assert abs(first.values.mean()) < 0.1
    assert abs(first.values.std() - 1) < 0.05
    assert abs(np.corrcoef(first.values.ravel(), second.values.ravel())[0, 1]) < 0.1
    again = RandomMap()(model, clip_of(two.frames.copy()), 1)
    np.testing.assert_array_equal(again.values, second.values)
    assert (RandomMap(seed=1)(model, two, 0).values != second.values).all()


def test_the_centre_prior_is_a_gaussian_of_the_middle(model):
    clip = make_clips(1, grid=GRID)[0]
    found = CentrePrior(space=0.2, time=0.3)(model, clip, 0).values
    t, y, x = 1, 2, 17
    d2 = ((t - 3.5) / (0.3 * 8)) ** 2 + ((y - 5.5) / (0.2 * 12)) ** 2 + ((x - 9.5) / (0.2 * 20)) ** 2
    assert found[t, y, x] == pytest.approx(np.exp(-d2 / 2), rel=1e-5)
    np.testing.assert_allclose(found, found[::-1, ::-1, ::-1], rtol=1e-6)
    still = CentrePrior(time=None)(model, clip, 0).values
    np.testing.assert_array_equal(still, np.broadcast_to(still[:1], still.shape))


def test_motion_energy_is_where_and_when_something_changes(model):
    frames = np.full((*GRID, 3), 40, np.uint8)
    frames[4:, 3:6, 10:15] = 100  # appears at frame 4 and stays
    found = MotionEnergy(sigma=0)(model, clip_of(frames), 0).values
    expected = np.zeros(GRID)
    expected[3:5, 3:6, 10:15] = 30  # one of the two differences of frames 3 and 4
    np.testing.assert_allclose(found, expected)
    smooth = MotionEnergy(sigma=0.1)(model, clip_of(frames), 0).values
    assert smooth[3, 6, 15] > 0
    np.testing.assert_allclose(smooth.sum((1, 2)), expected.sum((1, 2)), rtol=1e-4)
    per_frame = FrameConstant()(model, clip_of(frames), 0).values
    np.testing.assert_allclose(per_frame, np.broadcast_to(expected.mean((1, 2))[:, None, None], GRID), rtol=1e-5)


def test_the_first_and_last_frame_have_one_difference():
    model = make_model(Quadrants(), grid=(3, 4, 4))
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    frames[1], frames[2] = 10, 40
    found = FrameConstant()(model, clip_of(frames), 0).values
    np.testing.assert_allclose(found[:, 0, 0], [10, 20, 30])


def test_one_frame_has_no_motion():
    model = make_model(Quadrants(), grid=(1, 4, 4))
    clip = make_clips(1, grid=(1, 4, 4))[0]
    assert not MotionEnergy()(model, clip, 0).values.any()
    assert not FrameConstant()(model, clip, 0).values.any()


def test_controls_know_nothing_of_the_network(model):
    clip, other = make_clips(1, grid=GRID)[0], make_model(ConvNet(), layer="hidden", grid=GRID)
    for method in (RandomMap(), CentrePrior(), MotionEnergy(), FrameConstant()):
        np.testing.assert_array_equal(method(model, clip, 0).values, method(other, clip, 1).values)


def test_numbers_that_mean_nothing_are_refused():
    for make in (
        lambda: RandomMap(seed=-1),
        lambda: CentrePrior(space=0),
        lambda: CentrePrior(time=-1.0),
        lambda: MotionEnergy(sigma=-1),
    ):
        with pytest.raises(DataError, match="expected"):
            make()
