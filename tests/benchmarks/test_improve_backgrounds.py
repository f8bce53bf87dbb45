"""Concepts on the person, and the figures over seeds, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from improve_backgrounds import NETS, on_person, summary
from voxplain.video import Clip


def run_of(person: np.ndarray) -> tuple[SimpleNamespace, list[Clip]]:
    """Two clips of three supervoxels, each a concept: the upper, the middle and the lower third of the picture."""
    labels = np.repeat(np.arange(1, 4), 4)[None, :, None] * np.ones((2, 12, 6), int)
    clips = [Clip(np.full((2, 12, 6, 3), i, np.uint8), np.arange(2.0), f"clip {i}") for i in range(2)]
    found = SimpleNamespace(labels=labels, masks=lambda: [labels == k for k in (1, 2, 3)])
    return SimpleNamespace(bank=range(3), clips=clips, supervoxels=[found] * 2, assigned=[[0, 1, 2]] * 2), clips


@pytest.mark.parametrize(
    ("rows", "chosen"), [(slice(0, 4), (0,)), (slice(2, 6), (0, 1)), (slice(0, 12), (0,)), (slice(8, 9), (2,))]
)
def test_concepts_on_the_person(monkeypatch: pytest.MonkeyPatch, rows: slice, chosen: tuple[int, ...]) -> None:
    monkeypatch.setattr("improve_backgrounds.concept_mask", lambda found, assigned, k: found.labels == k + 1)
    monkeypatch.setattr("improve_backgrounds.LIFT", 1.5)
    persons = np.zeros((2, 2, 12, 6), bool)
    persons[:, :, rows] = True
    run, clips = run_of(persons)
    assert on_person(run, clips, persons) == chosen


def answers(*right: list[int]) -> dict[str, list[int]]:
    return dict(zip(("test", "scuba_others", "scufo_others"), right, strict=True))


def test_figures_over_seeds() -> None:
    before, after = answers([1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]), answers([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0])
    right = {net: after if net in ("kept", "masks") else before for net in NETS}
    reliance = {net: 1.0 if net in ("kept", "masks") else 4.0 for net in NETS}
    found = summary([{"right": right, "reliance": reliance}] * 2)
    assert found["seeds"] == 2
    assert found["accuracy"]["original"] == {"test": 50.0, "scuba_others": 0, "scufo_others": 0, "contrasted_others": 0}
    assert found["accuracy"]["kept"] == {"test": 75, "scuba_others": 50, "scufo_others": 25, "contrasted_others": 25}
    gains = found["gains"]
    assert gains["kept over further"]["scuba_others"]["points"][0] == 50.0
    assert gains["random over further"]["test"]["points"] == [0.0, 0.0, 0.0]
    assert found["reliance_left"]["kept"] == [0.25, 0.25, 0.25]
    assert found["reliance_left"]["random"] == [1.0, 1.0, 1.0]
