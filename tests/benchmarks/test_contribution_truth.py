"""Figures of concepts on a table with known groups."""

import numpy as np

from contribution_truth import CLIPS, Way, figures


def table() -> dict[str, np.ndarray]:
    """Three kinds of regions a clip: the object and a distractor that look alike, and the ground."""
    rng = np.random.default_rng(0)
    kind = np.tile([0, 1, 2], CLIPS)
    looks = np.where(kind < 2, 1.0, -1.0)[:, None] * [1.0, 0.5] + rng.normal(0, 0.05, (3 * CLIPS, 2))
    rows = np.column_stack([looks, np.where(kind == 0, 1.0, 0.0)]).astype(np.float32)
    both = np.where(kind == 0, 10, 0)[:, None]
    return {
        "rows2": rows,
        "clips": np.repeat(np.arange(CLIPS), 3),
        "size": np.full(3 * CLIPS, 10),
        "both": both,
        "obj": np.full((CLIPS, 1), 10),
        "relied": np.array([0]),
    }


def test_figures_of_a_perfect_concept():
    got = figures(table(), Way(gap=0.5))
    assert {k: got[k] for k in ("iou", "recall", "precision", "strict", "auroc")} == {
        "iou": 1.0,
        "recall": 1.0,
        "precision": 1.0,
        "strict": 1.0,
        "auroc": 1.0,
    }
