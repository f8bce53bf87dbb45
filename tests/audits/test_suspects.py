"""Which concepts of a class are suspected."""

from voxplain.audits import Cause, Suspect, suspects


def attraction(concept: int, gain: float, q: float, above: float | None = None, corrected: float = 0.5) -> Cause:
    above = gain if above is None else above
    return Cause("bend", concept, False, gain, gain - 1, gain + 1, above, corrected, q, q, 8)


def test_what_draws_clips_of_other_classes_is_suspected_of_whatever_kind() -> None:
    kinds, effect, q = ["moving thing", "moving thing", "scene", "scene"], [5.0, 2.0, 1.0, 0.5], [0.01, 0.2, 1.0, 1.0]
    drawn = [attraction(1, 3.0, 0.01), attraction(2, 1.6, 0.04), attraction(3, 1.4, 0.04), attraction(0, 4.0, 0.06)]
    found = suspects(kinds, effect, q, [], drawn)
    assert found == (Suspect(1, "attracts"), Suspect(2, "attracts")), "half of the largest significant gain or more"


def test_a_concept_that_only_does_less_harm_than_random_regions_is_not() -> None:
    assert suspects(["scene"], [1.0], [1.0], [], [attraction(0, -0.2, 0.01, above=1.0)]) == ()


def test_a_moving_thing_must_correct_half_of_the_clips() -> None:
    drawn = [attraction(0, 3.0, 0.01, corrected=0.4), attraction(1, 3.0, 0.01, corrected=0.4)]
    assert suspects(["moving thing", "still thing"], [1.0, 1.0], [1.0, 1.0], [], drawn) == (Suspect(1, "attracts"),)
