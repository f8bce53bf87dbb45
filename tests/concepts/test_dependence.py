"""Adjusted mutual information of concepts with clips: closed forms, and a second implementation by shuffling."""

import math

import numpy as np
import pytest

from voxplain.concepts.dependence import clip_dependence


def entropy(labels: np.ndarray) -> float:
    p = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(p * np.log(p)).sum())


def information(a: np.ndarray, b: np.ndarray) -> float:
    return entropy(a) + entropy(b) - entropy(a * (b.max() + 1) + b)


def split(concepts: np.ndarray, clips: np.ndarray) -> list[np.ndarray]:
    return [concepts[clips == i] for i in range(clips.max() + 1)]


@pytest.mark.parametrize("concepts", [2, 3, 12])
def test_it_is_one_where_the_clip_determines_the_concept(concepts):
    """Also where several clips share a concept."""
    assert clip_dependence([np.full(5, i % concepts) for i in range(12)]) == pytest.approx(1)


def test_it_is_zero_where_all_clips_consist_of_the_same_concepts():
    assert clip_dependence([np.array([0, 1, 1, 2])] * 10) == 0


def test_it_is_the_information_above_that_of_shuffled_rows():
    rng = np.random.default_rng(0)
    clips = np.repeat(np.arange(8), 15)
    concepts = np.where(rng.random(len(clips)) < 0.4, clips % 4, rng.integers(0, 4, len(clips)))
    chance = np.mean([information(rng.permutation(concepts), clips) for _ in range(2000)])
    expected = (information(concepts, clips) - chance) / (entropy(concepts) - chance)
    assert 0.1 < expected < 0.4
    assert clip_dependence(split(concepts, clips)) == pytest.approx(expected, abs=0.01)


def test_few_rows_do_not_make_independent_concepts_dependent():
    """Plain mutual information of 4 rows a clip with 6 concepts is more than a third of the entropy."""
    rng, found, plain = np.random.default_rng(0), [], []
    for _ in range(50):
        clips, concepts = np.repeat(np.arange(12), 4), rng.integers(0, 6, 48)
        found.append(clip_dependence(split(concepts, clips)))
        plain.append(information(concepts, clips) / entropy(concepts))
    assert np.mean(plain) > 0.35
    assert np.mean(found) < 0.05


def test_supervoxels_of_no_concept_are_left_out():
    with_none = [np.array([0, 0, -1]), np.array([1, -1, 1, -1]), np.array([-1])]
    assert clip_dependence(with_none) == clip_dependence([np.array([0, 0]), np.array([1, 1]), np.zeros(0, int)]) == 1


@pytest.mark.parametrize("assigned", [[], [np.array([0, 1])], [np.array([0]), np.array([0])], [np.array([-1])] * 3])
def test_it_needs_two_concepts_and_two_clips(assigned):
    assert math.isnan(clip_dependence(assigned))
