"""The commands of docs/weizmann.md on a few real videos, and the options that hold videos out."""

import csv
import json
import os
from pathlib import Path

import pytest

from voxplain.cli import settings_as_options
from voxplain.cli.app import app
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.errors import DataError

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))
PERSONS = ("daria", "denis", "eli", "ira", "ido", "lena")


def voxplain(*words: object) -> None:
    """Run a command as the shell would; an error is raised, not printed."""
    app(settings_as_options([str(word) for word in words]), exit_on_error=False, result_action="return_value")


def empty_videos(folder: Path, *names: str) -> Path:
    """Files that are listed as videos; nothing reads them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def rows(table: Path) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def names(videos: object) -> list[str]:
    return [path.name for path in videos.paths]  # type: ignore[attr-defined]


def test_held_out_words_divide_the_videos(tmp_path: Path) -> None:
    data = empty_videos(tmp_path, "run/ann_run.avi", "run/bob_run.avi", "bend/ann_bend.avi", "bend/cy_bend.avi")
    train, test = split_videos(data, HeldOut(hold_out=("bob", "cy")))
    assert names(train) == ["ann_bend.avi", "ann_run.avi"]
    assert names(test) == ["cy_bend.avi", "bob_run.avi"]
    assert train.classes == test.classes == ("bend", "run")


def test_a_split_file_divides_the_videos(tmp_path: Path) -> None:
    data = empty_videos(tmp_path / "data", "run/a.avi", "run/b.avi", "bend/c.avi", "bend/d.avi")
    listed = tmp_path / "split.txt"
    listed.write_text("a.avi 1\nb.avi 2\nc.avi 2\nd.avi 1\n")
    train, test = split_videos(data, HeldOut(split=listed))
    assert (names(train), names(test)) == (["d.avi", "a.avi"], ["c.avi", "b.avi"])


@pytest.mark.parametrize("words", [("nobody",), ("a",)])
def test_words_that_name_none_or_all_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    data = empty_videos(tmp_path, "run/ann.avi", "run/anna.avi")
    with pytest.raises(DataError, match="--hold-out"):
        split_videos(data, HeldOut(hold_out=words))


def test_split_and_words_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got both"):
        split_videos(empty_videos(tmp_path, "run/ann.avi"), HeldOut(split=tmp_path / "s.txt", hold_out=("ann",)))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Two classes of six persons of Weizmann, and 24 unrelated videos: eight are too few for a null."""
    if not ((DATA / "weizmann").is_dir() and (DATA / "unrelated").is_dir()):
        pytest.skip("no VOXPLAIN_DATA/weizmann and unrelated on this machine")
    for name in ("bend", "run"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for person in PERSONS:
            video = f"{person}_{name}.avi"
            (tmp_path / "few" / name / video).symlink_to((DATA / "weizmann" / name / video).resolve())
    (tmp_path / "unrelated").mkdir()
    for video in sorted((DATA / "unrelated").glob("*.mp4"))[::21][:24]:
        (tmp_path / "unrelated" / video.name).symlink_to(video.resolve())
    return tmp_path


def test_train_concepts_evaluate(few: Path) -> None:
    net, run = few / "net", few / "run"
    held = ("--hold-out", "ido", "lena")
    voxplain("train", few / "few", *held, "--epochs", 2, "--batch", 4, "--lr", 0.05, "--device", "cpu", "-o", net)
    confusion = rows(net / "confusion.csv")
    assert [row["truth"] for row in confusion] == ["bend", "run"]
    assert sum(int(row[name]) for row in confusion for name in ("bend", "run")) == 4  # two persons, two classes

    voxplain(
        "concepts",
        few / "few",
        *held,
        "--class",
        "bend",
        "--net",
        "tiny",
        "--weights",
        net / "weights.safetensors",
        "--device",
        "cpu",
        "--random",
        few / "unrelated",
        "--segmenter",
        "slic",
        "--segmenter.segments",
        8,
        15,
        "--clusterer",
        "kmeans",
        "--clusterer.clusters",
        3,
        "--unrelated-crops",
        15,
        "--random-sets",
        5,
        "--evaluation.draws",
        3,
        "--evaluation.steps",
        2,
        "-o",
        run,
    )
    voxplain("evaluate", run)

    found = json.loads((run / "bend" / "concepts.json").read_text())
    explained = {Path(source).name for source in found["clips"]}
    assert explained == {f"{person}_bend.avi" for person in ("daria", "denis", "eli", "ira")}
    for kind in ("adding", "removing"):
        assert found["evaluation"][kind]["videos"] == 2  # the persons held out, and no other
    table = rows(run / "bend" / "concepts.csv")
    assert len(table) == len(found["rows"]) >= 2
    for row in table:
        assert (run / "bend" / f"concept_{int(row['concept']):02d}.png").stat().st_size > 1000
    assert (run / "bend" / "curves.png").stat().st_size > 10_000
    assert "bend" in (run / "report.html").read_text()


def test_evaluate_without_test_videos_says_what_to_do(few: Path) -> None:
    run = few / "run"
    run.mkdir()
    record = {
        "data": str(few / "few"),
        "random": str(few / "unrelated"),
        "classes": ["bend"],
        "preset": "default",
        "network": {"net": "planted", "weights": None, "model": None, "layer": [], "device": "cpu", "batch_size": 8},
        "seed": 0,
        "whole": False,
        "settings": [],
    }
    (run / "job.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="--hold-out"):
        voxplain("evaluate", run)
