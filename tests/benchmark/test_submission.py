"""Submissions: the fixed network and clips by their hashes, figures of methods, errors of some, and the command."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from voxplain.attribution import CentrePrior, RandomMap
from voxplain.benchmark import submission as module
from voxplain.benchmark.submission import FORMAT, submission, submission_markdown
from voxplain.benchmark.third_party import ThirdParty
from voxplain.cli.app import app
from voxplain.errors import DataError
from voxplain.nets import weights_digest
from voxplain.zoo.load import load_model


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One clip of each class that an object decides, and short curves."""
    monkeypatch.setattr(module, "CLIPS", 1)
    monkeypatch.setattr(module, "MEASURED", ("energy_inside", "tube_iou", "rank_accuracy"))
    other = ModuleType("other_project")
    other.broken = lambda net, x, target: None
    other.bright = lambda net, x, target: x.sum(1)[0]
    monkeypatch.setitem(sys.modules, "other_project", other)


def test_a_submission_says_what_it_is_of(few: None, tmp_path: Path) -> None:
    methods = {
        "random": RandomMap(),
        "centre": CentrePrior(),
        "bright": ThirdParty("other_project:bright"),
        "broken": ThirdParty("other_project:broken"),
    }
    found = submission(methods, tmp_path, clips=1)
    assert found["format"] == FORMAT
    assert found["network"] == weights_digest(load_model("planted", device="cpu").net)
    assert 4 <= found["clips"] <= 6
    value, low, high = found["methods"]["random"]["energy_inside"]
    assert low <= value <= high
    assert value == pytest.approx(1, abs=0.1), "chance"
    assert found["methods"]["centre"]["energy_inside"][0] > 1.2
    assert found["methods"]["centre"]["passes"] == 0
    assert "got" in found["methods"]["broken"]["error"]
    json.dumps(found, allow_nan=False)


def test_a_number_of_clips_is_another_set(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "known_clips", lambda *_: [])
    monkeypatch.setattr(module, "set_hash", lambda design, size: f"{design}-{size.clips}")
    with pytest.raises(DataError, match="a method or more"):
        submission({}, tmp_path)
    with pytest.raises(DataError, match="clips that"):
        submission({"random": RandomMap()}, tmp_path, clips=2)


def test_the_table() -> None:
    row = {"seconds": 0.5, "passes": 3.0}
    row |= {n: [1.0, 0.9, 1.1] for n in module.MEASURED}
    found = {"network": "n" * 40, "set": "s" * 40, "clips": 2, "format": 1}
    text = submission_markdown({**found, "methods": {"a": row, "b": {"error": "expected a map, got none"}}})
    assert "network nnnnnnnnnnnn, set ssssssssssss, 2 clips, format 1" in text
    assert "| a | 1.00 [0.90, 1.10] |" in text
    assert "| b | expected a map, got none |" in text


def test_the_command_writes_the_file(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def measured(methods: dict, work: Path, **_: object) -> dict:
        asked.update(methods)
        return {"network": "n", "set": "s", "clips": 0, "format": 1, "methods": {}}

    monkeypatch.setattr("voxplain.cli.submission.submission", measured)
    words = ["benchmark", "--submit-format", "--methods", "random", "--method", "other_project:bright"]
    app([*words, "-o", str(tmp_path)], exit_on_error=False, print_error=False, result_action="return_value")
    assert list(asked) == ["random", "bright"]
    assert json.loads((tmp_path / "submission.json").read_text())["format"] == 1


def test_the_study_command_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr("voxplain.benchmark.study_run.run_study", lambda work, **options: asked.update(options) or {})
    words = ["study", str(tmp_path), "--quick", "--nets", "c3d", "tsm", "--shard", "2/3", "--design", "held-out"]
    app([*words, "--clips", "2"], exit_on_error=False, print_error=False, result_action="return_value")
    assert asked["quick"] is True
    assert tuple(asked["networks"]) == ("c3d", "tsm")
    assert (asked["shard"].index, asked["shard"].count) == (2, 3)
    assert asked["design"] == "held-out"
    assert asked["clips"] == 2
