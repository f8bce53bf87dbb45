"""Get started, followed as a stranger would: its commands in order, in an empty folder, up to a report."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voxplain.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "get_started.md").read_text("utf-8")


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def commands(heading: str) -> list[list[str]]:
    lines = re.findall(r"^```sh\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True) for block in lines for line in block.splitlines()]


def names_of_outputs() -> list[str]:
    return re.findall(r"`(\w+)`", section("Your own network").partition("(here ")[2].partition(")")[0])


def test_the_page_names_the_outputs_of_its_network() -> None:
    assert len(names_of_outputs()) == 7
    assert "nn.Linear(8, 7)" in section("Your own network")
    assert [words[1] for words in commands("Your own network")] == ["doctor", "attribute", "concepts", "evaluate"]


def code_of(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_nothing_to_the_report_of_an_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url, *_: opened.append(url) or True)
    code = re.findall(r"^```python\n(.*?)^```", section("Your own network"), re.MULTILINE | re.DOTALL)[0]
    Path("mynet.py").write_text(code)
    Path("names.txt").write_text("\n".join(names_of_outputs()) + "\n")
    for words in (*commands("Planted videos"), *commands("Your own network")):
        monkeypatch.setattr(sys, "argv", words)
        assert code_of(main) == 0, words
    assert len(opened) == 1
    reports = re.findall(r"`(runs/[\w-]+/report\.html)`", section("Planted videos") + section("Your own network"))
    assert set(reports) == {"runs/clip/report.html", "runs/cross/report.html", "runs/mine/report.html"}
    for report in reports:
        assert "<html" in Path(report).read_text("utf-8")
    assert "does not clearly recognise" in Path("runs/mine/report.html").read_text("utf-8")
