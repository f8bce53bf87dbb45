"""Estimates as text and in times.json."""

import io
import json
from pathlib import Path

from voxplain.cli.console import Console
from voxplain.cli.work_estimate import Estimate, Watch, Work, begun, watched

THREE = Estimate((Work("maps", 40, 8.0), Work("tables", 0, 0.01), Work("maps", 10, 2.0)))


def test_steps_of_one_name_are_added_up() -> None:
    assert THREE.by_step()["maps"] == Work("maps", 50, 10.0)
    assert THREE.sentence() == "about 10 s, 50 passes of the network (maps 10 s)"
    assert THREE.record()["steps"]["maps"] == {"passes": 50, "seconds": 10.0}


def test_without_passes_the_sentence_names_none() -> None:
    assert Estimate((Work("tables", 0, 3.0),)).sentence() == "about 3 s (tables 3 s)"
    assert Estimate().sentence() == "about 0 s"


def test_the_estimate_comes_first_and_the_time_it_took_last(tmp_path: Path) -> None:
    out = io.StringIO()
    with watched(Console(file=out, width=200), tmp_path, lambda: THREE) as watch:
        assert out.getvalue().startswith("estimate: about 10 s")
        assert "time:" not in out.getvalue()
    record = json.loads((tmp_path / "times.json").read_text())
    assert record["estimate"]["seconds"] == 10.01
    assert 0 <= record["actual"]["seconds"] <= watch.took
    assert out.getvalue().splitlines()[-1].startswith("time: ")
    assert out.getvalue().splitlines()[-1].endswith("; estimated 10 s")


def test_nothing_is_measured_where_nothing_is_printed() -> None:
    asked: list[int] = []
    assert begun(Console(quiet=True), lambda: asked.append(1)).estimate is None
    assert not asked


def test_what_cannot_be_estimated_is_done_without() -> None:
    def broken() -> Estimate:
        raise ZeroDivisionError

    out = io.StringIO()
    assert begun(Console(file=out), broken).estimate is None
    assert out.getvalue() == ""


def test_without_an_estimate_there_is_the_time_alone() -> None:
    watch = Watch()
    assert "estimated" not in watch.sentence()
    assert watch.record({"a": 1.0}) == {"seconds": {"a": 1.0}}
