"""Text from files cannot control a terminal, be computed by a spreadsheet, or leave its folder."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxplain.cli.console import Console
from voxplain.plain_text import csv_cell, escape_controls, one_line, safe_name
from voxplain.progress import progress_bar
from voxplain.store import write_csv

NASTY = "a\x1b[2J\x1b]0;owned\x07\r\x9bb\u202ec\n.mp4"


def test_controls_are_escaped() -> None:
    said = escape_controls(NASTY)
    assert said == "a\\x1b[2J\\x1b]0;owned\\x07\\r\\x9bb\\u202ec\n.mp4"
    assert one_line(NASTY) == said.replace("\n", "\\n")
    assert escape_controls("plain ü 走\n\ttext") == "plain ü 走\n\ttext"


def test_the_console_escapes_text_and_cells() -> None:
    from rich.table import Table

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200)
    console.print(NASTY, markup=False, highlight=False, style="red")
    table = Table(NASTY)
    table.add_row(NASTY)
    console.print(table)
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b]0" not in out.getvalue()
    assert out.getvalue().count("\\x1b[2J") == 3
    assert "\x1b[31m" in out.getvalue(), "its own colours stay"


def test_progress_lines_are_escaped() -> None:
    out = io.StringIO()
    with progress_bar(NASTY, 1, stream=out):
        pass
    assert "\x1b" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


def test_cells_of_tables_are_text(tmp_path: Path) -> None:
    rows = [{"name": name, "=head": value} for name, value in (("=1+1", -1.5), ("@x", 2), ("-2", None), ("bend", 3))]
    write_csv(tmp_path / "t.csv", rows)
    read = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert read == [["name", "'=head"], ["'=1+1", "-1.5"], ["'@x", "2"], ["'-2", ""], ["bend", "3"]]
    assert [csv_cell(v) for v in ("+1", "\tx", 1, None)] == ["'+1", "'\tx", 1, None]


@pytest.mark.parametrize(
    "name", ["job.json", "Report.html", "store", "CON", "con.txt", "LPT1", "..", ".", "", "a/b", "a=b"]
)
def test_names_that_cannot_be_folders(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert safe != name
    (tmp_path / safe).mkdir()
    assert (tmp_path / safe).parent == tmp_path


@pytest.mark.parametrize("name", ["bend", "Übung 走る", "it's “quoted”", "100%03d", "a.b"])
def test_plain_names_stay(name: str) -> None:
    assert safe_name(name) == name


@given(st.lists(st.text(max_size=12), min_size=2, max_size=2, unique=True))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_different_names_get_different_folders(names: list[str]) -> None:
    one, two = map(safe_name, names)
    assert one != two
    for safe in (one, two):
        assert safe
        assert not set(safe) & set('<>:"/\\|?*=\0\n')
        assert len(safe.encode("utf-8", "surrogatepass")) <= 130
