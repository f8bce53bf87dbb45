"""What every entry of the registry says of itself."""

from dataclasses import FrozenInstanceError, is_dataclass
from typing import get_args

import pytest

from voxplain.metrics import METRICS
from voxplain.metrics.record import Needs


@pytest.mark.parametrize("name", METRICS)
def test_an_entry_is_built_without_arguments_and_says_how_to_read_it(name):
    metric = METRICS[name]()
    assert is_dataclass(metric)
    assert metric.needs in get_args(Needs)
    assert metric.higher_is_better in (True, False, None)
    with pytest.raises(FrozenInstanceError):
        metric.seed = 1
    assert hash(metric) == hash(METRICS[name]())
