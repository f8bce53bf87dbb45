"""From install to a report for a Hugging Face folder: the five commands of Get started, as they are written."""

import contextlib
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from voxplain.cli import main
from voxplain.errors import ModelError
from voxplain.zoo.libraries import import_library

ROOT = Path(__file__).parents[1]
PAGE, HEADING = ROOT / "docs" / "get_started.md", "## A Hugging Face folder"
CLASSES = ("cross", "orbit")


def commands() -> list[list[str]]:
    """The words of each line of the section's shell block."""
    section = PAGE.read_text().partition(HEADING)[2]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[:1]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def save(folder: Path) -> None:
    """A tiny random VideoMAE with its processor, as the library saves them."""
    try:
        transformers = import_library("transformers", "huggingface")
    except ModelError as error:
        pytest.skip(f"transformers is not installed: {error}")
    torch.manual_seed(0)
    config = transformers.VideoMAEConfig(
        image_size=32,
        patch_size=8,
        num_frames=8,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    transformers.VideoMAEForVideoClassification(config).save_pretrained(folder)
    square = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    transformers.VideoMAEImageProcessor(**square).save_pretrained(folder)


def test_there_are_five_and_the_first_installs_what_exists() -> None:
    first, *others = commands()
    assert len(others) == 4
    assert first[:2] == ["pip", "install"]
    package, extra = re.fullmatch(r"(\w+)\[(\w+)\]", first[2]).groups()  # type: ignore[union-attr]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package == project["name"]
    assert extra in project["optional-dependencies"]
    assert {words[0] for words in others} == {"voxplain"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_commands_give_reports(
    tmp_path: Path, small_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "my-checkpoint")
    (tmp_path / "data").mkdir()
    for part in ("train", "test"):
        (tmp_path / "data" / part).symlink_to(small_set / part)
    (tmp_path / "unrelated").symlink_to(small_set / "unrelated")
    shutil.copy(small_set / "test" / "cross" / "0.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    for words in commands()[1:]:
        run(words, monkeypatch)
    reports = re.findall(r"`(runs/\w+/report\.html)`", PAGE.read_text().partition(HEADING)[2])[:2]
    assert len(reports) == 2
    for name in reports:
        assert "<html" in Path(name).read_text()
    assert "my-checkpoint" in Path(reports[1]).read_text()


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, entry: Callable[[], None] = main) -> None:
    monkeypatch.setattr(sys, "argv", words)
    code: object = 0
    with contextlib.suppress(SystemExit):
        try:
            entry()
        except SystemExit as stop:
            code = stop.code
            raise
    assert code in (0, None), words
