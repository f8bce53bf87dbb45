"""A result is made once; damaged files and full disks are survived."""

import csv
import errno
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from stored_values import RECORD_VALUE, TENSORS, VOLUME, equal

from voxplain.errors import DataError, VoxplainError
from voxplain.store import Entry, Store, write_csv

MAKERS: dict[str, Callable[[Store, Callable[[], Any]], Any]] = {
    ".safetensors": lambda store, make: store.arrays("step", "k", make),
    ".npz": lambda store, make: store.labels("step", "k", make),
    ".json": lambda store, make: store.record("step", "k", make),
}
VALUES: dict[str, Any] = {".safetensors": TENSORS, ".npz": VOLUME, ".json": RECORD_VALUE}


def never() -> Any:
    raise AssertionError("made again although it was there")


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_result_is_made_once_and_first_and_later_runs_see_the_same(tmp_path: Path, suffix: str) -> None:
    first = MAKERS[suffix](Store(tmp_path), lambda: VALUES[suffix])
    later = MAKERS[suffix](Store(tmp_path), never)
    assert equal(VALUES[suffix], first)
    assert equal(first, later)
    assert type(first) is type(later)
    if suffix == ".safetensors":
        assert list(first) == list(later) == ["a", "b"]
        first["a"][0] = 8  # a result belongs to its caller: it can be changed, and the file stays
        assert MAKERS[suffix](Store(tmp_path), never)["a"][0] == 7


def test_the_files_open_without_voxplain(tmp_path: Path) -> None:
    for suffix, maker in MAKERS.items():
        maker(Store(tmp_path), lambda suffix=suffix: VALUES[suffix])
    assert equal(load_file(tmp_path / "step" / "k.safetensors")["b"], TENSORS["b"])
    with np.load(tmp_path / "step" / "k.npz", allow_pickle=False) as archive:
        assert equal(archive["labels"], VOLUME)
    assert '"rank": [' in (tmp_path / "step" / "k.json").read_text(errors="replace")
    assert "NaN" not in (tmp_path / "step" / "k.json").read_text(errors="replace")  # not JSON


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_file_cut_short_anywhere_is_reported_and_made_again(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    MAKERS[suffix](store, lambda: VALUES[suffix])
    path = tmp_path / "step" / f"k{suffix}"
    whole = path.read_bytes()
    for damaged in [whole[:0], whole[:5], whole[: len(whole) // 2], whole[:-1], bytes(len(whole))]:
        path.write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert equal(VALUES[suffix], MAKERS[suffix](store, lambda: VALUES[suffix]))
        assert [path.name in record.getMessage() for record in caplog.records] == [True]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = Store(tmp_path)
    store.record("step", "before", lambda: 1)

    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(VoxplainError, match=r"^needs 8\.0 MB more in .*step.* MB is free .*free some space"):
            store.arrays("step", "big", lambda: {"x": np.zeros(1_000_000)})
    assert [path.name for path in (tmp_path / "step").iterdir()] == ["before.json"]
    assert store.arrays("step", "big", lambda: {"x": np.zeros(1)})["x"].shape == (1,)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_really_fills_up_keeps_what_is_finished_and_goes_on_with_room(tiny_disk: Path) -> None:
    store, values = Store(tiny_disk / "run"), {"x": np.arange(12_500.0)}
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    kept = 0
    with pytest.raises(VoxplainError, match=r"needs 0\.1 MB more"):  # noqa: PT012
        for kept in range(10):
            store.arrays("step", f"k{kept}", lambda: values)
    assert kept >= 2
    assert [path.name for path in sorted((tiny_disk / "run" / "step").iterdir())] == [
        f"k{i}.safetensors" for i in range(kept)
    ]
    ballast.unlink()
    for i in range(kept + 1):
        assert equal(values, store.arrays("step", f"k{i}", never if i < kept else lambda: values))


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VoxplainError, match=r"cannot write in .*file"):
        Store(tmp_path / "file")
    store = Store(tmp_path)
    with pytest.raises(VoxplainError, match=r"cannot write in .*file"):
        store.record("file", "k", lambda: 1)


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "a b", "a\n"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected letters"):
        Store(tmp_path).record(name, "k", never)
    with pytest.raises(ValueError, match="expected letters"):
        Store(tmp_path).record("step", name, never)


def test_an_error_while_making_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Store(tmp_path).record("step", "k", never)
    assert Store(tmp_path).describe() == ()


def test_describe_lists_kinds_and_sizes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for suffix, maker in MAKERS.items():
        maker(store, lambda suffix=suffix: VALUES[suffix])
    sizes = {suffix: (tmp_path / "step" / f"k{suffix}").stat().st_size for suffix in MAKERS}
    (tmp_path / "step" / "notes.txt").write_text("not a result")
    assert store.describe() == (
        Entry("step", "k", "arrays", sizes[".safetensors"]),
        Entry("step", "k", "labels", sizes[".npz"]),
        Entry("step", "k", "record", sizes[".json"]),
    )


def test_a_table_reads_back_as_csv(tmp_path: Path) -> None:
    rows = [{"rank": 1, "name": 'a "b", c', "effect": 0.1 + 0.2}, {"rank": 2, "name": "é\n", "effect": None}]
    write_csv(tmp_path / "new" / "table.csv", rows)
    with (tmp_path / "new" / "table.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert float(read[0]["effect"]) == 0.1 + 0.2
    assert read[1]["effect"] == ""
    with pytest.raises(DataError, match="row 1"):
        write_csv(tmp_path / "table.csv", [{"a": 1}, {"b": 2}])
    write_csv(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_bytes() == b""
