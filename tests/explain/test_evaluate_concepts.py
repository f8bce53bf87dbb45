"""The warning that the fill of hidden voxels does not suit the data."""

import numpy as np

from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.explain.evaluate import fill_brings_nothing


def adding(right: np.ndarray) -> AddRemoveCurves:
    """Two orders, ten videos of class 0 of 2, steps q = 0 … 3 and all; ``right`` bool [5] says what is recognised."""
    logits = np.zeros((2, 10, 5, 2), np.float32)
    logits[..., 1] = np.where(right, -1, 1)
    flat = logits[0].copy()
    return AddRemoveCurves(
        "adding",
        ("top", "least"),
        logits,
        np.zeros((2, 10, 5), np.float32),
        flat,
        np.zeros((10, 5), np.float32),
        np.zeros(10, np.int64),
        flat[:, -1],
    )


def test_only_a_known_class_that_nothing_brings_back_is_a_warning():
    assert fill_brings_nothing(adding(np.array([0, 0, 0, 0, 1], bool)))
    assert not fill_brings_nothing(adding(np.array([0, 0, 0, 1, 1], bool)))
    assert not fill_brings_nothing(adding(np.array([0, 0, 0, 0, 0], bool)))  # the network does not know the class
