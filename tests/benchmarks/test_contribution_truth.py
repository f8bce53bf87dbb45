"""The split by contribution and its figures, on tables with known groups."""

import numpy as np
import pytest

from contribution_truth import CLIPS, Split, Way, figures, two_groups


def test_two_groups_against_every_split():
    x = np.random.default_rng(2).normal(size=30)

    def within(limit: float) -> float:
        return sum(float(((g - g.mean()) ** 2).sum()) for g in (x[x <= limit], x[x > limit]))

    limit, gap, explained = two_groups(x)
    best = min(x[x < x.max()], key=within)
    assert ((x <= limit) == (x <= best)).all()
    assert gap == pytest.approx(x[x > best].mean() - x[x <= best].mean())
    assert explained == pytest.approx(1 - within(best) / float(((x - x.mean()) ** 2).sum()))


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


def test_the_split_parts_the_object_from_what_looks_like_it():
    found = table()
    clips, rows = found["clips"], found["rows2"].copy()
    rows[:, -1] /= 10  # so little that the consensus of looks joins them
    labels = Split(0.05, 1.0)(rows, clips=clips).labels
    assert len(set(labels[0::3])) == 1
    assert not set(labels[0::3]) & set(labels[1::3])


def test_figures_of_a_perfect_concept():
    got = figures(table(), Way(gap=0.5))
    assert {k: got[k] for k in ("iou", "recall", "precision", "strict", "auroc")} == {
        "iou": 1.0,
        "recall": 1.0,
        "precision": 1.0,
        "strict": 1.0,
        "auroc": 1.0,
    }
