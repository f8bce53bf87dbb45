"""Memory is forecast from what one clip takes, and `--max-memory` lowers workers and passes."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, contents, voxplain

import voxplain as vx
from voxplain.cli import estimate, estimate_audit, memory_limit
from voxplain.cli.execution import Execution
from voxplain.cli.job import Job
from voxplain.cli.memory import Forecast, peak_of, read_bytes, readable_bytes
from voxplain.cli.memory_limit import MemoryLimit, forecast_maps
from voxplain.cli.network import Network
from voxplain.datasets import scan_folder
from voxplain.errors import DataError

MIB = 1 << 20
measured = pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux tells the peak of memory")


@pytest.mark.parametrize(("text", "count"), [("800M", 800 * MIB), ("1.5G", 1536 * MIB), ("2 GiB", 2048 * MIB)])
def test_amounts_of_memory(text: str, count: int):
    assert read_bytes(text) == count
    assert read_bytes(readable_bytes(count).replace(" ", "")) == count


@pytest.mark.parametrize("text", ["", "4", "-1G", "0M", "4T", "much"])
def test_what_is_no_amount_of_memory(text: str):
    with pytest.raises(DataError, match="expected memory such as 800M or 4G"):
        read_bytes(text)


@measured
def test_the_peak_of_work_is_what_it_touches():
    kept, rise = peak_of(lambda: (np.ones(100 * MIB, np.uint8) + 1)[:1].copy())
    assert kept[0] == 2
    assert 150 * MIB < rise < 260 * MIB


def test_workers_are_those_that_fit():
    forecast = Forecast(loaded=500 * MIB, worker=100 * MIB, kept=200 * MIB)
    assert [forecast.workers(limit * MIB, 4) for limit in (2000, 1100, 1099, 800, 799, 100)] == [4, 4, 3, 1, 0, 0]
    assert "about 900 MiB with 2 workers" in forecast.sentence(2)


@pytest.fixture
def job(small_set: Path, tmp_path: Path) -> Job:
    return Job(
        small_set,
        small_set / "unrelated",
        tmp_path,
        ("cross",),
        Network(net="planted"),
        vx.ConceptSettings(),
        "default",
    )


@pytest.mark.parametrize(
    ("limit", "workers", "size"),
    [("4G", 8, 32), ("1340M", 4, 32), ("950M", 1, 32), ("850M", 1, 2), ("770M", 1, 1), ("700M", None, None)],
)
def test_workers_are_lowered_first_and_then_passes(
    job: Job, small_set: Path, monkeypatch: pytest.MonkeyPatch, limit: str, workers: int | None, size: int | None
):
    """700 MiB for the program and what is kept, and 40 MiB a clip of a pass."""
    made = vx.load_model("planted")
    monkeypatch.setattr(
        estimate,
        "calibrate",
        lambda settings, model, clip: estimate.Calibration(1, 1, 1, 9, 9, 9, memory=40 * MIB * model.pass_size),
    )
    monkeypatch.setattr(
        estimate, "forecast", lambda job, found, clips, unrelated: Forecast(600 * MIB, found.memory, 100 * MIB)
    )
    execution = Execution(workers=8, max_memory=limit)
    given = job.network.batch_size
    if workers is None:
        with pytest.raises(DataError, match=r"expected --max-memory of 740 MiB or more .* got 700M; give more"):
            estimate.within_memory(execution, job, made, scan_folder(small_set))
        return
    found, lowered = estimate.within_memory(execution, job, made, scan_folder(small_set))
    assert (found.workers, lowered.network.batch_size, found.max_memory) == (workers, size, None)
    assert given == 32
    assert replace(lowered, network=job.network) == job


@measured
def test_a_method_is_watched_for_its_first_passes_and_then_stopped():
    model = vx.load_model("planted")
    clip = vx.Clip.from_array(np.zeros((*model.grid, 3), np.uint8))
    passes: list[int] = []
    ended: list[str] = []

    def greedy(model: vx.VideoModel, clip: vx.Clip, target: int) -> None:
        held = np.ones(150 * MIB, np.uint8)
        for _ in range(100):
            model.logits(clip)
            passes.append(1)
        ended.append(str(held[0]))

    def failing(model: vx.VideoModel, clip: vx.Clip, target: int) -> None:
        raise ValueError("of this method only")

    found = forecast_maps(model, clip, {"greedy": greedy, "failing": failing}, kept=7)
    assert 140 * MIB < found.worker < 260 * MIB
    assert found.kept == 7
    assert (len(passes), ended) == (8, [])
    model.logits(clip)  # nothing is left on the network


@pytest.mark.parametrize(("limit", "size"), [("4G", 32), ("300M", 2), ("250M", 1), ("200M", None)])
def test_passes_of_maps_are_lowered(monkeypatch: pytest.MonkeyPatch, limit: str, size: int | None):
    """200 MiB for the program, and 40 MiB a clip of a pass."""
    monkeypatch.setattr(
        memory_limit, "forecast_maps", lambda model, *_: Forecast(190 * MIB, 40 * MIB * model.pass_size, 10 * MIB)
    )
    model = replace(vx.load_model("planted"), batch_size=32)
    clip = vx.Clip.from_array(np.zeros((*model.grid, 3), np.uint8))
    given = MemoryLimit(max_memory=limit)
    if size is None:
        with pytest.raises(DataError, match=r"expected --max-memory of 240 MiB or more .* got 200M; give more"):
            given.within(model, clip, {}, 0)
        return
    lowered, found = given.within(model, clip, {}, 0)
    assert lowered.batch_size == size
    assert found.worker == 40 * MIB * lowered.pass_size


@pytest.mark.parametrize("command", ["attribute", "benchmark"])
def test_dry_runs_of_maps_write_nothing(command: str, small_set: Path, tmp_path: Path):
    output = tmp_path / "out"
    given = sorted((small_set / "test" / "cross").iterdir()) if command == "attribute" else [small_set]
    methods = ("--method", "gradient,rise") if command == "attribute" else ("--methods", "gradient", "--limit", "2")
    words = (*given, *methods, "--net", "planted", "--device", "cpu", "-o", output)
    done = voxplain(command, *words, "--dry-run")
    assert done.code == 0, done.err
    assert "memory: about" in done.out
    assert "nothing was written" in done.out
    assert not output.exists()
    done = voxplain(command, *words, "--max-memory", "10M")
    assert done.code == 2
    assert "expected --max-memory of" in done.err
    assert not output.exists()


@measured
def test_concepts_and_audits_with_too_little_memory_write_nothing(small_set: Path, tmp_path: Path):
    words = ("--net", "planted", "--random", small_set / "unrelated", *TINY, "-o", tmp_path / "out")
    for command in (("concepts", small_set, "--class", "cross"), ("audit", small_set / "test")):
        done = voxplain(*command, *words, "--max-memory", "10M")
        assert done.code == 2
        found = re.fullmatch(
            r"expected --max-memory of ([\d.]+ [MG]iB) or more for this network and these videos, got 10M; "
            r"give more, or take fewer videos \(--(videos|limit)\)",
            done.sentence,
        )
        assert found, done.sentence
        assert read_bytes(found[1].replace(" ", "")) > 100 * MIB
        assert not (tmp_path / "out").exists()
        done = voxplain(*command, *words, "--max-memory", "much")
        assert done.code == 2
        assert done.sentence.startswith("expected memory such as 800M or 4G")


@measured
def test_a_new_evaluation_with_too_little_memory_changes_nothing(small_set: Path, tmp_path: Path):
    words = ("--class", "cross", "--net", "planted", "--random", small_set / "unrelated", *TINY)
    done = voxplain("concepts", small_set, *words, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    before = contents(tmp_path / "run")
    done = voxplain("evaluate", tmp_path / "run", "--test", small_set, "--max-memory", "10M")
    assert done.code == 2
    assert done.sentence.startswith("expected --max-memory of ")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("limit", "workers", "size"), [("16G", 8, 32), ("2G", 1, 32), ("850M", 1, 2), ("770M", 1, 1), ("700M", None, None)]
)
def test_workers_and_passes_of_an_audit_are_lowered(
    small_set: Path, monkeypatch: pytest.MonkeyPatch, limit: str, workers: int | None, size: int | None
):
    """700 MiB for the program and what is kept, and 40 MiB a clip of a pass."""
    made = vx.load_model("planted")
    monkeypatch.setattr(
        estimate_audit,
        "calibrate",
        lambda settings, model, clip: estimate.Calibration(1, 1, 1, 9, 9, 9, memory=40 * MIB * model.batch_size),
    )
    monkeypatch.setattr(
        estimate_audit, "_forecast", lambda settings, found, *_: Forecast(600 * MIB, found.memory, 100 * MIB)
    )
    given = (vx.ConceptSettings(), replace(made, batch_size=32), scan_folder(small_set), None, None)
    execution = Execution(workers=8, max_memory=limit)
    if workers is None:
        with pytest.raises(DataError, match=r"expected --max-memory of 740 MiB or more .* got 700M; .*--limit"):
            estimate_audit.within_memory(execution, *given)
        return
    found, model = estimate_audit.within_memory(execution, *given)
    assert (found.workers, model.batch_size, found.max_memory) == (workers, size, None)


@measured
def test_a_forecast_of_an_audit_grows_with_its_clips(small_set: Path):
    measured_clip = estimate.Calibration(1, 1, 1, 50, 1000, 9, frame_bytes=MIB, memory=30 * MIB)
    settings = vx.ConceptSettings()
    few, many = (estimate_audit._forecast(settings, measured_clip, [n, n], 20) for n in (10, 40))
    assert few.worker == many.worker == 30 * MIB
    assert many.kept - few.kept == pytest.approx(60 * MIB + (60 + 30) * 50 * 1000 * 4, abs=MIB)


def test_whole_videos_have_a_limit(small_set: Path, tmp_path: Path):
    """One of 2,000 frames of 64×64 is left out by its name, and the others are explained."""
    data = tmp_path / "data"
    (data / "cross").mkdir(parents=True)
    for path in (small_set / "train" / "cross").iterdir():
        shutil.copy(path, data / "cross")
    vx.Clip.from_array(np.zeros((2000, 64, 64, 3), np.uint8)).save(data / "cross" / "long.npy")
    words = ("--class", "cross", "--net", "planted", "--random", small_set / "unrelated", *TINY, "--whole")
    done = voxplain("concepts", data, *words, "-o", tmp_path / "run")
    assert done.code == 3, done.err
    assert "long.npy: expected at most 1092 frames of 64×64 with --whole, got 2000" in " ".join(done.out.split())
    done = voxplain("concepts", data, *words, "-o", tmp_path / "again", "--max-memory", "100M")
    assert done.code == 2
    assert "expected --max-memory of" in done.sentence


LIMITED = """
import resource, sys
from pathlib import Path
import torch, numba, matplotlib.pyplot, sklearn.cluster, av, skimage, scipy.stats  # what every run loads
import voxplain as vx
from voxplain.cli import main
torch.set_num_threads(1)
vx.load_model("planted").predict(__import__("numpy").zeros((16, 64, 64, 3), "uint8"))
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]) * 2**20,) * 2)
sys.argv = ["voxplain", *sys.argv[2:]]
main()
"""


def run_limited(mib: int, *words: object) -> subprocess.CompletedProcess:
    """A command that may take this much more address space than the libraries and the network."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(mib), *map(str, words)], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 frames of 640×480."""
    frames = np.zeros((200, 480, 640, 3), np.uint8)
    for i, frame in enumerate(frames):
        frame[100:200, 2 * i : 2 * i + 100] = (200, 40, 40)
    return vx.Clip.from_array(frames).save(tmp_path_factory.mktemp("long") / "long.mp4")


