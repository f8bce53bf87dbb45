"""Kinds of concepts from geometry and motion, and the share of the log-odds that each holds."""

import numpy as np
import pytest

from voxplain.audits import kind_of, kind_shares
from voxplain.concepts.description import BINS, CELLS, ConceptDescription


def described(where: np.ndarray, motion: float, edge: float, wander: float) -> ConceptDescription:
    return ConceptDescription(np.ones(BINS, np.float32), where.astype(np.float32), motion, edge, wander)


def cells(rows: slice, columns: slice) -> np.ndarray:
    where = np.zeros((CELLS, CELLS))
    where[rows, columns] = 1
    return where


@pytest.mark.parametrize(
    ("kind", "where", "motion", "edge", "wander", "volume"),
    [
        ("moving thing", cells(slice(5, 10), slice(5, 10)), 2.5, 0.1, 0.2, 0.08),
        ("still thing", cells(slice(5, 10), slice(5, 10)), 0.6, 0.1, 0.2, 0.08),
        ("overlay", cells(slice(0, 2), slice(10, 15)), 0.1, 2.0, 0.0, 0.03),
        ("border", cells(slice(14, 16), slice(0, 16)), 0.1, 2.0, 0.0, 0.12),
        ("scene", cells(slice(0, 16), slice(0, 16)), 0.2, 1.0, 0.0, 0.9),
        ("scene", cells(slice(0, 16), slice(0, 16)), 0.8, 1.2, 0.2, 0.4),
        ("scene", cells(slice(0, 16), slice(0, 16)), 1.1, 1.2, 0.2, 0.6),
    ],
)
def test_kind(kind: str, where: np.ndarray, motion: float, edge: float, wander: float, volume: float) -> None:
    assert kind_of(described(where, motion, edge, wander), volume) == kind


def test_shares_are_ratios_of_means_and_the_control_decides_what_is_significant() -> None:
    rng = np.random.default_rng(0)
    everything = rng.uniform(8, 12, 16)
    hidden = np.stack([0.7 * everything, 0.3 * everything, np.full(16, np.nan)], 1)
    control = np.stack([0.1 * everything, rng.normal(0.3, 0.02, 16) * everything, np.full(16, np.nan)], 1)
    concepts, volumes = (
        {"moving thing": [2], "scene": [0, 1], "overlay": [3]},
        dict.fromkeys(("moving thing", "scene", "overlay"), 0.2),
    )
    first, second = kind_shares(concepts, volumes, hidden, control, everything)
    assert (first.kind, second.kind, second.concepts) == ("moving thing", "scene", (0, 1))
    assert first.lost == pytest.approx((0.7, 0.7, 0.7))
    assert second.control[0] == pytest.approx(control[:, 1].sum() / everything.sum())
    assert first.q_value < 0.01 < 0.05 < second.q_value
