"""Records in a notebook: every one has a table, in which texts of files are text."""

from html.parser import HTMLParser

import pytest
import torch

import voxplain as vx
from report_runs import make_evaluated_run as small_run
from voxplain.concepts.warnings import RunWarning
from voxplain.record_html import fields_table, rows_table
from voxplain.store.archive import RECORDS


class Tags(HTMLParser):
    """The tags and the attributes of a text; checks that they close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, tuple]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)
        self.seen.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_has_one(name: str) -> None:
    assert callable(getattr(RECORDS[name], "_repr_html_", None))


@pytest.mark.parametrize("kind", [vx.Improved, vx.Diagnosis, vx.Attribution])
def test_what_is_not_saved_has_one_too(kind: type) -> None:
    assert callable(kind._repr_html_)


def inside(record: object) -> list[object]:
    """A record and the records in its fields."""
    found = [record]
    for value in vars(record).values():
        parts = value if isinstance(value, tuple | list) else value.values() if isinstance(value, dict) else [value]
        found += [more for part in parts if type(part) in RECORDS.values() for more in inside(part)]
    return found


def test_tables_of_a_whole_run_are_plain_html() -> None:
    records = inside(small_run())
    names = {type(record).__name__ for record in records}
    assert {"ConceptRun", "ConceptBank", "CAVs", "Effects", "ConceptScores", "EvaluationRun", "RunWarning"} <= names
    for record in records:
        if type(record).__name__ == "Clip":  # a moving picture
            continue
        for tag, attributes in Tags(record._repr_html_()).seen:
            assert tag in {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "ul", "li"}
            assert not attributes


def test_a_run_shows_its_answer_its_concepts_and_its_warnings() -> None:
    run = small_run()
    text = run._repr_html_()
    assert text.count("<tr>") == 1 + len(run.bank)
    assert text.count("<li>") == len(run.warnings)
    assert "&lt;b&gt;bend &amp; [red]back&lt;/b&gt;" in text  # the class of this run
    assert "<b>" not in text


def test_arrays_are_shapes_and_long_values_are_cut() -> None:
    text = fields_table(RunWarning("few_videos", "x" * 500))
    assert "x" * 119 + "…" in text
    assert "x" * 120 not in text
    assert rows_table([], ["code"], "Warnings").count("<tr>") == 1


def test_a_diagnosis_shows_its_layers() -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 3), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(4, 2)
    )
    text = vx.examine(net.eval(), grid=(8, 16, 16))._repr_html_()
    Tags(text)
    assert "AdaptiveAvgPool3d" in text
