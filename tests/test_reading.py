"""Readers of files with limits: what is not of the form is refused in a sentence, within time and memory."""

import contextlib
import io
import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_runs import make_evaluated_run
from voxplain.cli.job import Job, job_record, read_assignments, read_job
from voxplain.cli.network import Network
from voxplain.concepts.settings import ConceptSettings
from voxplain.errors import DataError, ModelError
from voxplain.nets import build_net, save_weights
from voxplain.reading import Unreadable, parse_json, parse_yaml, read_arrays, read_regular
from voxplain.store import load_run, save_run
from voxplain.zoo import load_model

with contextlib.suppress(ImportError):  # pytest puts benchmarks on the path for tests/benchmarks only
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from damaged_files import HANG, Kind, fuzz, kinds, sealed


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    folder = tmp_path_factory.mktemp("files")
    save_weights(build_net("tiny", 2), folder / "w.safetensors", {"net": "tiny", "classes": '["a", "b"]'})
    job = Job(folder, folder, folder, ("a",), Network(net="planted"), ConceptSettings(), "default")
    run = make_evaluated_run()
    return kinds(lambda: run, job_record(job, [("keep", 3)]), folder / "w.safetensors")


SLOW_KINDS = ("page of a run", "weights")


@pytest.mark.parametrize("number", range(13))
def test_changed_files_are_read_or_refused(files: list[Kind], number: int, tmp_path: Path) -> None:
    kind = files[number]
    if kind.name == "page of a run":
        pytest.skip("drawing takes seconds: see the slow test")
    ended: Counter[str] = Counter()

    @settings(max_examples=6 if kind.name in SLOW_KINDS else 20, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        outcome = fuzz(kind, tmp_path / "file", seed)
        ended[outcome.ended] += 1
        assert outcome.ended in ("read", "refused"), (kind.name, seed)
        assert outcome.seconds < HANG

    check()
    assert kind.name == "origin.json" or ended["refused"], "the change must matter"


@pytest.mark.slow
def test_two_thousand_changed_files(files: list[Kind], tmp_path: Path) -> None:
    outcomes = [
        fuzz(kind, tmp_path / str(i), seed)
        for i, kind in enumerate(files)
        for seed in range(12 if kind.name in SLOW_KINDS else 190)
    ]
    assert len(outcomes) >= 2000
    assert not [o for o in outcomes if o.ended not in ("read", "refused") or o.seconds > HANG]


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$array", "$tuple", "$dict", "$float", "$Clip", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_any_tree_in_place_of_a_run(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "tree"
    if not folder.exists():
        save_run(folder, make_evaluated_run())
    sealed(folder, tree)
    with pytest.raises(DataError):
        load_run(folder)


def test_deep_nesting() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 80 + "]" * 80):
        with pytest.raises(Unreadable):
            parse_json(text)
    assert parse_json("[" * 60 + "]" * 60)
    with pytest.raises(Unreadable, match="nested"):
        parse_yaml("a: " + "[" * 2000 + "]" * 2000)


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (tmp_path / "c.yaml").write_text(bomb)
    with pytest.raises(DataError, match="anchor or alias"):
        read_assignments(tmp_path / "c.yaml", ())


def test_named_pipes_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("c.yaml", "job.json", "run.json"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="not a regular file"):
        read_assignments(tmp_path / "c.yaml", ())
    with pytest.raises(DataError, match="not a regular file"):
        read_job(tmp_path)
    with pytest.raises(DataError, match="not a regular file"):
        load_run(tmp_path)


def test_limit_of_size(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    assert len(read_regular(tmp_path / "x", 100)) == 100
    with pytest.raises(Unreadable, match="100 bytes, more than the 99"):
        read_regular(tmp_path / "x", 99)


def _archive(**members: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def test_arrays_come_back() -> None:
    rng = np.random.default_rng(0)
    given_ = {
        "f": np.asfortranarray(rng.normal(size=(3, 4))),
        "e": np.zeros((2, 0, 3), np.float32),
        "s": np.array(5, np.int8),
        "t": np.array(["ä", "bc"]),
        "c": rng.normal(size=3) + 1j,
    }
    got = read_arrays(_archive(**{name: _npy(array) for name, array in given_.items()}))
    for name, array in given_.items():
        assert (got[name].dtype, got[name].shape) == (array.dtype, array.shape)
        assert (got[name] == array).all()


def test_members_that_nothing_names_are_not_read() -> None:
    good = _npy(np.arange(3))
    assert read_arrays(_archive(a=good, b=b"no array"), ["a"])["a"].tolist() == [0, 1, 2]
    with pytest.raises(Unreadable):
        read_arrays(_archive(a=good, b=b"no array"))
    with pytest.raises(Unreadable, match="no array 'c'"):
        read_arrays(_archive(a=good), ["c"])


def test_a_bomb_and_a_header_that_claims_more() -> None:
    with pytest.raises(Unreadable, match="more than 250 times"):
        read_arrays(_archive(a=_npy(np.zeros(80 << 20, np.uint8))))
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (17179869184,), }".ljust(117) + b"\n"
    with pytest.raises(Unreadable, match="a header of 68,719,476,736 bytes before 0"):
        read_arrays(_archive(a=b"\x93NUMPY\x01\x00v\x00" + head))
    with pytest.raises(Unreadable, match="not of numbers or text"):
        read_arrays(_archive(a=_npy(np.zeros(2, [("x", "f4")]))))


def test_weights_cannot_ask_for_enormous_frames(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for resize in ("[100000, 100000]", "[0, 5]", "[" * 5000):
        save_weights(build_net("tiny", 2), path, {"net": "tiny", "classes": '["a", "b"]', "resize": resize})
        with pytest.raises(ModelError, match="expected sizes"):
            load_model("tiny", weights=path, device="cpu")


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", "1"), ("classes", "bend"), ("network", []), ("settings", [["a"]]), ("preset", "none"), ("whole", None)],
)
def test_fields_of_a_job_have_types(tmp_path: Path, field: str, value: object) -> None:
    job = Job(tmp_path, tmp_path, tmp_path, ("a",), Network(net="planted"), ConceptSettings(), "default")
    record = json.loads(json.dumps(job_record(job, [("keep", 3)])))
    (tmp_path / "job.json").write_text(json.dumps(record))
    assert read_job(tmp_path).settings.keep == 3
    (tmp_path / "job.json").write_text(json.dumps({**record, field: value}))
    with pytest.raises(DataError, match=field):
        read_job(tmp_path)
