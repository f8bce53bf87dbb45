"""A run on disk comes back equal in every field, or is refused in one sentence."""

import dataclasses
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import voxplain as vx
from report_runs import CLASSES, NASTY, make_evaluated_run, make_run
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.wholes import Whole
from voxplain.errors import DataError
from voxplain.store import find_runs, load_run, save_run
from voxplain.store.archive import RECORDS, pack, unpack


def full_run() -> ConceptRun:
    """Evaluated, with a clip taken apart, and with values that JSON and zip files do not carry by themselves."""
    run = make_evaluated_run()
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(8, CLASSES)).astype(np.float32)
    hidden = np.full((3, CLASSES), np.nan, np.float32)
    hidden[1] = [np.inf, -np.inf, -0.0, 1]
    explored = ExploredClip(
        run.clips[1],
        run.supervoxels[1],
        np.array([0, 1, 2, 1]),
        6,
        "mean",
        np.array([9, 8, 7], np.uint8),
        logits[0],
        logits[1],
        hidden,
        np.array([1, 2, 0]),
        logits,
    )
    odd = {
        "nan": float("nan"),
        "infinite": (float("inf"), -float("inf")),
        "empty": {},
        "none": [None, [], ()],
        "numpy": np.float32(1.5),
        "int": np.int64(2**60),
        "$array": "no tag",
        "a.b": np.zeros(2),
        "true": True,
        "a": {"b": np.ones((2, 0, 3))},
        "long": 2**80,
        "tiny": 5e-324,
        "big-endian": np.arange(3, dtype=">i4"),
        7: "number as name",
        "text": np.array(["ä", "动作"]),
        "bits": np.array([True, False]),
    }
    evaluation = dataclasses.replace(run.evaluation, explored=(explored, explored))
    wholes = (Whole((1, 0), 2.5, 2.0, 3.0, 0.5, 0.25, 0.75, 12),)
    run = replace(run, wholes=wholes)
    return replace(run, evaluation=evaluation, provenance={**run.provenance, "odd": odd}, alignment=float("nan"))


def differences(one: object, two: object, where: str = "run") -> list[str]:
    """The places where two values differ, in type, dtype, shape, bits, or order of names."""
    if type(one) is not type(two):
        return [f"{where}: {type(one).__name__}, {type(two).__name__}"]
    if isinstance(one, np.ndarray | np.generic):
        a, b = np.asarray(one), np.asarray(two)
        a = a.astype(a.dtype.newbyteorder("="))
        return [] if (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) else [where]
    if dataclasses.is_dataclass(one):
        one, two = vars_of(one), vars_of(two)
    if isinstance(one, dict):
        if list(one) != list(two):
            return [f"{where}: names"]
        return [d for name in one for d in differences(one[name], two[name], f"{where}.{name}")]
    if isinstance(one, list | tuple):
        if len(one) != len(two):
            return [f"{where}: length"]
        return [d for i, (a, b) in enumerate(zip(one, two, strict=True)) for d in differences(a, b, f"{where}[{i}]")]
    return [] if repr(one) == repr(two) else [where]


def vars_of(record: object) -> dict:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}


@pytest.mark.parametrize("make", [make_run, make_evaluated_run, full_run])
def test_a_run_comes_back_equal_in_every_field(make, tmp_path: Path) -> None:
    run = make()
    save_run(tmp_path, run)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", "run.npz"]
    assert differences(run, vx.load_run(tmp_path)) == []
    changed = replace(run, clips=(*run.clips[:-1], replace(run.clips[-1], damaged=1)))
    assert differences(changed, load_run(tmp_path)) == ["run.clips[3].damaged"], "the comparison itself can fail"


def test_same_run_same_bytes_also_after_loading(tmp_path: Path) -> None:
    for name in "one", "two":
        save_run(tmp_path / name, full_run())
    save_run(tmp_path / "three", load_run(tmp_path / "one"))
    for name in "run.json", "run.npz":
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


def test_every_record_of_a_run_is_known() -> None:
    """A dataclass that a run holds, at any depth, is in the list; one more field of another type would be refused."""
    found = set()

    def walk(value: object) -> None:
        if dataclasses.is_dataclass(value):
            found.add(type(value).__name__)
            value = vars_of(value)
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        for part in parts:
            walk(part)

    walk(full_run())
    assert found <= set(RECORDS)


def test_both_files_are_plain(tmp_path: Path) -> None:
    run = full_run()
    save_run(tmp_path, run)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["format"] == "voxplain run"
    fields = record["run"]["$ConceptRun"]
    assert fields["target"] == run.target
    assert [c["$Clip"]["source"] for c in fields["clips"]["$tuple"]] == [f"/data/a b/{name}" for name in NASTY]
    assert fields["ranking"] == "effect"
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["clips.2.frames"], run.clips[2].frames)
        np.testing.assert_array_equal(arrays["scores.effect.value"], run.scores["effect"].value)


def test_equal_arrays_are_stored_once(tmp_path: Path) -> None:
    run = make_run()
    save_run(tmp_path / "once", run)
    copies = tuple(replace(c, frames=c.frames.copy(), source="again") for c in run.clips)
    twice = replace(run, clips=run.clips + copies, supervoxels=run.supervoxels * 2, assigned=run.assigned * 2)
    save_run(tmp_path / "twice", twice)
    once, twice_ = ((tmp_path / name / "run.npz").stat().st_size for name in ("once", "twice"))
    assert twice_ == once
    assert differences(twice, load_run(tmp_path / "twice")) == []


