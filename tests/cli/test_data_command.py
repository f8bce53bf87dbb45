"""`voxplain data`, and training on a named data set."""

import json
import os
import shutil
from pathlib import Path

import pytest
from command_line import voxplain

from voxplain.cli.data import data_command
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.job import read_job
from voxplain.datasets import DATASETS
from voxplain.datasets.weizmann import ACTIONS, PERSONS
from voxplain.errors import DataError

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))
PAGE = Path(__file__).parents[2] / "docs/data.md"


def made(root: Path) -> Path:
    """Weizmann's layout with empty files."""
    for name in (f"{action}/{person}_{action}.avi" for action in ACTIONS for person in PERSONS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_all_are_listed_here_and_in_the_documents() -> None:
    outcome = voxplain("data")
    assert outcome.code == 0
    page = PAGE.read_text()
    for name, known in DATASETS.items():
        assert f"{name}: {known.what}" in outcome.out
        assert f"| `{name}` |" in page
    one = voxplain("data", "kth")
    assert one.code == 0
    assert "16 persons train, 9 test" in one.out
    assert voxplain("data", "khinetics").sentence.endswith("did you mean 'kinetics'?")


def test_a_whole_folder(tmp_path: Path) -> None:
    outcome = voxplain("data", "weizmann", "--check", made(tmp_path))
    assert outcome.code == 0, outcome.err
    assert "complete, 90 of 90 videos" in outcome.out
    assert "not complete" not in outcome.out


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    made(tmp_path)
    for person in PERSONS[:6]:
        (tmp_path / f"run/{person}_run.avi").unlink()
    outcome = voxplain("data", "weizmann", "--check", tmp_path)
    assert outcome.code == 1
    assert "not complete, 84 of 90 videos" in outcome.out
    assert "6 videos missing: run/daria_run, run/denis_run" in outcome.out
    assert ", and 1 more" in outcome.out
    (row,) = [line.split() for line in outcome.out.splitlines() if line.split()[:1] == ["run"]]
    assert row == ["run", "9", "3"]


def test_missing_lists_and_unknown_names_are_told(tmp_path: Path) -> None:
    outcome = voxplain("data", "hmdb51", "--check", tmp_path)
    assert outcome.code == 1
    assert "51 lists CLASS_test_split1.txt: missing" in outcome.out
    assert "not complete, 0 of 6766 videos, 3 lists missing" in outcome.out
    assert "6766 more videos missing" in outcome.out


def test_reading_finds_what_no_name_shows(tmp_path: Path) -> None:
    outcome = voxplain("data", "weizmann", "--check", made(tmp_path), "--read")
    assert outcome.code == 1
    assert "90 videos that cannot be read whole" in outcome.out
    assert "the file is empty" in outcome.out


@pytest.mark.parametrize("words", [("--check", "x"), ("jhmdb", "--read"), ("jhmdb", "--check", "nowhere")])
def test_incomplete_commands_are_one_sentence(words: tuple[str, ...]) -> None:
    outcome = voxplain("data", *words)
    assert outcome.code == 2
    assert outcome.sentence.startswith(("expected", "nowhere"))


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [("weizmann", "weizmann", 90), ("utd_mhad", "utd_mhad_depth", 861), ("jhmdb", "jhmdb", 928)],
)
def test_the_real_folders_are_complete(name: str, folder: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"no {folder} in the folder that VOXPLAIN_DATA names")
    data_command(name, check=DATA / folder)
    assert f"complete, {count} of {count} videos" in capsys.readouterr().out


def test_named_sets_divide_the_videos(tmp_path: Path) -> None:
    train, test = split_videos(made(tmp_path), HeldOut(dataset="weizmann"))
    assert test is not None
    assert (len(train), len(test)) == (60, 30)
    assert {path.name.split("_")[0] for path in test.paths} == {"ido", "lena", "moshe"}


@pytest.mark.parametrize(
    ("held", "outcome"),
    [
        (HeldOut(dataset="weizmann", hold_out=("ido",)), "--dataset or --hold-out"),
        (HeldOut(dataset="weizmann", split=Path("s.txt")), "--dataset or --split"),
        (HeldOut(dataset="weizmann", fold=2), "only split 1"),
        (HeldOut(dataset="jhmdb", fold=4), "splits 1 to 3"),
        (HeldOut(fold=2), "--fold 2"),
        (HeldOut(dataset="weitzmann"), "did you mean 'weizmann'"),
    ],
)
def test_wrong_ways_to_divide_are_refused(tmp_path: Path, held: HeldOut, outcome: str) -> None:
    with pytest.raises(DataError, match=outcome):
        split_videos(made(tmp_path), held)


def test_training_and_explaining_take_the_named_split(tmp_path: Path) -> None:
    if not (DATA / "utd_mhad_depth").is_dir():
        pytest.skip("no utd_mhad_depth in the folder that VOXPLAIN_DATA names")
    for action in ("wave", "clap"):
        for subject in (1, 2, 3):
            name = f"{action}/s{subject}_t1.mp4"
            (tmp_path / "data" / action).mkdir(parents=True, exist_ok=True)
            shutil.copy(DATA / "utd_mhad_depth" / name, tmp_path / "data" / name)
    named, net = ("--dataset", "utd_mhad"), tmp_path / "net"
    done = voxplain(
        "train", tmp_path / "data", *named, "--net", "tiny", "--epochs", 1, "--batch", 4, "--device", "cpu", "-o", net
    )
    assert done.code == 0, done.err
    confusion = [line.split(",") for line in (net / "confusion.csv").read_text().splitlines()]
    assert [name for name, *_ in confusion] == ["truth", "wave", "clap"]
    assert [sum(map(int, row[1:3])) for row in confusion[1:]] == [1, 1], "subject 2 alone is the test"
    (tmp_path / "data/unrelated").mkdir()
    shutil.copy(DATA / "utd_mhad_depth/bowling/s1_t1.mp4", tmp_path / "data/unrelated")
    run = tmp_path / "run"
    done = voxplain(
        "concepts",
        tmp_path / "data",
        *named,
        "--net",
        "tiny",
        "--weights",
        net / "weights.safetensors",
        "--class",
        "wave",
        "--device",
        "cpu",
        "--dry-run",
        "-o",
        run,
    )
    assert done.code == 0, done.err
    assert "“wave”: 2 videos" in done.out


def test_a_job_remembers_the_named_set(tmp_path: Path) -> None:
    record = {
        "data": "d",
        "hold_out": [],
        "split": None,
        "dataset": "jhmdb",
        "fold": 2,
        "random": "r",
        "classes": ["a"],
        "network": {"net": "tiny", "weights": "w", "model": None, "layer": [], "device": None, "batch_size": 2},
        "preset": "default",
        "seed": 0,
        "whole": False,
        "settings": [],
    }
    (tmp_path / "job.json").write_text(json.dumps(record))
    assert read_job(tmp_path).held == HeldOut(dataset="jhmdb", fold=2)
    (tmp_path / "job.json").write_text(json.dumps({k: v for k, v in record.items() if k not in ("dataset", "fold")}))
    assert read_job(tmp_path).held == HeldOut()
