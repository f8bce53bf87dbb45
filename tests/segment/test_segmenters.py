"""SLIC against plain scikit-image and planted clips, Grid against counting, both on odd clips."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from segment_clips import textured
from skimage.segmentation import slic

from voxplain.errors import DataError
from voxplain.segment import SEGMENTERS, SLIC, SMALL, STANDARD, Grid, Supervoxels

SETTINGS = [{}, {"compactness": 5.0, "sigma": 0.0}, {"spacing": (2.0, 1.0, 1.0)}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_slic_gives_the_labels_of_scikit_image(settings):
    frames = textured(0, (16, 32, 40))
    found = SLIC(segments=(4, 15, 50), **settings)(frames)
    plain = {"compactness": 20.0, "sigma": 1.0, "start_label": 0, "channel_axis": -1, **settings}
    offset = 0
    for plane, n in zip(found.labels, (4, 15, 50), strict=True):
        labels = slic(frames, n_segments=n, **plain)
        np.testing.assert_array_equal(plane, labels + offset)
        offset += labels.max() + 1
    assert offset == found.count


def test_slic_follows_the_edge_of_a_moving_square():
    frames = np.full((8, 32, 32, 3), (30, 60, 160), dtype=np.uint8)
    square = np.zeros((8, 32, 32), dtype=bool)
    for t in range(8):
        square[t, 8:20, 4 + 2 * t : 16 + 2 * t] = True
    frames[square] = (220, 60, 30)
    labels = SLIC(segments=(40,), sigma=0.0)(frames).labels[0]
    inside = np.bincount(labels[square], minlength=labels.max() + 1)
    share = inside / np.bincount(labels.ravel())
    pure = np.where(share > 0.5, inside, 0).sum() / square.sum()
    assert pure > 0.97
    assert (np.minimum(share, 1 - share) * np.bincount(labels.ravel())).sum() / labels.size < 0.01


def test_presets_and_defaults_are_those_of_the_paper():
    assert SLIC().segments == STANDARD == (15, 50, 80)
    assert SMALL == (15, 30, 60)
    assert (SLIC().compactness, SLIC().sigma) == (20.0, 1.0)


def test_grid_cells_are_equal_cuboids():
    found = Grid(cells=((2, 2, 5), (4, 1, 1)))(np.zeros((8, 6, 10, 3), np.uint8))
    np.testing.assert_array_equal(found.volumes, [4 * 3 * 2] * 20 + [2 * 60] * 4)
    box = found.boxes[:20].reshape(20, 3, 2)
    np.testing.assert_array_equal(box[..., 1] - box[..., 0], [[4, 3, 2]] * 20)
    np.testing.assert_array_equal(found.boxes[1], [0, 4, 0, 3, 2, 4])


def test_grid_cells_of_an_uneven_clip_differ_by_one_voxel_a_side():
    found = Grid()(np.zeros((7, 11, 13, 3), np.uint8))
    assert found.count == 16 + 50 + 72
    for level in range(3):
        box = found.boxes[found.levels == level].reshape(-1, 3, 2)
        assert (np.ptp(box[..., 1] - box[..., 0], axis=0) <= 1).all()
        assert (np.prod(box[..., 1] - box[..., 0], axis=1) == found.volumes[found.levels == level]).all()


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_partitions_every_level_and_repeats_itself(name):
    frames = textured(1)
    found = SEGMENTERS[name]()(frames)
    assert isinstance(found, Supervoxels)
    assert found.labels.shape == (1 if name == "region_tree" else 3, 8, 24, 28)
    assert (found.labels >= 0).all()
    again = SEGMENTERS[name]()(SimpleNamespace(frames=frames))
    np.testing.assert_array_equal(again.labels, found.labels)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_takes_views_and_leaves_frames_alone(name):
    whole = textured(2, (8, 24, 56))
    view = whole[::-1, :, ::2]
    before = whole.copy()
    whole.flags.writeable = False
    found = SEGMENTERS[name]()(view)
    np.testing.assert_array_equal(whole, before)
    np.testing.assert_array_equal(found.labels, SEGMENTERS[name]()(view.copy()).labels)


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
@pytest.mark.parametrize("name", SEGMENTERS)
def test_no_segmenter_fails_on_tiny_or_constant_clips(name, kind):
    rng = np.random.default_rng(0)
    for shape in [*itertools.product((1, 2, 5), (1, 2, 7), (1, 7)), (1, 24, 24), (16, 24, 24)]:
        frames = {
            "black": np.zeros((*shape, 3), np.uint8),
            "white": np.full((*shape, 3), 255, np.uint8),
            "noise": rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        }[kind]
        found = SEGMENTERS[name]()(frames)
        assert found.shape == shape
        assert (found.labels >= 0).all()


def test_more_segments_than_voxels():
    frames = textured(4, (2, 5, 6))
    assert 1 <= SLIC(segments=(10_000,))(frames).count <= 60
    assert Grid(cells=((99, 99, 99),))(frames).count == 60


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 8, 8, 3)),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 1), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(name, frames):
    with pytest.raises(DataError, match="uint8 frames"):
        SEGMENTERS[name]()(frames)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (SLIC, {"segments": ()}),
        (SLIC, {"segments": (15, 0)}),
        (SLIC, {"compactness": 0.0}),
        (SLIC, {"sigma": -1.0}),
        (SLIC, {"spacing": (1.0, 1.0)}),
        (SLIC, {"spacing": (0.0, 1.0, 1.0)}),
        (Grid, {"cells": ()}),
        (Grid, {"cells": ((1, 2, 0),)}),
    ],
)
def test_wrong_parameters_are_refused(method, wrong):
    with pytest.raises(DataError, match="Expected"):
        method(**wrong)
