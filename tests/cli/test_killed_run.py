"""`voxplain concepts` killed at any moment and run again ends with the files of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, contents

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and fork")


@dataclass(frozen=True)
class Runner:
    """Commands in processes of their own."""

    process: "subprocess.Popen[str]"

    def start(self, words: list[str], kill: str | None) -> int:
        """Begin a command; returns its process id."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"words": words, "kill": kill}) + "\n")
        self.process.stdin.flush()
        return int(self.answer().removeprefix("started "))

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the runner died"
        return line.strip()

    def run(self, words: list[str], kill: str | None = None) -> int:
        """The exit code; −9 when killed."""
        self.start(words, kill)
        return self.end()

    def end(self) -> int:
        """Wait for the command; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.answer())


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    # One thread each, so that a fork copies no locks of threads that it does not have.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("runner.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        made = Runner(process)
        assert made.answer() == "ready"
        yield made
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def words(data: Path, output: Path) -> list[str]:
    given = ["concepts", data, "--class", "cross", "--net", "planted", "--device", "cpu", *TINY]
    return [str(word) for word in (*given, "--random", data / "unrelated", "-o", output)]


@dataclass(frozen=True)
class Undisturbed:
    files: dict[str, str]
    order: list[str]  # by the time they were written
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(runner: Runner, small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed") / "run"
    began = time.perf_counter()
    assert runner.run(words(small_set, root)) == 0
    took = time.perf_counter() - began
    files = contents(root)
    order = sorted(files, key=lambda name: ((root / name).stat().st_mtime_ns, name))
    assert order[0] == "job.json"
    assert order[-1] == "report.html"
    assert {"cross/concepts.json", "cross/concepts.csv"} < set(files)
    assert not [name for name in files if "tmp" in name or "part" in name]
    return Undisturbed(files, order, took)


def check_killed(
    runner: Runner, small_set: Path, output: Path, undisturbed: Undisturbed, targets: list[str], delays: list[float]
) -> None:
    """Kill at each target in turn and after each delay, then let the run end."""
    command, strays = words(small_set, output), 0
    for target in targets:
        assert runner.run(command, kill=target) == -signal.SIGKILL, target
        left = contents(output)
        assert target not in left or target == "job.json"
        strays += len(left.keys() - undisturbed.files.keys())
        for name in left.keys() & undisturbed.files.keys():
            assert left[name] == undisturbed.files[name], name
    assert strays >= len(targets), "each kill leaves a temporary file, or it tests nothing"
    for delay in delays:
        child = runner.start(command, None)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        assert runner.end() in (0, -signal.SIGKILL)
    assert runner.run(command) == 0
    assert contents(output) == undisturbed.files


def drawn(undisturbed: Undisturbed, rng: np.random.Generator, count: int) -> list[str]:
    """Files at random moments, in the order of their writing; the last two among the results."""
    stored = [name for name in undisturbed.order[1:] if name.startswith("store/")]
    results = [name for name in undisturbed.order if name.startswith("cross/")]
    picked = np.sort(rng.choice(len(stored), count - 2, replace=False))
    return [*(stored[i] for i in picked), str(rng.choice(results)), "report.html"]


def test_killed_at_four_moments(runner: Runner, small_set: Path, tmp_path: Path, undisturbed: Undisturbed) -> None:
    rng = np.random.default_rng(0)
    targets = drawn(undisturbed, rng, 4)
    delay = float(rng.uniform(0.1, 0.5) * undisturbed.seconds)
    check_killed(runner, small_set, tmp_path / "run", undisturbed, targets, [delay])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_killed_at_many_moments(
    runner: Runner, small_set: Path, tmp_path: Path, undisturbed: Undisturbed, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    targets = ["job.json", *drawn(undisturbed, rng, 12)]
    delays = rng.uniform(0, undisturbed.seconds, 5).tolist()
    check_killed(runner, small_set, tmp_path / "run", undisturbed, targets, delays)
