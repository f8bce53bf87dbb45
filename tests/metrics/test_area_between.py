"""The area between curves on a linear network, where each score is the sum of what is shown."""

import numpy as np
import pytest
from known_maps import contributions, given, linear_model, noise

from voxplain.errors import DataError
from voxplain.metrics import AreaBetween, Deletion

WHOLE = {"unit": "voxel", "objective": "logit"}


@pytest.mark.parametrize("limit", [0.25, 1.0])
def test_areas_are_those_of_sums_of_contributions(limit: float) -> None:
    model, clip = linear_model(), noise()
    parts = contributions(model, clip)
    count = round(limit * parts.size)
    found = AreaBetween(limit=limit, steps=count, **WHOLE)(model, clip, given(parts))
    falling = np.sort(parts.ravel())[::-1]
    lost = [np.concatenate([[0], np.cumsum(order[:count])]) for order in (falling, falling[::-1])]
    most, least = (np.trapezoid(-way) / count for way in lost)
    assert found.value == pytest.approx(least - most, abs=1e-3)
    assert AreaBetween(limit=limit, steps=count, **WHOLE)(model, clip, given(-parts)).value == pytest.approx(
        most - least, abs=1e-3
    )


def test_the_whole_area_is_that_between_the_curves_of_deletion() -> None:
    model, clip = linear_model(), noise(1)
    heat = given(np.random.default_rng(0).normal(size=(4, 8, 8)))
    least, most = (Deletion(order=o, steps=16, **WHOLE)(model, clip, heat).value for o in ("lerf", "morf"))
    found = AreaBetween(limit=1.0, steps=16, **WHOLE)(model, clip, heat)
    assert found.value == pytest.approx(least - most, abs=1e-4)


def test_no_more_than_the_limit_is_hidden() -> None:
    """Only the last half of the order differs between the two maps, and a limit of a quarter does not reach it."""
    model, clip = linear_model(), noise(2)
    values = np.arange(256.0)
    other = values.copy()
    other[64:192] = values[64:192][::-1]
    metric = AreaBetween(limit=0.25, steps=8, **WHOLE)
    a, b = (metric(model, clip, given(v.reshape(4, 8, 8))).value for v in (values, other))
    assert a == pytest.approx(b, abs=1e-6)


def test_fields_that_cannot_be() -> None:
    with pytest.raises(DataError, match="a limit above 0 and up to 1"):
        AreaBetween(limit=0.0)
