"""Planted defects: at their rate, and each scene with and without its own."""

from dataclasses import replace

import numpy as np
import pytest

from voxplain.datasets.planted import (
    DEFECTS,
    PlantedDesign,
    draw_scene,
    has_defect,
    masks,
    render,
    with_defect,
    without_defect,
)
from voxplain.errors import DataError


def design_of_kind(kind):
    return PlantedDesign(shortcut="ring", shortcut_kind=kind, noise=0.0)


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_defect_goes_with_its_class(kind):
    design = design_of_kind(kind)
    share = {k: np.mean([has_defect(design, draw_scene(design, k, i)) for i in range(100)]) for k in ("ring", "cross")}
    assert share["ring"] >= 0.88
    assert share["cross"] <= 0.12


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_scene_differs_from_its_counterpart_by_the_defect_alone(kind):
    design = design_of_kind(kind)
    drawn = draw_scene(design, "cross", 3)
    clean = without_defect(design, drawn)
    dirty = with_defect(design, clean)
    assert has_defect(design, dirty)
    assert not has_defect(design, clean)
    assert without_defect(design, without_defect(design, dirty)) == without_defect(design, dirty)
    assert with_defect(design, dirty) == dirty
    # More than what shines through soft edges of an object that another one covers.
    changed = np.abs(render(dirty, codec=False).astype(int) - render(clean, codec=False)).max(-1) > 12
    assert changed.any()
    if kind in ("patch", "caption", "colour"):
        names = {"patch": "shortcut", "caption": "caption", "colour": "distractor0"}[kind]
        own = np.any([m for name, m in masks(dirty).items() if name.startswith(names)], 0)
        near = np.any([np.roll(own, (y, x), (1, 2)) for y in range(-2, 3) for x in range(-2, 3)], 0)
        assert not (changed & ~near).any()
    if kind == "ground":
        things = np.any(list(masks(dirty).values()), 0)
        assert changed[~things].mean() > 0.9
    assert {o.name: o for o in dirty.objects}["target"] == {o.name: o for o in clean.objects}["target"]


def test_designs_without_a_shortcut_are_drawn_as_before():
    plain = draw_scene(PlantedDesign(), "ring", 4)
    other = draw_scene(PlantedDesign(shortcut="cross", shortcut_kind="caption"), "ring", 4)
    assert without_defect(PlantedDesign(shortcut_kind="caption"), other) == plain
    assert plain.stripes == 0


def test_unknown_kinds_are_one_sentence():
    with pytest.raises(DataError, match="shortcut_kind"):
        PlantedDesign(shortcut="ring", shortcut_kind="smell")
    with pytest.raises(DataError, match="distractors"):
        replace(design_of_kind("patch"), shortcut_kind="colour", distractors=())
