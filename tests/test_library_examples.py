"""The examples in docstrings give what they show."""

import doctest
from types import ModuleType

import pytest

from voxplain.concepts import cav, profile


@pytest.mark.parametrize("module", [cav, profile], ids=lambda module: module.__name__)
def test_examples_of_docstrings_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
