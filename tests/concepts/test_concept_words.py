"""Words for a concept: against boxes whose place, size, motion and time are known."""

from dataclasses import replace

import numpy as np
import pytest

from voxplain.concepts.concept_words import concept_words
from voxplain.concepts.description import BINS, CELLS, ConceptDescription


def box(y: int, x: int, **measured) -> ConceptDescription:
    """A box of 4 × 4 cells whose upper left cell is (y, x)."""
    where = np.zeros((CELLS, CELLS), np.float32)
    where[y : y + 4, x : x + 4] = 1
    fields = {"motion": 1.0, "edge": 0.1, "wander": 0.05, **measured}
    return ConceptDescription(np.ones(BINS, np.float32), where, **fields)


@pytest.mark.parametrize(
    ("y", "x", "words"),
    [
        (0, 0, "in the upper left"),
        (0, 6, "in the upper middle"),
        (0, 12, "in the upper right"),
        (6, 0, "on the left"),
        (6, 6, "in the middle"),
        (6, 12, "on the right"),
        (12, 0, "in the lower left"),
        (12, 6, "in the lower middle"),
    ],
)
def test_place_by_thirds_of_the_picture(y, x, words):
    assert concept_words(box(y, x), 0.05) == f"a small region {words}"


def test_a_concept_of_many_places_has_none():
    assert concept_words(box(0, 0, wander=0.4), 0.05) == "a small region at changing places"


@pytest.mark.parametrize(
    ("volume", "size"), [(0.001, "very small"), (0.05, "small"), (0.2, "medium-sized"), (0.5, "large")]
)
def test_size_by_volume(volume, size):
    assert concept_words(box(6, 6), volume) == f"a {size} region in the middle"


def test_motion_and_time():
    assert concept_words(box(6, 6, motion=2.0), 0.05).startswith("a small moving region")
    assert concept_words(box(6, 6, motion=0.2), 0.05).startswith("a small still region")
    late = np.zeros(BINS, np.float32)
    late[BINS // 2 :] = 1
    assert concept_words(replace(box(6, 6), when=late), 0.05).endswith(", mostly in the second half")
    assert concept_words(replace(box(6, 6), when=late[::-1]), 0.05).endswith(", mostly in the first half")
