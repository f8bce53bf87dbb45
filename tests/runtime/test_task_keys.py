"""Every parameter of every setting, method and metric is part of the key of the results that it made."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest

import voxplain as vx
from voxplain.attribution import ATTRIBUTIONS
from voxplain.benchmark import label_randomisation, retraining, run
from voxplain.concepts.settings import CHOICES, ConceptSettings
from voxplain.explain import tasks
from voxplain.metrics import METRICS
from voxplain.model import OBJECTIVES
from voxplain.runtime import Task
from voxplain.store import key

NETWORK = {"network": "n", "precision": "fp32"}


def another(value: Any) -> Any:
    """A value of the same kind that is another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        return (*value, another(value[-1])) if value else ("x",)
    if value is None:
        return 7
    return f"{value}-other"


def methods() -> Iterator[tuple[str, Any]]:
    """Every dataclass of parameters: settings, the methods in them, attribution methods and metrics."""
    settings = ConceptSettings()
    yield "settings", settings
    yield from ((f.name, getattr(settings, f.name)) for f in fields(settings))
    yield from ((f"{g}.{n}", m) for g, choices in CHOICES.items() for n, m in choices.items() if m is not None)
    yield from ((n, make()) for n, make in (*ATTRIBUTIONS.items(), *METRICS.items()))


METHODS = {name: method for name, method in methods() if is_dataclass(method)}


@pytest.mark.parametrize("name", METHODS)
def test_every_field_of_a_method_is_in_the_key(name: str) -> None:
    method = METHODS[name]
    base = key("step", 1, method=method)
    for field in fields(method):
        changed = replace_unchecked(method, field.name, another(getattr(method, field.name)))
        assert key("step", 1, method=changed) != base, field.name
    assert key("step", 1, method=replace_unchecked(method)) == base


def replace_unchecked(method: Any, *change: Any) -> Any:
    """A copy with one field changed to what its own check might not allow."""
    copied = object.__new__(type(method))
    for field in fields(method):
        object.__setattr__(copied, field.name, getattr(method, field.name))
    if change:
        object.__setattr__(copied, *change)
    return copied


def kinds() -> list[type[Task[Any]]]:
    """Every task there is."""
    found = [getattr(module, name) for module in (tasks, run, retraining, label_randomisation) for name in vars(module)]
    return sorted({k for k in found if isinstance(k, type) and issubclass(k, Task) and k is not Task}, key=str)


# What a task needs to compute but that its other fields determine, or that only says where it is computed.
DETERMINED = {
    "ClipLogits": {"shared"},
    "ClipPass": {"shared"},
    "VariantsInClip": {"shared"},
    "TrainOnMasked": {"masks"},
    "RankVoxels": {"metric"},
    "CompareMaps": {"models"},
}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_task_is_in_its_key(kind: type[Task[Any]]) -> None:
    assert {f.name for f in fields(kind) if not f.compare} == DETERMINED.get(kind.__name__, set())
    values = {f.name: f"value of {f.name}" for f in fields(kind)}
    base = kind(**values).key(NETWORK)
    for field in fields(kind):
        changed = kind(**{**values, field.name: "another"}).key(NETWORK)
        assert (changed != base) is field.compare, field.name
    for name in NETWORK:
        assert (kind(**values).key({**NETWORK, name: "another"}) != base) is kind.uses_network
    raised = type(kind.__name__, (kind,), {"version": kind.version + 1})
    assert raised(**values).key(NETWORK) != base


def test_steps_of_tasks_differ() -> None:
    steps = [kind.step for kind in kinds()]
    assert len(set(steps)) == len(steps)


def test_of_a_clip_only_the_frames_count() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3)).astype(np.uint8)
    clip = vx.Clip.from_array(frames, source="a.mp4")
    logits = partial(tasks.ClipLogits)
    base = logits(clip).key(NETWORK)
    assert logits(replace(clip, source="elsewhere/b.avi", label=3, seconds=clip.seconds * 2)).key(NETWORK) == base
    assert logits(replace(clip, frames=frames[::-1].copy())).key(NETWORK) != base


def test_names_that_choose_a_computation_are_settings() -> None:
    """What is named in a registry and can be chosen is a field somewhere, so the walk above covers it."""
    assert {"objective", "tcav", "tcav_test", "effect_kind", "ranking"} <= {f.name for f in fields(ConceptSettings)}
    assert set(get_args(vx.model.Objective)) == set(OBJECTIVES)