def again(value: object) -> object:
    """A value packed and unpacked."""
    with pack(value) as packed:
        return unpack(*packed)


def test_names_that_spell_the_same_path_do_not_collide() -> None:
    value = {"a": {"b": np.zeros(1)}, "a.b": np.ones(1), "a b": np.arange(3), "2": np.arange(4), "": np.arange(5)}
    assert differences(value, again(value)) == []
    assert differences([np.arange(2)], again([np.arange(2)])) == []
    assert differences(np.arange(2), again(np.arange(2))) == []


@pytest.mark.parametrize(
    "value", [{1, 2}, Path("x"), object(), b"bytes", np.array([None]), np.ma.array([1], mask=[True]), {"f": len}]
)
def test_what_a_run_does_not_hold_is_refused_before_anything_is_written(value: object, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected"):
        save_run(tmp_path / "run", replace(make_run(), provenance={"x": value}))
    assert not (tmp_path / "run").exists()


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_run(folder)
    said = str(caught.value)
    assert str(folder) in said
    assert "\n" not in said
    return said


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert "which is no folder; check the path" in refused(tmp_path / "none")
    assert "no run.json in it, in its sub-folders or theirs; make one with `voxplain concepts`" in refused(tmp_path)
    save_run(tmp_path, make_run())
    (tmp_path / "run.npz").unlink()
    assert "expected run.npz beside" in refused(tmp_path)


def test_a_folder_of_one_run_is_that_run_and_of_several_needs_a_choice(tmp_path: Path) -> None:
    save_run(tmp_path / "cross", make_run())
    assert load_run(tmp_path).target == make_run().target
    save_run(tmp_path / "ring", make_run())
    assert "got those of cross, ring; name the folder of one of them" in refused(tmp_path)
    assert load_run(tmp_path / "ring").target == make_run().target


def test_any_damage_is_found(tmp_path: Path) -> None:
    save_run(tmp_path, make_run())
    rng = np.random.default_rng(0)
    for name in "run.json", "run.npz":
        path = tmp_path / name
        whole = path.read_bytes()
        for at in rng.integers(0, len(whole), 30):
            path.write_bytes(whole[:at])
            refused(tmp_path)
            # Any other digit or letter of the JSON, any other bit of the arrays.
            changed = bytearray(whole)
            changed[at] = ord("7") if name == "run.json" and chr(whole[at]).isalnum() else whole[at] ^ 1
            if bytes(changed) != whole and not (name == "run.json" and chr(whole[at]).isspace()):
                path.write_bytes(bytes(changed))
                refused(tmp_path)
        path.write_bytes(whole)
    assert len(load_run(tmp_path).clips) == 4


def test_halves_of_two_runs_do_not_make_one(tmp_path: Path) -> None:
    """A run killed between its two files, or copied half."""
    save_run(tmp_path, make_evaluated_run())
    old = (tmp_path / "run.json").read_bytes()
    run = make_run()
    save_run(tmp_path, replace(run, effects=replace(run.effects, base=run.effects.base + 1)))
    (tmp_path / "run.json").write_bytes(old)
    assert "run.json and run.npz do not belong together" in refused(tmp_path)


def test_formats_of_other_versions_and_other_files(tmp_path: Path) -> None:
    save_run(tmp_path, make_run())
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "version": record["version"] + 1}))
    assert "update voxplain" in refused(tmp_path)
    path.write_text(json.dumps({**record, "version": record["version"] - 1}))
    assert "made by an earlier voxplain; make it again" in refused(tmp_path)
    for other in ({**record, "version": "1"}, {"format": "voxplain run"}, [], "x", {"format": "else", "version": 1}):
        path.write_text(json.dumps(other))
        assert "another file" in refused(tmp_path)


def test_records_that_no_run_holds_are_not_made(tmp_path: Path) -> None:
    with pack(1) as (_, arrays):
        for tree in ({"$Path": {"x": 1}}, {"$array": "none"}, {"$Clip": {"frames": 1, "other": 2}}, {"$": 1}):
            with pytest.raises((ValueError, KeyError, TypeError)):
                unpack(tree, arrays)


def place(root: Path, name: str) -> Path:
    save_run(root / name, make_run())
    return root / name


def test_runs_are_found_in_the_order_of_the_job(tmp_path: Path) -> None:
    for name in "walk/block3", "bend/pool", "bend/block3", "walk/pool":
        place(tmp_path, name)
    (tmp_path / "store").mkdir()
    names = lambda: [p.relative_to(tmp_path).as_posix() for p in find_runs(tmp_path)]  # noqa: E731
    assert names() == ["bend/block3", "bend/pool", "walk/block3", "walk/pool"]
    (tmp_path / "job.json").write_text(
        json.dumps({"classes": ["walk", "bend"], "network": {"layer": ["pool", "block3"]}})
    )
    assert names() == ["walk/pool", "bend/pool", "walk/block3", "bend/block3"]
    assert find_runs(tmp_path / "bend" / "pool") == [tmp_path / "bend" / "pool"]


def test_no_run_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        find_runs(tmp_path / "none")
    with pytest.raises(DataError, match=r"no run\.json in it.*voxplain concepts"):
        find_runs(tmp_path)
