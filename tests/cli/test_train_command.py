"""`voxplain train`: what it writes, and how it stops early on bad data."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, voxplain
from PIL import Image

from voxplain.report import training_curves
from voxplain.train import EpochLog, per_class


def train(data: Path, output: Path, *words: object) -> Outcome:
    return voxplain("train", data, "--net", "tiny", "--batch", 4, "--device", "cpu", "-o", output, *words)


def test_curves_accuracy_a_class_and_a_cache_of_ones_own(small_set: Path, tmp_path: Path) -> None:
    done = train(small_set, tmp_path / "net", "--epochs", 2, "--cache", tmp_path / "kept", "--micro-batch", 2)
    assert done.code == 0, done.err
    assert len(list((tmp_path / "kept").iterdir())) == 12
    assert not (tmp_path / "net" / "clips").exists()
    with Image.open(tmp_path / "net" / "curves.png") as picture:
        assert picture.size == (1320, 480)
    with (tmp_path / "net" / "per_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["cross", "orbit"]
    assert [row["videos"] for row in rows] == ["2", "2"]
    with (tmp_path / "net" / "log.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["test_accuracy"]) == sum(int(row["right"]) for row in rows) / 4


def test_a_class_of_bad_videos_stops_before_the_first_epoch(small_set: Path, tmp_path: Path) -> None:
    shutil.copytree(small_set / "train", tmp_path / "data")
    for path in (tmp_path / "data" / "orbit").iterdir():
        path.write_bytes(b"no video")
    done = train(tmp_path / "data", tmp_path / "net", "--epochs", 1)
    assert done.code == 2
    assert "none of 4 of class 'orbit'" in done.sentence
    assert "read 4 of 8 videos" in done.out
    assert done.out.count("skipped: ") == 4
    assert not list((tmp_path / "net").glob("*.safetensors"))


def test_one_bad_video_is_named_and_left_out(small_set: Path, tmp_path: Path) -> None:
    shutil.copytree(small_set / "train", tmp_path / "data")
    bad = tmp_path / "data" / "orbit" / "0.mp4"
    bad.write_bytes(b"no video")
    done = train(tmp_path / "data", tmp_path / "net", "--epochs", 1)
    assert done.code == 3
    assert "read 7 of 8 videos" in done.out
    assert "skipped: " in done.out
    assert "orbit/0.mp4" in done.out.replace("\n", "")


def test_rows_a_class() -> None:
    matrix = np.array([[3, 1, 2], [0, 5, 0], [0, 0, 0]])
    rows = per_class(matrix, ("a", "b", "c"))
    assert [tuple(row.values()) for row in rows] == [
        ("a", 6, 3, 0.5, "c"),
        ("b", 5, 5, 1.0, None),
        ("c", 0, 0, None, None),
    ]


@pytest.mark.parametrize("tested", [True, False])
def test_the_curves_are_those_of_the_log(tested: bool) -> None:
    rates = (0.1, 0.1, 0.01, 0.001)
    logs = [EpochLog(i + 1, 2 - i / 3, i / 4, i / 5 if tested else None, lr) for i, lr in enumerate(rates)]
    left, right = training_curves(logs, classes=4).axes
    drawn = {line.get_gid(): line for ax in (left, right) for line in ax.lines}
    assert drawn["loss"].get_xydata().tolist() == [[log.epoch, log.loss] for log in logs]
    assert drawn["train"].get_ydata().tolist() == [log.train_accuracy for log in logs]
    assert ("test" in drawn) == tested
    assert drawn["chance"].get_ydata()[0] == 0.25
    for ax in (left, right):
        assert [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "rate"] == [2.5, 3.5]
    assert [text.get_text() for text in left.texts] == ["lr 0.01 ", "lr 0.001 "]


def test_curves_of_one_epoch_show_a_point() -> None:
    left, _ = training_curves([EpochLog(1, 1.0, 0.5, 0.5, 0.1)]).axes
    assert left.lines[0].get_marker() == "o"
