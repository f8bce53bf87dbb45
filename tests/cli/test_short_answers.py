"""What the commands print: a short answer, with -v the tables, JSON alone, or nothing."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import voxplain

from voxplain.benchmark.comparison import Comparison
from voxplain.cli.benchmark_output import comparison_answer
from voxplain.cli.train_steps import accuracy_sentence
from voxplain.corrections.compare import Gain
from voxplain.corrections.improved import Improved, NetworkRow

COMMANDS = {
    "attribute": ("--method", "gradient,grad_cam,random", "--metric", "sufficiency", "--format", "png"),
    "benchmark": ("--methods", "gradient,grad_cam,random", "--metrics", "sufficiency", "--limit", 2),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_short_answer_tables_json_and_nothing(small_set: Path, tmp_path: Path, command: str) -> None:
    data = small_set / "test" / "cross" / "0.mp4" if command == "attribute" else small_set

    def printed(*words: str) -> tuple[str, str]:
        done = voxplain(command, data, *COMMANDS[command], "--net", "planted", "-o", tmp_path / "out", *words)
        assert done.code == 0, done.err
        return done.out, done.err

    short, (long, _) = printed()[0], printed("--verbose")
    assert str(tmp_path) in short
    assert all(name in short for name in ("gradient", "grad_cam"))
    assert len(long.splitlines()) > len(short.splitlines()) <= 12
    out, err = printed("--json")
    record = json.loads(out)
    assert str(tmp_path / "out") in err
    if command == "attribute":
        (video,) = record["videos"]
        assert set(video["methods"]) == {"gradient", "grad_cam", "random"}
        best = min(video["methods"], key=lambda m: video["methods"][m]["sufficiency"])
        assert f"best by sufficiency: {best} {video['methods'][best]['sufficiency']:.3f}" in short
    else:
        ranks = record["ranks"]["faithfulness"]
        assert min(ranks, key=ranks.get) == short.partition("faithfulness: ")[2].split()[0]
    assert printed("--quiet") == ("", "")


def test_train_prints_the_last_epoch_and_the_accuracy(small_set: Path, tmp_path: Path) -> None:
    words = ("train", small_set, "--net", "tiny", "--batch", 4, "--device", "cpu", "--epochs", 2)
    short = voxplain(*words, "-o", tmp_path / "a")
    assert short.code == 0, short.err
    assert short.out.count("epoch ") == 1
    assert "epoch 2: loss" in short.out
    assert "test accuracy" in short.out
    long = voxplain(*words, "-o", tmp_path / "b", "-v")
    assert long.out.count("epoch ") == 2
    out = voxplain(*words, "-o", tmp_path / "c", "--json")
    record = json.loads(out.out)
    assert record["last_epoch"]["epoch"] == 2
    assert [row["class"] for row in record["classes"]] == ["cross", "orbit"]


def test_two_kinds_of_output_are_one_too_many(small_set: Path, tmp_path: Path) -> None:
    done = voxplain("train", small_set, "-o", tmp_path / "x", "--json", "--quiet")
    assert done.code == 2
    assert "expected --quiet or --json, got both" in done.sentence


def test_the_class_with_the_lowest_accuracy_is_named() -> None:
    said = str(accuracy_sentence(np.array([[3, 1, 0], [2, 1, 1], [0, 0, 0]]), ("a", "b", "c")))
    assert said == "test accuracy 50.00 % of 8 videos; lowest of “b”: 1 of 4"


def test_the_best_methods_of_each_kind() -> None:
    none: dict[str, dict[str, float]] = {}
    ranks = {"faithfulness": {"a": 3.0, "b": 1.5, "c": 2.0, "d": 4.0}, "localisation": {}}
    errors = {"e": "no gradient"}
    found = Comparison(7, ("a", "b", "c", "d"), (), none, none, none, none, none, none, none, ranks, errors)
    lines = comparison_answer(found).splitlines()
    assert lines[1:] == ["  faithfulness: b 1.5, c 2.0, a 3.0", "  without maps: e"]
    assert lines[0].startswith("4 methods on 7 clips")


def test_what_a_correction_brought_in_one_sentence() -> None:
    rows = (NetworkRow("original", 0.9, 0.4, math.nan, 3.0), NetworkRow("corrected", 0.89, 0.8, math.nan, 0.5))
    gain = Gain("corrected", "original", "conflicting", 20, 40.0, 31.0, 49.0, 0.001)
    found = Improved(None, "dfr", {}, {}, rows, (gain,), ())
    assert found.sentence() == (
        "dfr: worst group 40.0 → 80.0 %, all 90.0 → 89.0 %; reliance 3.00 → 0.50; conflicting clips +40.0 points "
        "[+31.0, +49.0]"
    )
    assert "points" not in replace(found, gains=()).sentence()
