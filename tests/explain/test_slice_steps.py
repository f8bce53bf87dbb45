"""Slices by effect in an audit: clips that a concept of the class for which they are taken describes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

import audit_world as world
import voxplain as vx
from voxplain.explain import audit_steps as steps
from voxplain.explain.session import open_session
from voxplain.explain.slice_steps import effect_slices
from voxplain.progress import quiet
from voxplain.runtime import ThreadExecutor

MARKED = 4  # clips of red with the white corner, which all clips of green have
SETTINGS = replace(world.SETTINGS, reach=float("inf"))  # the corner contributes less to green where a square is green


def written(folder: Path) -> Path:
    for label, count, marked in (("red", 20, MARKED), ("green", 10, 10)):
        for i in range(count):
            home = folder / label / f"{i:02d}"
            home.mkdir(parents=True)
            for t, frame in enumerate(world.clip(label, i, corner=i < marked)):
                Image.fromarray(frame).save(home / f"{t:02d}.png")
    return folder


def test_the_corner_of_the_other_class_describes_the_clips_that_are_taken_for_it(tmp_path: Path) -> None:
    model, store = world.model(), vx.Store(tmp_path / "store")
    audit = vx.audit(model, written(tmp_path / "data"), settings=SETTINGS, measures=world.MEASURES, store=store)
    red = audit.of_class("red")
    names = [Path(source).name for source in red.sources]
    marked = {f"{i:02d}" for i in range(MARKED)}
    first = red.slices[0]
    assert {names[i] for i in first.clips} == marked
    assert (first.taken_for, first.concepts_of, first.accuracy) == ("green", "", 0.0)
    assert first.repaired > 0.95

    options = {"executor": ThreadExecutor, "shard": None, "progress": quiet}
    session = open_session(model.settled(), SETTINGS, store, audit.runs[1].clips, **options)
    explained = {run.target: steps.explained(session, run) for run in audit.runs}
    own = steps.hidden_in_wrong(session, explained["red"], 16, seed=0)
    assert own.clips.tolist() == np.flatnonzero(red.wrong).tolist()
    assert (own.truth == 1).all()
    assert (own.predicted == 0).all()
    unknown = replace(own, hidden=np.full_like(own.hidden, np.nan))  # as if red had no concept of the corner
    taken = steps.attracted(session, explained["green"], [explained["red"]], 16, seed=0)
    assert taken.clips.tolist() == own.clips.tolist()
    (found,) = effect_slices(session, explained["red"], explained, unknown, [taken], seed=0)[:1]
    assert {names[i] for i in found.clips} == marked
    assert (found.taken_for, found.concepts_of) == ("green", "green")
    assert found.repaired > 0.95
