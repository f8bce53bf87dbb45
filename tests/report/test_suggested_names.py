"""Suggested names are the words that fit the pictures of a concept, and none where a neutral text fits better."""

import numpy as np
import pytest

from report_runs import make_run
from voxplain.concepts.concept_run import ConceptRun
from voxplain.report.draw import choose_examples
from voxplain.report.suggested_names import GREY, NEUTRAL, TEXT, concept_pictures, suggest_names

WORDS = ("ball", "net", "grass")


@pytest.fixture
def run() -> ConceptRun:
    return make_run()


def texts(asked: list[str]) -> np.ndarray:
    """A feature for each word, and one more that all neutral texts share."""
    assert asked == [TEXT.format(word) for word in (*WORDS, *NEUTRAL)]
    return np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 3, 3, 3]]


def test_the_word_that_fits_most_pictures_is_suggested(run: ConceptRun) -> None:
    rows = {
        0: [[1, 0, 0, 0]],  # "ball" throughout
        1: [[0, 1, 0, 0], [0, 0.6, 0.8, 0], [0, 0.9, 0, 0.3]],  # "net" in two of three and on the mean
        2: [[0, 0, 0.6, 0.8]],  # nothing fits better than a neutral text
    }
    concept = iter(range(3))

    def pictures(frames: list[np.ndarray]) -> np.ndarray:
        own = rows[next(concept)]
        return np.array([own[i % len(own)] for i in range(len(frames))], np.float32)

    assert suggest_names(run, WORDS, pictures, texts) == {0: "ball", 1: "net"}


def test_no_name_where_the_pictures_disagree(run: ConceptRun) -> None:
    def pictures(frames: list[np.ndarray]) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[[i % 2 for i in range(len(frames))]]

    found = suggest_names(run, WORDS, pictures, texts)
    assert set(found) <= {k for k in range(3) if len(concept_pictures(run, k)) == 1}
    assert suggest_names(run, (), pictures, texts) == {}


def test_pictures_are_the_box_of_the_concept_and_grey_outside(run: ConceptRun) -> None:
    for concept in range(3):
        shown = concept_pictures(run, concept)
        for picture, example in zip(shown, choose_examples(run, concept, 8), strict=True):
            clip, masks = run.member(concept, example.place)
            mask = masks[example.frame]
            inside = clip.frames[example.frame][mask]
            own, wanted = (x[(x != GREY).any(-1)] for x in (picture, inside))
            assert sorted(map(tuple, own.tolist())) == sorted(map(tuple, wanted.tolist()))
            assert picture.shape[0] <= mask.shape[0]
