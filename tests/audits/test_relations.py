"""Relations of two concepts by geometry, and the two changed clips that tell whether a relation matters."""

import numpy as np
import pytest

from voxplain.audits.relations import against_and_together, relations_of

SHAPE = (10, 40, 40)


def box(t: slice, y: slice, x: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[t, y, x] = True
    return mask


ALL = slice(0, 10)


def moving(dy: float, dx: float, y: int = 10, x: int = 10) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for t in range(SHAPE[0]):
        mask[t, y + round(t * dy) : y + round(t * dy) + 4, x + round(t * dx) : x + round(t * dx) + 4] = True
    return mask


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        (box(ALL, slice(4, 8), slice(10, 14)), box(ALL, slice(25, 30), slice(10, 14)), ("above",)),
        (box(ALL, slice(25, 30), slice(10, 14)), box(ALL, slice(4, 8), slice(10, 14)), ("below",)),
        (box(ALL, slice(4, 8), slice(2, 6)), box(ALL, slice(4, 8), slice(30, 34)), ("left of",)),
        (box(ALL, slice(14, 18), slice(14, 18)), box(ALL, slice(8, 24), slice(8, 24)), ("inside", "touching")),
        (box(ALL, slice(8, 12), slice(8, 12)), box(ALL, slice(8, 12), slice(12, 16)), ("left of", "touching")),
        (moving(1, 0, y=5, x=5), moving(1, 0, y=5, x=30), ("left of", "moving together")),
        (moving(0, 1, y=5, x=5), moving(0, -1, y=5, x=30), ("left of",)),
        (box(slice(0, 4), slice(4, 8), slice(4, 8)), box(slice(6, 10), slice(4, 8), slice(4, 8)), ("before",)),
        (box(slice(6, 10), slice(4, 8), slice(4, 8)), box(slice(0, 4), slice(4, 8), slice(4, 8)), ("after",)),
        (box(ALL, slice(4, 8), slice(4, 8)), np.zeros(SHAPE, bool), ()),
    ],
)
def test_relations(a: np.ndarray, b: np.ndarray, names: tuple[str, ...]) -> None:
    assert relations_of(a, b) == names


def painted(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A clip with A in red and B in green on black, and the black clip."""
    frames = np.zeros((*SHAPE, 3), np.uint8)
    frames[a, 0], frames[b, 1] = 255, 255
    return frames, np.zeros_like(frames)


@pytest.mark.parametrize(
    ("axis", "a", "b"),
    [
        ("vertical", box(ALL, slice(10, 14), slice(10, 14)), box(ALL, slice(20, 24), slice(10, 14))),
        ("horizontal", box(ALL, slice(10, 14), slice(10, 14)), box(ALL, slice(10, 14), slice(20, 24))),
        ("time", box(slice(1, 3), slice(5, 9), slice(5, 9)), box(slice(4, 6), slice(20, 24), slice(20, 24))),
    ],
)
def test_the_relation_is_turned_round_or_kept_and_both_stay_whole(axis: str, a: np.ndarray, b: np.ndarray) -> None:
    frames, base = painted(a, b)
    made = against_and_together(frames, a, b, base, axis)
    assert made is not None
    turned = {"above": "below", "left of": "right of", "before": "after"}
    relation = next(name for name in relations_of(a, b) if name in turned)
    for changed, expected in zip(made, (turned[relation], relation), strict=True):
        red, green = changed[..., 0] > 0, changed[..., 1] > 0
        assert red.sum() == a.sum()
        assert green.sum() == b.sum()
        assert expected in relations_of(red, green)
    assert (made[0][..., 1] > 0)[b].all(), "B stays where it was"
    assert not (made[1][..., 1] > 0)[b].all(), "both together are moved"


def test_nothing_is_made_where_there_is_no_space() -> None:
    a, b = box(ALL, slice(0, 20), slice(0, 40)), box(ALL, slice(20, 40), slice(0, 40))
    frames, base = painted(a, b)
    assert against_and_together(frames, a, b, base, "horizontal") is None, "at one place along the axis"
    assert against_and_together(frames, a, b, base, "vertical") is None, "both together fill the frame"
