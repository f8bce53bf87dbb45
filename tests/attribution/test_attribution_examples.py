"""The examples in the docstrings of methods and metrics run, on a small clip, and every public class has some."""

import doctest
import inspect
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import ModuleType

import numpy as np
import pytest
import torch

import voxplain as vx
from voxplain import attribution, curves, metrics, perturb
from voxplain.attribution import attribution as record
from voxplain.attribution import overlay
from voxplain.datasets.planted import PlantedDesign
from voxplain.datasets.planted.draw import draw_scene
from voxplain.datasets.planted.scene import render
from voxplain.explain import concept_map
from voxplain.model import cost
from voxplain.video import Clip
from voxplain.zoo.load import load_model

GRID = (8, 32, 32)
MODULES = (attribution, metrics, record, overlay, cost, curves, perturb)


def exported(module: ModuleType) -> list[str]:
    """The names of a module that users may use."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
    return getattr(module, "__all__", own)


PUBLIC = {
    f"{module.__name__}.{name}": (module, getattr(module, name))
    for module in MODULES
    for name in exported(module)
    if callable(getattr(module, name)) and getattr(module, name).__doc__
}
WITHOUT = ("AttributionMethod", "Metric", "Cost", "Retrained")  # protocols, and records that users do not build


@cache
def names() -> dict:
    """What the examples use: a model on a small grid, a planted clip of it, a map and a mask."""
    model = replace(load_model("planted"), grid=GRID, geometry=None)
    frames = render(draw_scene(PlantedDesign(), "cross", 901), codec=False)[::2, ::2, ::2]
    clip = Clip.from_array(np.ascontiguousarray(frames), source="cross")
    mask = np.zeros(GRID, bool)
    mask[:, 8:20, 8:20] = True
    heat = attribution.GradCAM()(model, clip)
    modules = {name: getattr(module, name) for module in MODULES for name in exported(module)}
    return {"np": np, "torch": torch, "nn": torch.nn, "vx": Names(), **modules} | {
        "model": model,
        "clip": clip,
        "mask": mask,
        "heat": heat,
    }


class Names:
    """Everything that the package exports, and the methods and metrics."""

    def __getattr__(self, name: str) -> object:
        return next(getattr(m, name) for m in (vx, attribution, metrics) if hasattr(m, name))


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name, capsys):
    _, thing = PUBLIC[name]
    found = doctest.DocTestFinder(recurse=False).find(thing, name, module=False, globs=dict(names()))
    examples = [e for t in found for e in t.examples]
    assert examples or name.endswith(WITHOUT) or not inspect.isclass(thing), "a class with an example"
    for test in found:
        assert doctest.DocTestRunner().run(test).failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [n for n, (_, thing) in PUBLIC.items() if is_dataclass(thing)])
def test_parameters_are_the_fields(name):
    """numpydoc: every field is documented once, in order, before references and examples."""
    check_parameters(PUBLIC[name][1])


@pytest.mark.parametrize("thing", [concept_map.ConceptMap, cost.Cost])
def test_parameters_of_others(thing):
    check_parameters(thing)


def check_parameters(thing: type) -> None:
    text = inspect.getdoc(thing)
    sections = [a for a, b in zip(text.splitlines(), text.splitlines()[1:], strict=False) if b and not b.strip("-")]
    order = ["Parameters", "Raises", "References", "Examples"]
    assert sections == [s for s in order if s in sections]
    if not fields(thing):
        return
    body = text.split("Parameters\n----------\n")[1].split("\n\n")[0]
    heads = [line.split(" : ")[0] for line in body.splitlines() if not line.startswith(" ")]
    assert [n for head in heads for n in head.split(", ")] == [f.name for f in fields(thing)]
    assert len(text.splitlines()[0]) <= 116
    assert text.splitlines()[0].endswith(".")
    assert len(text.splitlines()) < 2 or not text.splitlines()[1]
