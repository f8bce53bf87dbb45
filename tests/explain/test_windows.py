"""Long videos: the frames of each window, how maps merge in time, where they lie in the original picture."""

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.errors import DataError
from voxplain.explain.windows import merge, slide, to_original
from voxplain.model import VideoModel
from voxplain.video import Clip, Geometry


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature = nn.Flatten()

    def forward(self, x):
        return self.feature(x)[:, :2]


def model(stride: int = 1) -> VideoModel:
    return VideoModel(net=Net(), layer="feature", grid=(4, 6, 6), stride=stride, pool=False)


def video(count: int) -> Clip:
    frames = np.zeros((count, 8, 10, 3), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Clip(frames, np.arange(count) / 25, "v.mp4")


GEOMETRY = Geometry((8, 10), (6, 6))


@pytest.mark.parametrize(
    ("count", "stride", "overlap"), [(4, 1, 0.5), (9, 1, 0.5), (9, 1, 0.0), (12, 2, 0.5), (3, 1, 0.5)]
)
def test_windows_reach_every_end_and_show_the_right_frames(count, stride, overlap):
    sliding = slide(model(stride), video(count), GEOMETRY, overlap=overlap)
    assert sliding.index.min() == 0
    assert sliding.index.max() == count - 1
    for row, clip in zip(sliding.index, sliding, strict=True):
        assert clip.frames.shape == (4, 6, 6, 3)
        assert clip.frames[:, 0, 0, 0].tolist() == row.tolist()


def test_overlap_of_one_is_refused():
    with pytest.raises(DataError, match="overlap"):
        slide(model(), video(9), GEOMETRY, overlap=1.0)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_merging_maps_of_the_frames_themselves_gives_them_back(stride):
    """A map that says each frame's own number: the merge must say it too, in between by interpolation."""
    sliding = slide(model(stride), video(17), GEOMETRY)
    maps = [np.broadcast_to(row[:, None, None], (4, 2, 3)).astype(np.float32) for row in sliding.index]
    merged = merge(maps, sliding.index, 17)
    reached = np.unique(sliding.index)
    np.testing.assert_allclose(merged[reached, 0, 0], reached, atol=1e-5)
    if reached[0] == 0 and reached[-1] == 16:
        np.testing.assert_allclose(merged[:, 1, 2], np.arange(17), atol=1e-5)


def test_the_middle_of_a_window_weighs_most():
    index = np.array([[0, 1, 2, 3], [2, 3, 4, 5]])
    merged = merge([np.zeros((4, 1, 1)), np.ones((4, 1, 1))], index, 6)[:, 0, 0]
    assert merged[:2].tolist() == [0, 0]
    assert merged[4:].tolist() == [1, 1]
    # Frame 2 lies third in the first window (weight 1 − .5/2.5) and first in the second (1 − 1.5/2.5).
    np.testing.assert_allclose(merged[2:4], [0.4 / 1.2, 0.8 / 1.2], atol=1e-6)


def test_windows_in_any_order_merge_alike():
    """Such as the clips of a sampler of the user's own."""
    rng = np.random.default_rng(0)
    index = np.array([[0, 1, 2, 3], [2, 4, 6, 8], [5, 6, 7, 8], [9, 10, 11, 12]])
    maps = rng.random((4, 4, 2, 3))
    total, mass = np.zeros((13, 2, 3)), np.zeros((13, 1, 1))
    for row, own in zip(index, maps, strict=True):
        for i, frame in enumerate(row):
            weight = 1 - abs(i - 1.5) / 2.5
            total[frame] += weight * own[i]
            mass[frame] += weight
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        np.testing.assert_allclose(merge(maps[order], index[order], 13), total / mass, atol=1e-6)


def test_frames_far_outside_the_windows_get_nothing():
    merged = merge([np.ones((3, 1, 1))], np.array([[4, 6, 8]]), 14)[:, 0, 0]
    assert merged.tolist() == [0] * 3 + [1] * 7 + [0] * 4  # 3 and 9 are nearer than the frames of the window


def test_maps_lie_where_the_crop_was():
    values = np.ones((2, 6, 6), np.float32)
    placed = to_original(values, GEOMETRY, 8, 10)
    top, left = GEOMETRY.centre
    inside = np.zeros((8, 10), bool)
    inside[top : top + 6, left : left + 6] = True
    assert (placed[:, inside] == 1).all()
    assert (placed[:, ~inside] == 0).all()
    large = to_original(values, GEOMETRY, 80, 100)
    assert large.shape == (2, 80, 100)
    assert large.mean() == pytest.approx(36 / 80, abs=0.01)


def test_a_short_video_is_looped_and_its_map_is_a_mean_over_the_loops():
    sliding = slide(model(), video(3), GEOMETRY)
    assert sliding.index.tolist() == [[0, 1, 2, 0]]
    merged = merge([np.array([1.0, 2, 3, 5])[:, None, None]], sliding.index, 3)[:, 0, 0]
    np.testing.assert_allclose(merged, [3, 2, 3], atol=1e-6)  # frame 0 first and last: equal weights
    assert torch.isfinite(torch.from_numpy(merged)).all()
