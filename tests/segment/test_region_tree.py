"""Region trees: levels that nest, flat boxes found voxel for voxel, merging by hand."""

import numpy as np
import pytest
from segment_clips import textured

from voxplain.errors import DataError
from voxplain.segment import SLIC, RegionTree
from voxplain.segment.region_tree import _cut, _merges, mean_colours

FINE = SLIC(segments=(200,), compactness=20.0, sigma=0.0, spacing=(2.0, 1.0, 1.0))


def boxes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat boxes of three colours that move over a flat background, uint8 [T,H,W,3], and which is where."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((8, 32, 32), int)
    for t in range(8):
        truth[t, 2:10, 2 + t : 10 + t] = 1  # to the right
        truth[t, 14 + t : 22 + t, 3:11] = 2  # down
        truth[t, 20:28, 22:30] = 3  # still
    colours = rng.permutation(np.array([[20, 20, 30], [230, 40, 40], [40, 220, 60], [60, 70, 240]]))
    return colours[truth].astype(np.uint8), truth


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flat_boxes_that_move_are_regions_of_their_own(seed):
    frames, truth = boxes(seed)
    found = RegionTree(regions=(4,), fine=FINE)(frames)
    assert found.count == 4
    for box in range(4):
        assert len(np.unique(found.labels[0][truth == box])) == 1
    assert len({found.labels[0][truth == box][0] for box in range(4)}) == 4


def test_levels_are_nested_and_have_as_many_regions_as_asked_for():
    found = RegionTree(regions=(3, 8, 20), fine=FINE)(textured(0, (8, 32, 40)))
    coarse, middle, small = found.labels
    assert [len(np.unique(level)) for level in found.labels] == [3, 8, 20]
    for fine, whole in ((small, middle), (middle, coarse)):
        assert all(len(np.unique(whole[fine == i])) == 1 for i in np.unique(fine))
    fine = FINE(textured(0, (8, 32, 40))).labels[0]
    assert all(len(np.unique(small[fine == i])) == 1 for i in np.unique(fine))


def test_every_region_is_connected():
    from scipy import ndimage

    found = RegionTree(regions=(12,), fine=FINE)(textured(3, (8, 32, 40)))
    fine = FINE(textured(3, (8, 32, 40))).labels[0]
    parts = sum(ndimage.label(fine == i)[1] - 1 for i in np.unique(fine))  # SLIC leaves none of its own in pieces
    assert parts == 0
    assert all(ndimage.label(found.mask(i))[1] == 1 for i in range(found.count))


def test_fewer_supervoxels_than_regions_give_the_supervoxels():
    frames = textured(1, (4, 16, 16))
    few = SLIC(segments=(6,))
    found = RegionTree(regions=(2, 50), fine=few)(frames)
    fine = few(frames)
    assert len(np.unique(found.labels[1])) == fine.count
    np.testing.assert_array_equal(np.unique(found.labels[1], return_inverse=True)[1].reshape(4, 16, 16), fine.labels[0])


def test_merges_are_wards_among_neighbours():
    """Six cells in a row; the ends have one colour but do not touch."""
    labels = np.arange(6).reshape(1, 1, 6).astype(np.int16)
    colours = np.array([[0.0], [1.0], [10.0], [12.0], [30.0], [0.0]])
    merges = _merges(labels, colours)
    # Increases of the sum of squares: 0|1 1/2, 2|3 2, then {0,1}|{2,3} 1·(11 − 1/2)² = 110, 4|5 450.
    assert [set(pair) for pair in merges.tolist()] == [{0, 1}, {2, 3}, {6, 7}, {4, 5}, {8, 9}]
    assert _cut(merges, 6, 4).tolist() == [0, 0, 1, 1, 2, 3] or len(set(_cut(merges, 6, 4))) == 4
    for count, groups in ((6, 6), (4, 4), (3, 3), (1, 1), (9, 6)):
        assert len(set(_cut(merges, 6, count).tolist())) == groups
    three = _cut(merges, 6, 3)
    assert len(set(three[:4])) == 1
    assert len({three[0], three[4], three[5]}) == 3


def test_mean_colours_are_of_the_supervoxels_voxels():
    frames, truth = boxes(0)
    from skimage.color import rgb2lab

    lab = rgb2lab(frames)
    for box, colour in enumerate(mean_colours(truth.astype(np.int16), frames)):
        np.testing.assert_allclose(colour, lab[truth == box].mean(0), atol=1e-6)


def test_same_bytes_every_time():
    frames = textured(5, (8, 32, 40))
    assert RegionTree()(frames).labels.tobytes() == RegionTree()(frames.copy()).labels.tobytes()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"regions": ()}, r"rising numbers of regions of 1 or more, got \(\)"),
        ({"regions": (0, 4)}, "rising numbers of regions"),
        ({"regions": (8, 4)}, r"rising numbers of regions of 1 or more, got \(8, 4\); correct them"),
        ({"regions": (4, 4)}, "rising numbers of regions"),
        ({"fine": SLIC()}, r"one level of fine supervoxels, got \(15, 50, 80\); give one number"),
    ],
)
def test_wrong_parameters_are_refused_at_once(wrong, told):
    with pytest.raises(DataError, match=told):
        RegionTree(**wrong)
