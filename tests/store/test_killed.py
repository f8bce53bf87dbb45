"""Runs killed at any moment, and two at once, leave what one undisturbed run leaves."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from voxplain.store import Store, write_whole

CHILD = [sys.executable, str(Path(__file__).with_name("chain.py"))]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


def start(root: Path, *kill: object) -> "subprocess.Popen[str]":
    child = subprocess.Popen([*CHILD, str(root), *map(str, kill)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def finish(child: "subprocess.Popen[str]") -> int | None:
    """How many results the child made, or None if it was killed."""
    output, _ = child.communicate(timeout=200)
    assert child.returncode in (0, -9)
    return int(output) if child.returncode == 0 else None


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def read_everything(root: Path) -> tuple[int, int]:
    """Read each result with the format's own library, not the store's; counts results, temporary files."""
    read, temporary = 0, 0
    for path in sorted(root.rglob("*")):
        if path.is_dir():
            continue
        if path.name.startswith("."):
            temporary += 1
            continue
        if path.suffix == ".safetensors":
            assert load_file(path)["values"].shape == (40, 5)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                assert archive["labels"].shape == (40, 5)
        else:
            assert path.suffix == ".json"
            assert "total" in json.loads(path.read_text())
        read += 1
    return read, temporary


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("undisturbed")
    assert finish(start(root)) == 60
    assert read_everything(root) == (60, 0)
    return contents(root)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_inside_any_line_or_fsync_the_chain_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, str], seed: int
) -> None:
    rng, done, leftovers, kills = np.random.default_rng(seed), 0, 0, 0
    for attempt in range(8):
        # Odd calls of fsync are those of files, so such a kill always leaves a temporary file.
        kill = ("fsync", 2 * rng.integers(8) + 1) if attempt % 2 else ("line", rng.integers(1, 500))
        kills += finish(start(tmp_path, *kill)) is None
        read, temporary = read_everything(tmp_path)
        assert read >= done
        done, leftovers = read, leftovers + temporary
    assert kills == 8
    assert leftovers >= 4
    made = finish(start(tmp_path))
    assert made == 60 - done
    assert contents(tmp_path) == undisturbed


def test_killed_by_another_process_while_a_third_reads(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    rng, kills = np.random.default_rng(2), 0
    for _ in range(8):
        child = start(tmp_path)
        end = time.perf_counter() + rng.uniform(0.0, 0.06)
        while time.perf_counter() < end:
            read_everything(tmp_path)
        child.kill()
        kills += finish(child) is None
    assert kills > 0
    finish(start(tmp_path))
    assert contents(tmp_path) == undisturbed


def test_two_processes_that_make_the_same_results_at_once(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    children = [start(tmp_path) for _ in range(2)]
    made = [finish(child) for child in children]
    assert sum(m for m in made if m is not None) >= 60
    assert contents(tmp_path) == undisturbed


def test_opening_a_store_spares_the_file_that_another_is_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = tmp_path / "step" / ".old.json.0123456789abcdef.voxplain-tmp"
    abandoned.parent.mkdir()
    abandoned.write_bytes(b"half")
    theirs = tmp_path / "step" / ".mail.tmp"
    theirs.write_bytes(b"another program's")
    real, seen = os.fsync, []

    def fsync(descriptor: int) -> None:
        if not seen:
            Store(tmp_path)  # opened while the temporary file is being written
            seen.extend(sorted(path.name for path in abandoned.parent.iterdir()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "step" / "new.json", b"{}\n")
    assert len(seen) == 2
    assert seen[0] == ".mail.tmp"
    assert seen[1].startswith(".new.json.")
    assert sorted(path.name for path in abandoned.parent.iterdir()) == [".mail.tmp", "new.json"]


def test_a_temporary_file_taken_away_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = os.replace, []

    def replace(source: Path, target: Path) -> None:
        if len(taken) < 2:
            taken.append(source)
            os.unlink(source)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_whole(tmp_path / "new.json", b"{}\n")
    assert len(taken) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["new.json"]
