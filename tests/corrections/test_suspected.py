"""Which concepts look like a shortcut."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from voxplain.concepts.description import ConceptDescription
from voxplain.corrections.improve import suspected
from voxplain.errors import DataError


def described(peak, wander):
    where = np.zeros((4, 4), np.float32)
    where[3, 0] = peak
    return ConceptDescription(np.ones(2, np.float32), where, 1.5, 1.0, wander)


def run_of(q):
    return SimpleNamespace(
        ranking="effect", scores={"effect": SimpleNamespace(q_value=np.array(q))}, order=[3, 1, 2, 0]
    )


def test_significant_concepts_at_one_place(monkeypatch):
    found = [described(0.9, 0.05), described(0.5, 0.05), described(0.9, 0.12), described(0.7, 0.09)]
    module = importlib.import_module("voxplain.corrections.improve")  # the package has a function of that name
    monkeypatch.setattr(module, "describe_concepts", lambda run: found)
    assert suspected(run_of([0.01, 0.01, 0.01, 0.01])) == (3, 0)  # by the ranking
    assert suspected(run_of([0.01, 0.01, 0.01, 0.2])) == (0,)
    with pytest.raises(DataError, match="expected a significant concept that is at one place"):
        suspected(run_of([0.2, 0.01, 0.01, 0.2]))
