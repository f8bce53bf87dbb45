"""F-Fidelity on a linear network: parts that are the whole explanation, and the limit of what is hidden."""

import numpy as np
import pytest
from known_maps import contributions, given, linear_model, noise

from voxplain.errors import DataError
from voxplain.metrics import FFidelity


def test_half_against_half_is_the_difference_of_their_contributions() -> None:
    model, clip = linear_model(), noise()
    parts = contributions(model, clip)
    ranked = np.sort(parts.ravel())[::-1]
    half = len(ranked) // 2
    metric = FFidelity(shares=(0.5,), limit=0.9, part=1.0, draws=1, unit="voxel", objective="logit")
    found = metric(model, clip, given(parts))
    assert found.details["plus"] == pytest.approx([ranked[:half].sum()], abs=1e-3)
    assert found.details["minus"] == pytest.approx([ranked[half:].sum()], abs=1e-3)
    assert found.value == pytest.approx(ranked[:half].sum() - ranked[half:].sum(), abs=1e-3)
    assert metric(model, clip, given(-parts)).value == pytest.approx(-found.value, abs=1e-3)


def test_no_more_than_the_limit_is_hidden() -> None:
    """All contributions but those of hidden voxels remain: with equal ones the drop counts what is hidden."""
    model, clip = linear_model(), noise(1)
    parts = contributions(model, clip)
    metric = FFidelity(shares=(0.5,), limit=0.1, part=1.0, draws=40, unit="voxel", objective="logit")
    found = metric(model, clip, given(parts))
    ranked = np.sort(parts.ravel())[::-1]
    size, half = round(0.1 * len(ranked)), len(ranked) // 2
    spread = 5 * parts.std() * np.sqrt(size / 40)
    assert found.details["plus"][0] == pytest.approx(size * ranked[:half].mean(), abs=spread)
    assert found.details["minus"][0] == pytest.approx(size * ranked[half:].mean(), abs=spread)


def test_fields_that_cannot_be() -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        FFidelity(limit=0.0)
