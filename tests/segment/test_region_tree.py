"""Region trees: levels that nest, flat boxes found voxel for voxel, merging by hand."""

import numpy as np
import pytest
from segment_clips import textured

from voxplain.errors import DataError
from voxplain.segment import SLIC, RegionTree
from voxplain.segment.region_tree import _cut, _merges, appearance

FINE = {"segments": 200, "compactness": 20.0, "sigma": 0.0, "spacing": (2.0, 1.0, 1.0)}


def slic(**changed: int) -> SLIC:
    """The supervoxels that `RegionTree(**FINE)` merges."""
    fine = {**FINE, **changed}
    return SLIC(segments=(fine["segments"],), compactness=20.0, sigma=0.0, spacing=(2.0, 1.0, 1.0))


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
    found = RegionTree(explained=(0.999,), most=4, **FINE)(frames)
    assert found.count == 4
    for box in range(4):
        assert len(np.unique(found.labels[0][truth == box])) == 1
    assert len({found.labels[0][truth == box][0] for box in range(4)}) == 4


def test_levels_are_nested_and_explain_as_much_as_asked_for():
    frames, shares = textured(0, (8, 32, 40)), (0.5, 0.8, 0.95)
    found = RegionTree(explained=shares, most=200, **FINE)(frames)
    coarse, middle, small = found.labels
    for inner, whole in ((small, middle), (middle, coarse)):
        assert all(len(np.unique(whole[inner == i])) == 1 for i in np.unique(inner))
    fine = slic()(frames).labels[0]
    assert all(len(np.unique(small[fine == i])) == 1 for i in np.unique(fine))
    colours = appearance(fine, frames, RegionTree().texture)
    spread = ((colours - colours.mean(0)) ** 2).sum()
    for level, share in zip(found.labels, shares, strict=True):
        of = np.array([level[fine == i][0] for i in range(len(colours))])
        within = sum(((colours[of == r] - colours[of == r].mean(0)) ** 2).sum() for r in np.unique(of))
        assert 1 - within / spread >= share - 1e-9
        # One merge more would explain less.
        fewer = RegionTree(explained=(share,), least=1, most=len(np.unique(of)) - 1, **FINE)(frames).labels[0]
        of = np.array([fewer[fine == i][0] for i in range(len(colours))])
        within = sum(((colours[of == r] - colours[of == r].mean(0)) ** 2).sum() for r in np.unique(of))
        assert 1 - within / spread < share


def test_the_number_of_regions_is_within_its_bounds():
    frames = textured(0, (8, 32, 40))
    counts = [RegionTree(explained=(share,), least=3, most=7, **FINE)(frames).count for share in (0.01, 1.0)]
    assert counts == [3, 7]


def test_every_region_is_connected():
    from scipy import ndimage

    found = RegionTree(least=12, most=12, **FINE)(textured(3, (8, 32, 40)))
    fine = slic()(textured(3, (8, 32, 40))).labels[0]
    parts = sum(ndimage.label(fine == i)[1] - 1 for i in np.unique(fine))  # SLIC leaves none of its own in pieces
    assert parts == 0
    assert all(ndimage.label(found.mask(i))[1] == 1 for i in range(found.count))


def test_fewer_supervoxels_than_regions_give_the_supervoxels():
    frames = textured(1, (4, 16, 16))
    fine = slic(segments=6)(frames)
    found = RegionTree(least=50, most=50, **{**FINE, "segments": 6})(frames)
    np.testing.assert_array_equal(np.unique(found.labels[0], return_inverse=True)[1].reshape(4, 16, 16), fine.labels[0])


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


def test_appearance_is_of_the_supervoxels_voxels():
    frames, truth = boxes(0)
    from skimage.color import rgb2lab

    lab = rgb2lab(frames)
    for box, colour in enumerate(appearance(truth.astype(np.int16), frames, 0.0)):
        np.testing.assert_allclose(colour, lab[truth == box].mean(0), atol=1e-6)


def test_chequered_patch_of_the_ground_s_mean_colour_is_a_region():
    """Colour alone merges them: the ground has the mean lightness of black and white."""
    frames = np.full((4, 48, 48, 3), 119, np.uint8)
    chequer = (np.indices((20, 20)) // 2).sum(0) % 2
    frames[:, 14:34, 14:34] = np.where(chequer, 255, 0)[None, ..., None]
    frames[:, :, :6] = 200
    patch = np.zeros(frames.shape[:3], bool)
    patch[:, 14:34, 14:34] = True

    def best(texture: float) -> float:
        labels = RegionTree(most=4, texture=texture)(frames).labels[0]
        masks = [labels == i for i in np.unique(labels)]
        return max(float((m & patch).sum() / (m | patch).sum()) for m in masks)

    assert best(RegionTree().texture) > 0.65 > 0.3 > best(0.0)


@pytest.mark.parametrize("side", [16, 32, 48])
def test_border_of_a_plain_square_is_no_texture(side):
    frames = np.zeros((4, side, side, 3), np.uint8)
    inner = slice(side // 4, 3 * side // 4)
    frames[:, inner, inner] = 200
    found = RegionTree(segments=60, sigma=0.0)(frames)
    assert sorted(found.volumes.tolist()) == [side * side, 3 * side * side]


def test_same_bytes_every_time():
    frames = textured(5, (8, 32, 40))
    assert RegionTree()(frames).labels.tobytes() == RegionTree()(frames.copy()).labels.tobytes()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"explained": ()}, r"rising shares of the variance, above 0 and up to 1, got \[\]"),
        ({"explained": (0.0, 0.4)}, "rising shares"),
        ({"explained": (0.8, 0.4)}, r"rising shares of the variance.*, got \[0.8, 0.4\]; correct them"),
        ({"explained": (1.5,)}, "rising shares"),
        ({"least": 5, "most": 4}, "1 ≤ least ≤ most, got 5 and 4"),
        ({"segments": 0}, "positive number of segments"),
    ],
)
def test_wrong_parameters_are_refused_at_once(wrong, told):
    with pytest.raises(DataError, match=told):
        RegionTree(**wrong)
