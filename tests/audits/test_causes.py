"""Concepts hidden in wrong clips: the test is paired with the control and corrected over all classes."""

import numpy as np
import pytest

from voxplain.audits import HiddenInWrong, cause_tests
from voxplain.statistics import sign_flip_test


def measured(label: str, gains: np.ndarray, seed: int) -> HiddenInWrong:
    """Wrong clips with a margin of −1 in which hiding concept k raises it by ``gains`` [n,K]."""
    rng = np.random.default_rng(seed)
    base = np.full(len(gains), -1.0)
    hidden = base[:, None] + gains
    control = base[:, None] + rng.normal(0, 0.3, gains.shape)
    truth, predicted, clips = np.zeros(len(base), int), np.ones(len(base), int), np.arange(len(base))
    return HiddenInWrong(label, True, base, hidden, control, hidden > 0, truth, predicted, clips)


def test_the_cause_is_found_and_the_share_that_it_corrects() -> None:
    rng = np.random.default_rng(0)
    gains = rng.normal(0, 0.3, (12, 3))
    gains[:, 2] += np.where(np.arange(12) < 9, 2.0, 0.4)
    first, *rest = cause_tests([measured("bend", gains, 1)])[0]
    assert (first.concept, first.clips) == (2, 12)
    assert first.corrected == pytest.approx((gains[:, 2] > 1).mean())
    assert first.gain == pytest.approx(gains[:, 2].mean())
    assert first.q_value < 0.05 < min(cause.q_value for cause in rest)


def test_the_p_value_is_that_of_the_paired_test_against_the_control() -> None:
    rng = np.random.default_rng(2)
    gains = rng.normal(0.2, 0.3, (9, 1))
    own = measured("bend", gains, 3)
    ((found,),) = cause_tests([own])
    expected = sign_flip_test((own.hidden - own.control)[:, 0], np.random.default_rng(0), side="greater")
    assert found.p_value == pytest.approx(expected)
    assert found.q_value == found.p_value


def test_more_classes_make_a_stricter_test() -> None:
    rng = np.random.default_rng(4)
    strong = measured("bend", rng.normal(0.35, 0.3, (8, 1)), 5)
    others = [measured(f"other {i}", rng.normal(0, 0.3, (8, 3)), 6 + i) for i in range(6)]
    alone, together = cause_tests([strong])[0][0], cause_tests([strong, *others])[0][0]
    assert alone.p_value == pytest.approx(together.p_value, abs=0.02)
    assert together.q_value > alone.q_value


def test_clips_without_the_concept_do_not_count() -> None:
    gains = np.full((6, 2), 2.0)
    own = measured("bend", gains, 7)
    own.hidden[3:, 0] = own.hidden[1:, 1] = np.nan
    ((found,),) = cause_tests([own])
    assert (found.concept, found.clips) == (0, 3), "of a single clip nothing is tested"
