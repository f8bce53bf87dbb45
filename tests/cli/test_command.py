"""The command that a report names makes the same job again."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from voxplain.cli import concept_job, settings_as_options
from voxplain.cli.app import app
from voxplain.cli.demo import demo_settings
from voxplain.cli.held_out import HeldOut
from voxplain.cli.job import Job
from voxplain.cli.network import Network
from voxplain.cli.rerun_command import command_of
from voxplain.concepts.settings import PRESETS, override


@pytest.fixture
def job_of(monkeypatch):
    """Runs a command line up to its job, which is what this gives."""
    jobs = []
    monkeypatch.setattr(concept_job, "run_job", lambda job, **_: jobs.append(job) or [])

    def run(line: str) -> Job:
        words = shlex.split(line)
        assert words.pop(0) == "voxplain"
        app(settings_as_options(words), exit_on_error=False, print_error=False, result_action="return_value")
        return jobs[-1]

    return run


@pytest.mark.parametrize(
    "settings",
    [
        demo_settings(),
        PRESETS["paper-small"],
        override(override(PRESETS["default"], "segmenter", "grid"), "keep", 7),
        override(override(PRESETS["paper"], "evaluation.fill", "blur"), "segmenter.segments", [15, 30]),
        override(override(PRESETS["default"], "segmenter.explained", [0.8, 0.9]), "reach", "inf"),
        replace(PRESETS["default"], seed=3),
    ],
)
def test_the_command_gives_the_job_again(job_of, small_set, tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    for name in ("train", "unrelated"):
        Path(name).symlink_to(small_set / name)
    preset = next((name for name, known in PRESETS.items() if known == settings), "demo")
    job = Job(
        Path("train"),
        Path("unrelated"),
        Path("a run"),
        ("cross", "orbit"),
        Network(net="planted", layer=("pool",), batch_size=8),
        settings,
        preset,
        HeldOut(hold_out=("1",)),
    )
    got = job_of(command_of(job, evaluate=False))
    assert got == replace(job, preset=got.preset)
    absolute = replace(job, data=small_set / "train", random=small_set / "unrelated")
    assert command_of(absolute, evaluate=False) == command_of(job, evaluate=False)  # no path of this machine
    assert command_of(job, evaluate=True).splitlines()[1] == "voxplain evaluate 'a run'"
