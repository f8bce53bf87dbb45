"""Slices: planted subsets are found with their description, and chance finds none."""

from dataclasses import replace

import numpy as np

from voxplain.audits import Slice, find_slices, joined_slices


def test_a_planted_slice_of_two_concepts_is_found_as_their_intersection() -> None:
    rng = np.random.default_rng(0)
    volume = np.where(rng.random((80, 5)) < 0.5, 0.1 + rng.random((80, 5)), 0.0)
    planted = (volume[:, 1] > 0) & (volume[:, 3] == 0)
    wrong = np.where(planted, rng.random(80) < 0.95, rng.random(80) < 0.05)
    found = find_slices(volume, wrong)[0]
    assert (found.present, found.absent) == ((1,), (3,))
    assert set(found.clips) == set(np.flatnonzero(planted))
    assert found.q_value < 0.01
    assert found.wrong == wrong[planted].sum()
    assert np.isclose(found.rest, 1 - wrong[~planted].mean())
    assert list(wrong[list(found.clips)]) == sorted(wrong[list(found.clips)], reverse=True), "wrong clips come first"


def test_chance_is_rarely_called_a_slice() -> None:
    """Of 100 classes; at 5 % more than 13 have a probability of 0.001."""
    false = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        volume = np.where(rng.random((24, 4)) < 0.5, rng.random((24, 4)), 0.0)
        slices = find_slices(volume, rng.random(24) < 0.3, permutations=199, seed=seed)
        false += any(s.q_value < 0.05 for s in slices)
    assert false <= 13


def test_slices_of_the_same_clips_are_listed_once() -> None:
    volume = np.zeros((30, 3))
    volume[:10] = np.random.default_rng(0).random((10, 3)) + 0.1
    found = find_slices(volume, np.arange(30) < 10)
    assert [len(s.present) + len(s.absent) for s in found if s.wrong == len(s.clips) == 10] == [1]


def test_a_class_without_wrong_or_without_right_clips_has_no_slice() -> None:
    volume = np.random.default_rng(0).random((12, 2))
    assert find_slices(volume, np.zeros(12, bool)) == find_slices(volume, np.ones(12, bool)) == ()


def test_of_slices_of_mostly_the_same_clips_the_first_is_kept() -> None:
    first = Slice((0,), (), (0, 1, 2, 3), 3, 0.25, 0.05, 0.7, 0.9, 0.01, 0.02)
    same, other = replace(first, present=(1,), clips=(1, 2, 3, 4)), replace(first, present=(2,), clips=(3, 4, 5, 6))
    expected = tuple(replace(own, q_value=0.04) for own in (first, other))  # of two searches
    assert joined_slices([first, same], [other]) == joined_slices([], [first, same, other]) == expected
    assert joined_slices([first], [same, other], most=1) == expected[:1]
    assert joined_slices([replace(first, q_value=0.7)], [])[0].q_value == 1
