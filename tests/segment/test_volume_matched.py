"""Random controls: exact volumes, whole supervoxels but for the last, fair draws."""

import numpy as np
import pytest
from scipy import ndimage
from segment_clips import random_levels, textured

from voxplain.errors import DataError
from voxplain.segment import SLIC, Grid, Supervoxels, volume_matched


@pytest.mark.parametrize("volume", [0, 1, 17, 500, 1079, 1080])
@pytest.mark.parametrize("seed", range(3))
def test_volume_is_exact(seed, volume):
    found = Grid()(np.zeros((9, 12, 10, 3), np.uint8))
    mask = volume_matched(np.random.default_rng(seed), found, volume)
    assert mask.shape == found.shape
    assert mask.dtype == np.bool_
    assert np.count_nonzero(mask) == volume


@pytest.mark.parametrize("seed", range(10))
def test_all_but_one_supervoxel_is_whole(seed):
    found = Supervoxels.from_levels([textured_labels()])
    mask = volume_matched(np.random.default_rng(seed), found, 2000)
    covered = np.array([mask[found.mask(i)].mean() for i in range(found.count)])
    assert ((covered > 0) & (covered < 1)).sum() <= 1
    assert (covered == 1).any()


def textured_labels() -> np.ndarray:
    return np.asarray(SLIC(segments=(30,))(textured(5)).labels[0])


def test_the_trimmed_supervoxel_stays_in_one_piece_and_all_sides_occur():
    block = Supervoxels.from_levels([np.zeros((4, 5, 6), dtype=int)])
    corners = set()
    for seed in range(60):
        mask = volume_matched(np.random.default_rng(seed), block, 31)
        assert ndimage.label(mask)[1] == 1
        corners.add(tuple(np.argwhere(mask).mean(axis=0).round(3)))
    assert len(corners) == 6


@pytest.mark.parametrize("seed", range(5))
def test_excluded_voxels_are_never_covered(seed):
    found = Supervoxels.from_levels(random_levels(seed))
    exclude = found.masks([0, 5])
    rest = np.count_nonzero(found.masks(range(found.count)) & ~exclude)
    for volume in (rest // 2, rest):
        mask = volume_matched(np.random.default_rng(seed), found, volume, exclude=exclude)
        assert np.count_nonzero(mask) == volume
        assert not (mask & exclude).any()
    with pytest.raises(DataError, match=f"got {rest}"):
        volume_matched(np.random.default_rng(seed), found, rest + 1, exclude=exclude)


def test_same_seed_same_mask_other_seed_other_mask():
    found = Grid()(np.zeros((9, 12, 10, 3), np.uint8))
    a, b, c = (volume_matched(np.random.default_rng(s), found, 300) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_every_place_is_equally_likely():
    found = Grid(cells=((2, 2, 2),))(np.zeros((4, 4, 4, 3), np.uint8))
    rng = np.random.default_rng(0)
    draws = 2000
    masks = (volume_matched(rng, found, 16) for _ in range(draws))
    often = sum(mask.astype(int) for mask in masks) / draws
    # 16 of 64 voxels: 0.25 each; 5 standard errors of a share are 0.05.
    np.testing.assert_allclose(often, 0.25, atol=0.05)


def test_wrong_arguments_are_refused():
    rng, found = np.random.default_rng(0), Grid()(np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="0 voxels or more"):
        volume_matched(rng, found, -1)
    with pytest.raises(DataError, match="exclude"):
        volume_matched(rng, found, 1, exclude=np.zeros((2, 2, 2), bool))