limits_address_space = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the limit of address space is one of Linux"
)
CONCEPTS = ("--segmenter", "slic", "--segmenter.segments", "4", "8", "--clusterer", "kmeans", "--clusterer.clusters")
CONCEPTS += ("4", "--keep", "3", "--unrelated-crops", "12", "--random-sets", "4", "--workers", "2")


@pytest.fixture(scope="module")
def limited_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that other commands continue, under the same limit."""
    output = tmp_path_factory.mktemp("limited") / "run"
    words = ("--class", "cross", "--net", "planted", "--random", small_set / "unrelated", *CONCEPTS)
    done = run_limited(400, "concepts", small_set, *words, "-o", output)
    assert done.returncode == 0, done.stderr[-2000:]
    return output


@pytest.mark.slow
@pytest.mark.timeout(900)
@limits_address_space
@pytest.mark.parametrize(
    "words",
    [
        (
            *("attribute", "LONG", "--net", "planted", "--method", "gradient,grad_cam,occlusion"),
            *("--metric", "insertion", "--format", "mp4", "png"),
        ),
        ("evaluate", "RUN", "--test", "DATA", "--workers", "2"),
        (
            "benchmark",
            "DATA",
            "--net",
            "planted",
            "--methods",
            "gradient,rise",
            "--metrics",
            "insertion",
            "--limit",
            "4",
        ),
        ("audit", "DATA", "--net", "planted", "--random", "UNRELATED", *CONCEPTS),
        ("improve", "CLASS", "DATA", "--net", "planted", "--remove", "0", "--method", "p_clarc", "--seeds", "1"),
        ("train", "DATA", "--net", "tiny", "--epochs", "1"),
    ],
    ids=lambda words: words[0],
)
def test_the_largest_commands_under_a_limit_of_address_space(
    words: tuple[str, ...], long_video: Path, limited_run: Path, small_set: Path, tmp_path: Path
):
    """400 MiB: 200 frames of 640×480 were 6.9 GB."""
    places: dict[str, Path] = {"LONG": long_video, "RUN": limited_run, "CLASS": limited_run / "cross"}
    places |= {"DATA": small_set, "UNRELATED": small_set / "unrelated"}
    output = () if words[0] == "evaluate" else ("-o", tmp_path / "out")
    done = run_limited(400, *(places.get(word, word) for word in words), *output)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@limits_address_space
def test_too_little_address_space_is_one_sentence(long_video: Path, tmp_path: Path):
    words = ("--net", "planted", "--method", "rise", "--metric", "none", "--format", "png", "-o", tmp_path / "maps")
    done = run_limited(20, "attribute", long_video, *words)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("voxplain: ")]
    assert "memory" in said
