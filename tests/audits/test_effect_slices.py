"""Slices by effect: the concept that draws clips to another class is found, of whichever class it is."""

import numpy as np
import pytest

from voxplain.audits import DrawingConcept, HiddenInWrong, drawing_concepts, effect_slice
from voxplain.statistics import sign_flip_test

TRUE, TAKEN, OTHER = 0, 1, 2
NAMES = ("wave", "bend", "run")


def hidden(
    label: str, gains: np.ndarray, *, control: float = 0.0, truth: int = TRUE, predicted: int = TAKEN, first: int = 0
) -> HiddenInWrong:
    """Clips with a margin of −2 in which hiding concept k raises it by ``gains`` [n,K], and regions by ``control``."""
    n = len(gains)
    base = np.full(n, -2.0)
    rows = base[:, None] + gains
    return HiddenInWrong(
        label,
        truth == TRUE and label == NAMES[TRUE],
        base,
        rows,
        np.full(gains.shape, -2.0 + control),
        rows > 0,
        np.full(n, truth),
        np.full(n, predicted),
        np.arange(first, first + n),
    )


def test_a_concept_of_the_class_that_clips_are_taken_for_is_found() -> None:
    own = hidden("wave", np.tile([0.1, -0.5], (8, 1)))
    taken = hidden("bend", np.tile([-1.0, 1.6, 0.2], (8, 1)))
    first = drawing_concepts(own, [taken])[0]
    assert (first.label, first.concept, first.taken_for, first.clips) == ("bend", 1, TAKEN, 8)
    assert first.repaired == pytest.approx(0.8)  # of 2 that each clip lacks
    assert first.q_value < 0.05


def test_no_clip_gives_back_more_than_it_lacks_and_a_lost_margin_counts_as_nothing() -> None:
    gains = np.array([[10.0], [-3.0], [1.0], [0.0]])
    (only,) = drawing_concepts(hidden("wave", gains), [])
    assert only.repaired == pytest.approx((2 + 0 + 1 + 0) / 8)


def test_it_must_raise_the_margin_and_more_than_random_regions_do() -> None:
    rng = np.random.default_rng(0)
    gains = rng.normal(1.5, 0.3, (8, 1))
    drawn = drawing_concepts(hidden("wave", gains, control=0.2), [])[0]
    expected = sign_flip_test(gains[:, 0] - 0.2, np.random.default_rng(0), side="greater")
    assert drawn.p_value == drawn.q_value == pytest.approx(expected)
    # Hiding what is not the class's thing: less harm than random regions do, but no gain.
    harmless = drawing_concepts(hidden("wave", rng.normal(0, 0.1, (8, 1)), control=-3.0), [])[0]
    assert harmless.p_value > 0.05
    everywhere = drawing_concepts(hidden("wave", gains, control=2.0), [])[0]
    assert everywhere.p_value > 0.05


def test_clips_of_other_classes_and_other_mistakes_do_not_count() -> None:
    own = hidden("wave", np.tile([0.0], (6, 1)))
    elsewhere = hidden("bend", np.tile([3.0], (6, 1)), truth=OTHER)
    few = hidden("run", np.tile([3.0], (2, 1)), predicted=OTHER)
    found = drawing_concepts(own, [elsewhere, few])
    assert [(d.label, d.repaired) for d in found] == [("wave", 0.0)]
    assert drawing_concepts(hidden("wave", np.zeros((0, 1))), [elsewhere]) == ()


def test_chance_is_rarely_called_a_drawing_concept() -> None:
    """Of 100 classes with 8 wrong clips and 8 concepts each; at 5 % more than 13 have a probability of 0.001."""
    false = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        own = hidden("wave", rng.normal(0, 1, (8, 5)))
        taken = hidden("bend", rng.normal(0, 1, (8, 3)))
        own.control[:] = own.base[:, None] + rng.normal(0, 1, own.control.shape)
        taken.control[:] = taken.base[:, None] + rng.normal(0, 1, taken.control.shape)
        false += any(d.q_value < 0.05 for d in drawing_concepts(own, [taken], seed=seed))
    assert false <= 13


def test_the_slice_has_the_clips_that_the_concept_draws_wrong_ones_first() -> None:
    draw = DrawingConcept("bend", 4, TAKEN, 0.9, 0.01, 0.02, 5)
    gain = np.array([0.0, 3.0, 2.0, 4.0, 0.5, 2.5, 0.0, 0.1, 0.0, 0.0])
    predicted = np.array([TAKEN, TAKEN, TRUE, TAKEN, TRUE, TAKEN, TRUE, TRUE, TRUE, OTHER])
    found = effect_slice(draw, gain, predicted, TRUE, NAMES)
    assert found is not None
    assert found.clips == (3, 1, 5, 2)  # a quarter of the median of 2.5, 3 and 4, from which on a clip is in
    assert (found.wrong, found.accuracy, found.rest) == (3, 0.25, 4 / 6)
    assert (found.present, found.concepts_of, found.taken_for) == ((4,), "bend", "bend")
    assert (found.repaired, found.q_value) == (0.9, 0.02)
    own = effect_slice(DrawingConcept("wave", 4, TAKEN, 0.9, 0.01, 0.02, 5), gain, predicted, TRUE, NAMES)
    assert own is not None
    assert own.concepts_of == "", "the clips' own class is not named"


def test_clips_that_are_as_often_right_as_others_are_no_slice() -> None:
    draw = DrawingConcept("bend", 0, TAKEN, 0.9, 0.01, 0.02, 5)
    gain = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    predicted = np.array([TAKEN, TRUE, TRUE, TRUE, TAKEN, OTHER, TRUE, TRUE])
    assert effect_slice(draw, gain, predicted, TRUE, NAMES) is None
    assert effect_slice(draw, np.zeros(8), predicted, TRUE, NAMES) is None
