"""Deduplicate against a slow program that follows the text of the paper's code mask by mask."""

import numpy as np
import pytest
from segment_clips import random_levels, textured

from voxplain.errors import DataError
from voxplain.segment import SLIC, Deduplicate, Supervoxels
from voxplain.segment.deduplicate import aligned_jaccard, joint_jaccard


def full_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def cropped_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (m[(t := np.flatnonzero(m.any(axis=(1, 2))))[0] : t[-1] + 1] for m in (a, b))
    length = min(len(a), len(b))
    a, b = (m[(len(m) - length) // 2 :][:length] for m in (a, b))
    either = (a | b).sum()
    return (a & b).sum() / either if either else 0.0


def slow_unite(levels, compare, max_jaccard, min_size, min_duration) -> list[np.ndarray]:
    accepted: list[np.ndarray] = []
    for level in levels:
        new = []
        for value in np.unique(level[level >= 0]):
            mask = level == value
            times = np.flatnonzero(mask.any(axis=(1, 2)))
            own = mask[times[0] : times[-1] + 1]
            if own.mean() <= min_size or len(own) < min_duration:
                continue
            if any(compare(mask, old) > max_jaccard for old in accepted):
                continue
            new.append(mask)
        accepted += new
    return accepted


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("max_jaccard", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_keeps_what_the_slow_program_keeps(seed, max_jaccard, aligned):
    levels = random_levels(seed)
    settings = {"max_jaccard": max_jaccard, "min_size": 0.12, "min_duration": 3}
    united = Deduplicate(aligned=aligned, **settings)(Supervoxels.from_levels(levels))
    truth = slow_unite(levels, cropped_jaccard if aligned else full_jaccard, **settings)
    assert united.count == len(truth)
    for i, mask in enumerate(truth):
        np.testing.assert_array_equal(united.mask(i), mask)


def test_the_random_volumes_exercise_every_rule():
    base = {"max_jaccard": 1.0, "min_size": 0.0, "min_duration": 1}
    counts = {"base": [], "max_jaccard": [], "min_size": [], "min_duration": [], "aligned": []}
    for seed in range(6):
        found = Supervoxels.from_levels(random_levels(seed))
        counts["base"].append(Deduplicate(**base)(found).count)
        for key, value in {"max_jaccard": 0.5, "min_size": 0.12, "min_duration": 9}.items():
            counts[key].append(Deduplicate(**{**base, key: value})(found).count)
        counts["aligned"].append(Deduplicate(**{**base, "max_jaccard": 0.5}, aligned=True)(found).count)
    kept = {key: sum(values) for key, values in counts.items()}
    assert kept["base"] > max(kept[key] for key in ("max_jaccard", "min_size", "min_duration"))
    assert kept["aligned"] != kept["max_jaccard"]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("level", "earlier"), [(1, 0), (0, 1), (2, 0), (0, 2)])
def test_jaccard_of_every_pair(level, earlier, aligned):
    clip = SLIC(segments=(6, 20), spacing=(3.0, 1.0, 1.0))(textured(3)).labels
    ragged = random_levels(7, (8, 24, 28))
    found = Supervoxels.from_levels([clip[0], clip[1], ragged[2]])
    compare = cropped_jaccard if aligned else full_jaccard
    own, other, jaccard = (aligned_jaccard if aligned else joint_jaccard)(found, level, earlier)
    got = dict(zip(zip(own.tolist(), other.tolist(), strict=True), jaccard, strict=True))
    for i in np.flatnonzero(found.levels == level):
        for j in np.flatnonzero(found.levels == earlier):
            truth = compare(found.mask(i), found.mask(j))
            assert got.get((i, j), 0.0) == pytest.approx(truth, abs=1e-12)
    assert np.ptp(found.durations % 2) == 1  # odd rests occur


def test_same_place_at_another_time_is_a_copy_only_when_aligned():
    early, late = np.full((6, 4, 4), -1), np.full((6, 4, 4), -1)
    early[:3, 1:3, 1:3] = 0
    late[3:, 1:3, 1:3] = 0
    found = Supervoxels.from_levels([early, late])
    assert Deduplicate()(found).count == 2
    assert Deduplicate(aligned=True)(found).count == 1


def test_two_crops_without_voxels_are_not_copies():
    gap, short = np.full((5, 4, 4), -1), np.full((5, 4, 4), -1)
    gap[[0, 4], 0, 0] = 0  # nothing in its middle frame
    short[2, 0, 0] = 0
    gap_too = gap.copy()
    found = Supervoxels.from_levels([gap, short])
    assert Deduplicate(aligned=True, max_jaccard=0.0)(found).count == 2
    assert Deduplicate(aligned=True, max_jaccard=0.0)(Supervoxels.from_levels([gap, gap_too])).count == 1


def test_a_dropped_copy_drops_no_other():
    # b is a copy of a and dropped; c is a copy of b but not of a, so c stays.
    a, b, c = (np.full((1, 1, 100), -1) for _ in range(3))
    a[..., :60], b[..., 15:75], c[..., 30:90] = 0, 0, 0
    united = Deduplicate()(Supervoxels.from_levels([a, b, c]))
    np.testing.assert_array_equal(united.levels, [0, 2])


def test_exactly_the_threshold_stays():
    half, all_of_it = np.full((1, 2, 2), -1), np.zeros((1, 2, 2), dtype=int)
    half[0, 0] = 0
    found = Supervoxels.from_levels([half, all_of_it])
    assert Deduplicate(max_jaccard=0.5)(found).count == 2
    assert Deduplicate(max_jaccard=0.499)(found).count == 1
    assert Deduplicate(max_jaccard=1.0, min_size=0.5)(found).count == 1


def test_size_is_a_share_of_the_frame_not_of_the_clip():
    levels = np.full((10, 10, 10), -1)
    levels[4, :2, :1] = 0  # 2 % of its one frame, 0.2 % of the clip
    assert Deduplicate(min_size=0.01)(Supervoxels.from_levels([levels])).count == 1


def test_nothing_left_is_allowed():
    united = Deduplicate(min_duration=99)(Supervoxels.from_levels(random_levels(0)))
    assert united.count == 0
    assert (united.labels == -1).all()
    assert Deduplicate()(united).count == 0
    assert Deduplicate(aligned=True)(united).count == 0


def test_uniting_twice_changes_nothing():
    once = Deduplicate()(Supervoxels.from_levels(random_levels(1)))
    np.testing.assert_array_equal(Deduplicate()(once).labels, once.labels)


@pytest.mark.parametrize("wrong", [{"max_jaccard": 1.5}, {"min_size": -1.0}, {"min_duration": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(DataError, match="Expected max_jaccard"):
        Deduplicate(**wrong)
