"""Supervoxels against values worked out by hand and against loops over masks."""

import numpy as np
import pytest
from segment_clips import random_levels

from voxplain.errors import DataError
from voxplain.segment import Supervoxels


@pytest.fixture
def small() -> Supervoxels:
    coarse = np.zeros((2, 3, 4), dtype=np.int64)
    coarse[:, :, 2:] = 7
    fine = np.full((2, 3, 4), -5)
    fine[1, 0, 1] = 4
    fine[1, 2, 3] = 4
    return Supervoxels.from_levels([coarse, fine])


def test_properties_of_a_volume_worked_out_by_hand(small):
    assert small.count == 3
    assert small.shape == (2, 3, 4)
    np.testing.assert_array_equal(small.levels, [0, 0, 1])
    np.testing.assert_array_equal(small.volumes, [12, 12, 2])
    np.testing.assert_array_equal(small.boxes, [[0, 2, 0, 3, 0, 2], [0, 2, 0, 3, 2, 4], [1, 2, 0, 3, 1, 4]])
    np.testing.assert_array_equal(small.durations, [2, 2, 1])
    assert set(np.unique(small.labels[1])) == {-1, 2}
    assert small.labels.dtype == np.int16


def test_repr_prints_shapes_not_data(small):
    assert repr(small) == "Supervoxels(3 in 2 levels of 2×3×4 voxels)"


@pytest.mark.parametrize("seed", range(5))
def test_everything_agrees_with_loops_over_masks(seed):
    levels = random_levels(seed)
    found = Supervoxels.from_levels(levels)
    truth = [(n, level == v) for n, level in enumerate(levels) for v in np.unique(level) if v >= 0]
    assert found.count == len(truth)
    for i, (level, mask) in enumerate(truth):
        np.testing.assert_array_equal(found.mask(i), mask)
        assert found.levels[i] == level
        assert found.volumes[i] == mask.sum()
        edges = [(p.min(), p.max() + 1) for p in np.nonzero(mask)]
        np.testing.assert_array_equal(found.boxes[i].reshape(3, 2), edges)
    ids = np.random.default_rng(seed).permutation(found.count)[:7]
    np.testing.assert_array_equal(found.masks(ids), np.any([truth[i][1] for i in ids], axis=0))


def test_union_of_nothing_is_empty_and_of_a_whole_partition_is_full(small):
    assert not small.masks([]).any()
    assert small.masks([0, 1]).all()
    assert small.masks(i for i in (2, 2)).sum() == 2


def test_all_dropped_is_allowed():
    none = Supervoxels.from_levels([np.full((1, 2, 2), -1)] * 2)
    assert none.count == 0
    assert none.boxes.shape == (0, 6)
    assert none.volumes.shape == none.levels.shape == none.durations.shape == (0,)
    assert not none.masks([]).any()


@pytest.mark.parametrize("wrong", [3, -1])
def test_unknown_ids_are_refused(small, wrong):
    with pytest.raises(DataError, match="from 0 to 2"):
        small.mask(wrong)
    with pytest.raises(DataError, match="from 0 to 2"):
        small.masks([0, wrong])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 2, 2), np.int16), "int16 labels"),
        (np.zeros((1, 2, 2, 2), np.int32), "int16 labels"),
        (np.zeros((1, 0, 2, 2), np.int16), "at least one voxel"),
        (np.full((1, 1, 1, 1), -2, np.int16), "-1"),
        (np.full((1, 1, 1, 1), 1, np.int16), "id 0 is in 0"),
        (np.zeros((2, 1, 1, 1), np.int16), "id 0 is in 2"),
    ],
)
def test_labels_that_break_the_rules_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        Supervoxels(labels)


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="one shape"):
        Supervoxels.from_levels([np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int)])
    with pytest.raises(DataError, match="one shape"):
        Supervoxels.from_levels([])
    with pytest.raises(DataError, match="integer"):
        Supervoxels.from_levels([np.zeros((1, 2, 2))])
    with pytest.raises(DataError, match="at most 32767"):
        Supervoxels.from_levels([np.arange(32768).reshape(1, 256, 128)])


def test_the_largest_number_of_ids_fits_into_int16():
    full = Supervoxels.from_levels([np.arange(32767).reshape(1, 31, 1057)])
    assert full.count == 32767
    assert full.mask(32766).sum() == 1
    assert full.boxes[32766].tolist() == [0, 1, 30, 31, 1056, 1057]
