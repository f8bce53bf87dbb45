"""`voxplain report` and `voxplain figure` draw from what a run left, and say what is missing."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from command_line import TINY, voxplain
from PIL import Image

from checked_pages import check_page

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from report_runs import make_evaluated_run, make_run
from voxplain.report import report_page, write_pages
from voxplain.store import load_run, save_run


@pytest.fixture(scope="module")
def job(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One class, explained and evaluated with tiny settings."""
    folder = tmp_path_factory.mktemp("job") / "run"
    command = ("concepts", small_set, "--class", "cross", "--net", "planted", "--device", "cpu", *TINY)
    assert voxplain(*command, "--random", small_set / "unrelated", "-o", folder).code == 0
    plain = load_run(folder / "cross")
    assert plain.evaluation is None
    assert voxplain("evaluate", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes at two layers, made by hand."""
    folder, run = tmp_path_factory.mktemp("made"), make_evaluated_run()
    for target in "bend", "walk":
        for layer in "pool", "block3":
            save_run(folder / target / layer, replace(run, target=target, layer=layer))
    return folder


def test_a_job_leaves_the_whole_run_and_the_page_can_be_made_again(job: Path, tmp_path: Path) -> None:
    run = load_run(job / "cross")
    assert run.evaluation is not None
    assert len(run.evaluation.explored) > 0
    assert (run.target, len(run.clips)) == ("cross", 4)
    outcome = voxplain("report", job, "-o", tmp_path / "deep" / "page.html")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"report: {tmp_path / 'deep' / 'page.html'}\n"
    assert (tmp_path / "deep" / "page.html").read_bytes() == (job / "report.html").read_bytes()


def test_names_are_suggested_from_a_list_and_own_names_count_before_them(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxplain.zoo import text_image

    class First:
        """Every picture is the first word."""

        def pictures(self, frames: list[np.ndarray]) -> np.ndarray:
            return np.tile(np.eye(9, dtype=np.float32)[0], (len(frames), 1))

        def texts(self, texts: list[str]) -> np.ndarray:
            return np.eye(9, dtype=np.float32)[: len(texts)]

    monkeypatch.setattr(text_image, "load_text_image", lambda folder: First())
    (tmp_path / "words.txt").write_text("a plus sign\ngrass\n")
    options = ("--words", tmp_path / "words.txt", "--text-image", tmp_path, "-o", tmp_path / "page.html")
    outcome = voxplain("report", job, *options, "--name", "cross:1=mine")
    assert outcome.code == 0, outcome.err
    assert "names suggested for “cross”: 0 a plus sign" in outcome.out
    page = (tmp_path / "page.html").read_text()
    assert "a plus sign (suggested)" in page
    assert "mine" in page
    alone = voxplain("report", job, "--words", tmp_path / "words.txt")
    assert alone.code == 2
    assert "expected --words FILE and --text-image FOLDER" in alone.err


def test_the_page_goes_into_the_run_and_needs_nothing_else_of_it(job: Path, tmp_path: Path) -> None:
    shutil.copytree(job / "cross", tmp_path / "alone")
    for path in (tmp_path / "alone").iterdir():
        if path.name not in ("run.json", "run.npz"):
            path.unlink()
    assert voxplain("report", tmp_path / "alone").code == 0
    assert (tmp_path / "alone" / "report.html").read_bytes() == report_page([load_run(job / "cross")])


def test_answers_are_short_or_whole_or_json_or_nothing(job: Path) -> None:
    short, whole, plain, none = (
        voxplain("evaluate", job, *words) for words in ((), ("-v",), ("--json",), ("--quiet",))
    )
    assert all(outcome.code == 0 for outcome in (short, whole, plain, none))
    assert "For “cross” the network" in short.out
    assert "ranked by" not in short.out
    assert short.out.splitlines()[-1].startswith(f"report: {job / 'report.html'} (")
    assert "ranked by" in whole.out
    record = json.loads(plain.out)
    assert record["report"] == str(job / "report.html")
    (answer,) = record["classes"]
    assert answer["class"] == "cross"
    assert {finding["state"] for finding in answer["findings"]} <= {"passed", "failed", "untested"}
    assert none.out == none.err == ""
    both = voxplain("evaluate", job, "--json", "--quiet")
    assert both.code == 2
    assert "expected --quiet or --json, got both; leave one out" in both.sentence


def test_no_path_of_the_machine_is_in_a_page_or_a_run(job: Path, small_set: Path) -> None:
    folder = str(small_set.parent)
    for path in (job / "report.html", job / "origin.json", job / "cross" / "run.json", job / "cross" / "concepts.json"):
        assert folder not in path.read_text(), path
    check_page(job / "report.html", small_set)
    assert load_run(job / "cross").clips[0].source.startswith(f"{small_set.name}/train/cross/")


def test_the_index_and_the_pages_of_classes_load_nothing_from_elsewhere(job: Path, tmp_path: Path) -> None:
    run = load_run(job / "cross")
    index = write_pages([run, replace(run, target="other")], tmp_path / "report.html")
    for page in (index, *index.with_suffix("").glob("*.html")):
        check_page(page, job)


def test_the_schema_of_a_run_is_exported(job: Path, tmp_path: Path) -> None:
    assert voxplain("export", job, "--to", "schema", "-o", tmp_path).out == f"schema: 1 file in {tmp_path}\n"
    schema = json.loads((tmp_path / "run.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads((job / "cross" / "run.json").read_text()))


def test_a_run_is_exported_described_and_opened(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "csv", "coco", "fiftyone", "tensorboard":
        outcome = voxplain("export", job, "--to", name, "-o", tmp_path / name)
        assert outcome.code == 0, outcome.err
        count = sum(path.is_file() for path in (tmp_path / name).rglob("*"))
        assert outcome.out == f"{name}: {count} file{'s' * (count != 1)} in {tmp_path / name}\n"
    card = voxplain("card", job)
    assert card.out.startswith("## What the network relies on\n")
    assert voxplain("card", job, "-o", tmp_path / "card.md").code == 0
    assert (tmp_path / "card.md").read_text() == card.out
    seen: list[str] = []
    monkeypatch.setattr("webbrowser.open", seen.append)
    assert voxplain("open", job).out == f"{job / 'report.html'}\n"
    assert seen == [(job / "report.html").resolve().as_uri()]
    assert "voxplain report" in voxplain("open", tmp_path).sentence


def test_several_classes_are_an_index_and_a_page_each_or_one_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert voxplain("report", made, "-o", tmp_path / "all.html").code == 0
    pages = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert pages == ["01-bend.html", "02-bend.html", "03-walk.html", "04-walk.html", "page.css", "page.js"]
    index = (tmp_path / "all.html").read_text()
    assert all(f'href="all/{name}"' in index for name in pages if name.endswith(".html"))
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    opened = voxplain("open", tmp_path / "all.html", "--class", "walk")
    assert opened.out == f"{tmp_path / 'all' / '03-walk.html'}\n"
    assert "bend, walk" in voxplain("open", tmp_path / "all.html", "--class", "run").sentence
    assert voxplain("report", made, "-o", tmp_path / "one.html", "--single-file").code == 0
    assert not (tmp_path / "one").exists()
    assert (tmp_path / "one.html").read_text().count('<section class="class"') == 6  # and two layers together


def test_a_report_of_several_classes_has_them_all(made: Path, tmp_path: Path) -> None:
    assert voxplain("report", made / "bend", "-o", tmp_path / "bend.html").code == 0
    assert voxplain("report", made, "-o", tmp_path / "all.html").code == 0
    page = (tmp_path / "all.html").read_text()
    for word in ("bend", "walk", "pool", "block3"):
        assert word in page
    assert "walk" not in (tmp_path / "bend.html").read_text()


@pytest.mark.parametrize("kind", ["concepts", "adding", "map"])
def test_figures_of_a_real_run(job: Path, tmp_path: Path, kind: str) -> None:
    command = ("figure", job, "--kind", kind, "--width", 8, "--concepts", 2, "--frame", 4)
    outcome = voxplain(*command, "-o", tmp_path / "f.png")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"figure: {tmp_path / 'f.png'}\n"
    first = (tmp_path / "f.png").read_bytes()
    assert voxplain(*command, "-o", tmp_path / "g.png").code == 0
    assert (tmp_path / "g.png").read_bytes() == first
    picture = np.asarray(Image.open(tmp_path / "f.png").convert("RGB"))
    assert 500 < picture.shape[1] < 960
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200, "more than words"


def test_options_of_a_figure_reach_it(made: Path, tmp_path: Path) -> None:
    def drawn(*words: object) -> bytes:
        command = ("figure", made, "--class", "bend", "--layer", "pool", "-o", tmp_path / "f.png", *words)
        outcome = voxplain(*command)
        assert outcome.code == 0, outcome.err
        return (tmp_path / "f.png").read_bytes()

    plain = drawn("--kind", "adding", "--width", 9)
    assert drawn("--kind", "adding", "--width", 9, "--concepts", 1) != plain
    assert drawn("--kind", "adding", "--width", 9, "--frames", 0, 4) != plain
    assert drawn("--kind", "adding", "--width", 10) != plain
    assert drawn("--kind", "removing", "--width", 9) != plain
    assert drawn("--kind", "adding", "--width", 9) == plain


def test_curves_are_over_all_classes_of_a_layer(made: Path, tmp_path: Path) -> None:
    command = ("figure", made, "--kind", "curves", "--layer", "pool")
    for words in ((), ("--class", "bend")):
        outcome = voxplain(*command, *words, "-o", tmp_path / "c.pdf")
        assert outcome.code == 0, outcome.err
        assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_missing_is_said_and_nothing_is_written(job: Path, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    save_run(tmp_path / "plain", make_run())
    save_run(tmp_path / "half", make_run())
    (tmp_path / "half" / "run.npz").unlink()
    (tmp_path / "settings" / "a" / "x").mkdir(parents=True)
    for name in "one", "two":
        save_run(tmp_path / "settings" / name / "bend", make_run())
    (tmp_path / "empty").mkdir()
    both = ("--kind", "map", "-o", out)
    for words, expected in (
        (("report", tmp_path / "none"), "is no folder"),
        (("report", tmp_path / "empty"), "make one with `voxplain concepts`"),
        (("report", tmp_path / "half"), "expected run.npz beside"),
        (("report", tmp_path / "settings"), "more than once; name one of the folders"),
        (("report", job, "-o", tmp_path), "name a file in it"),
        (("figure", tmp_path / "none", *both), "is no folder"),
        (("figure", made, *both), "expected one layer of block3, pool, got none; choose one with --layer"),
        (("figure", made, "--layer", "pool", *both), "expected one class of bend, walk, got none"),
        (("figure", made, "--layer", "pool", "--class", "run", *both), "got run; choose one with --class"),
        (("figure", made, "--layer", "pol", *both), "got pol; choose one with --layer"),
        (("figure", tmp_path / "plain", *both), "run `voxplain evaluate`"),
        (("figure", job, "--kind", "map", "--clip", 9, "-o", out), "got 9; choose another"),
        (("figure", job, "--kind", "map", "--frame", 99, "-o", out), "got 99; choose others"),
        (("figure", job, "--kind", "curves", "-o", tmp_path / "c.mp4"), "curves do not move"),
        (("figure", job, "--kind", "map", "-o", tmp_path / "c.jpg"), "ending in .pdf, .png, .gif, .mp4"),
        (("figure", job, "--kind", "map", "-o", tmp_path), "name a file in it"),
        (("figure", job, "--kind", "pie", "-o", out), "Choose from"),
    ):
        outcome = voxplain(*words)
        assert outcome.code == 2, words
        assert expected in outcome.sentence
    assert not out.exists()
    assert not list(tmp_path.glob("c.*"))
    assert not list(tmp_path.glob("**/report.html"))
