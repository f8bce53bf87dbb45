"""Two real processes train as one does; only the first writes and prints."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from voxplain.errors import MissingExtra
from voxplain.train import ALONE, Processes, launched

SCRIPT = Path(__file__).parent / "two_processes.py"
needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="accelerate, the extra `train`, is not installed"
)


def start(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def alone_script(output: Path) -> None:
    """The same training in this process."""
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run(output)


@needs_accelerate
def test_two_processes_train_as_one(tmp_path: Path, small_set: Path) -> None:
    one, two, net = tmp_path / "one", tmp_path / "two", tmp_path / "net"
    one.mkdir()
    two.mkdir()
    command = ("train", small_set, "--net", "tiny", "--epochs", 1, "--batch", 4, "--device", "cpu", "-o", net)
    alone_script(one)
    said = start("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2, SCRIPT, two, *command)
    epochs = [line for line in said.splitlines() if line.startswith("epoch") and line.endswith("of 2")]
    assert epochs == [f"epoch {i} of 2" for i in (1, 2, 3)]
    first, second, alone = (
        load_file(f) for f in (two / "rank0.safetensors", two / "rank1.safetensors", one / "rank0.safetensors")
    )
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(first[name], second[name])
    logs = [json.loads((folder / "rank0.json").read_text()) for folder in (one, two)]
    for a, b in zip(*logs, strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    assert json.loads((two / "rank1.json").read_text()) == logs[1]
    assert [(two / f"threads{rank}").read_text() for rank in (0, 1)] == ["1", "1"]  # what is left aborts now and then
    assert said.count("epoch 1: loss") == said.count("weights: ") == said.count("2 processes share each batch") == 1
    assert sorted(p.name for p in net.iterdir() if p.is_file()) == [
        "checkpoint.safetensors",
        "confusion.csv",
        "curves.png",
        "log.csv",
        "per_class.csv",
        "times.json",
        "weights.safetensors",
    ]
    assert len(list((net / "clips").iterdir())) == 12


def test_started_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched() is ALONE
    assert ALONE.first
    assert ALONE.part([4, 5, 6]).tolist() == [4, 5, 6]
    values = [torch.ones(2)]
    assert ALONE.total(values)[0] is values[0]


def test_several_processes_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtra, match=r"accelerate for training in 2 processes, got none .*voxplain\[train\]"):
        launched()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_shares_are_all_and_even(count: int) -> None:
    parts = [Processes(rank, count).part(np.arange(10)) for rank in range(count)]
    assert np.concatenate(parts).tolist() == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
