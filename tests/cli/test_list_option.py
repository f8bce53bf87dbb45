"""Commands on videos that a list names."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import TINY, voxplain

from voxplain.model import VideoModel
from voxplain.store import load_run
from voxplain.video import Clip

NUMBER = {"cross": 1, "orbit": 3}  # outputs of the shipped network


@pytest.fixture
def lists(small_set: Path, tmp_path: Path) -> Path:
    """A list with numbers and parts of the small planted set, one of its unrelated videos, and one of none."""
    videos = [(p.relative_to(small_set).as_posix(), p.parent.name) for p in sorted(small_set.glob("t*/*/*.mp4"))]
    rows = [f"{path},{NUMBER[label]},{'train' if path.startswith('train') else 'val'}" for path, label in videos]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,split", *rows, "gone.mp4,1,train"]))
    names = [f"{path},{label},{'train' if path.startswith('train') else 'val'}" for path, label in videos]
    (tmp_path / "names.csv").write_text("\n".join(["path,label,split", *names, "gone.mp4,cross,train"]))
    (tmp_path / "others.txt").write_text("\n".join(f"unrelated/{i}.mp4 0" for i in range(8)))
    (tmp_path / "bad.txt").write_text("a.mp4 1\nb.mp4 2\n")
    return tmp_path


def test_concepts_of_a_list_are_those_of_the_folders(lists: Path, small_set: Path) -> None:
    words = ("--class", "cross", "--net", "planted", *TINY)
    folders = voxplain("concepts", small_set, *words, "-o", lists / "folders")
    files = ("--list", lists / "all.csv", "--root", small_set, "--random", lists / "others.txt")
    listed = voxplain("concepts", *files, *words, "-o", lists / "listed")
    assert (folders.code, listed.code) == (0, 0), folders.err + listed.err
    assert "no video 'gone.mp4'" in listed.err
    assert "8 videos listed, 1 lines skipped" in listed.err
    assert load_run(lists / "listed" / "cross").table() == load_run(lists / "folders" / "cross").table()
    evaluated = voxplain("evaluate", lists / "listed")  # the part val of the list
    assert evaluated.code == 0, evaluated.err
    assert load_run(lists / "listed" / "cross").evaluation is not None


def test_attribute_explains_the_labels_of_a_list(lists: Path, small_set: Path) -> None:
    (lists / "two.txt").write_text("train/cross/0.mp4 3\ntrain/orbit/0.mp4 99\ntrain/orbit/1.mp4 0\n")
    words = ("--net", "planted", "--method", "gradient", "--metric", "none", "--target", "truth", "--format", "png")
    done = voxplain("attribute", "--list", lists / "two.txt", "--root", small_set, *words, "-o", lists / "out")
    assert done.code == 0, done.err
    assert sorted(p.parent.name for p in (lists / "out").glob("*/*/maps.npz")) == ["bounce", "orbit"]
    assert "expected a label from 0 to 6" in done.err


# Words before and after the data, and a file of results that does not hold paths or seconds.
SUCCESS = {
    "train": (("train", "DATA"), ("--net", "tiny", "--epochs", 1, "--batch", 4), "weights.safetensors"),
    "roar": (
        ("roar", "DATA"),
        ("--net", "planted", "--methods", "random", "--metrics", "roar", "--set", "roar.ratios=[0.3]", "--epochs", 1),
        "retrained.csv",
    ),
    "benchmark": (
        ("benchmark", "DATA"),
        ("--net", "planted", "--methods", "random,gradient", "--metrics", "insertion"),
        "table.csv",
    ),
    "own-concepts": (
        ("own-concepts", "DATA", "CONCEPTS"),
        ("--class", "cross", "--net", "planted", "--random", "UNRELATED"),
        "",
    ),
    "improve": (
        ("improve", "RUN", "DATA"),
        ("--net", "planted", "--remove", 0, "--method", "p_clarc", "--seeds", 1),
        "weights.safetensors",
    ),
}


@pytest.fixture(scope="module")
def concept_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("concepts") / "run"
    done = voxplain(
        "concepts", small_set, "--class", "cross", "--net", "planted", "--random", small_set / "unrelated", *TINY,
        "-o", output,
    )  # fmt: skip
    assert done.code == 0, done.err
    return output / "cross"


@pytest.mark.parametrize("command", SUCCESS)
def test_a_list_gives_the_results_of_the_folders(
    command: str, lists: Path, small_set: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, file = SUCCESS[command]
    places: dict[object, object] = {"DATA": small_set, "CONCEPTS": small_set / "train"}
    places["UNRELATED"] = small_set / "unrelated"
    if command == "improve":
        places["RUN"] = request.getfixturevalue("concept_run")
        monkeypatch.setattr("voxplain.explain.concept_map.ConceptMap.locate", in_the_corner)
    if command == "benchmark":
        monkeypatch.setattr("voxplain.model.cost.time", SimpleNamespace(perf_counter=lambda: 0.0))
    listed = lists / ("names.csv" if command == "train" else "all.csv")  # a new network is named after its labels
    found = []
    for name, more in {"folders": (), "listed": ("--list", listed)}.items():
        output = lists / name / file if file else lists / f"{name}.csv"
        words = [places.get(word, word) for word in (*before, *more, *after)]
        done = voxplain(*words, "--device", "cpu", "-o", output.parent if file else output)
        assert done.code == 0, done.err
        assert ("no video 'gone.mp4'" in done.err) == bool(more)
        found.append(output.read_bytes())
    assert found[0] == found[1]


def in_the_corner(self: object, model: VideoModel, clip: Clip) -> dict[int, np.ndarray]:
    """Concept 0 in every second video, in a corner; concept 1 elsewhere."""
    corner = np.zeros(model.grid, bool)
    corner[:, -40:, :40] = True
    return {0: corner, 1: ~corner} if int(Path(clip.source).stem) % 2 else {1: ~corner}


@pytest.mark.parametrize(
    "words",
    [
        ("attribute", "--net", "planted", "-o", "out"),
        ("benchmark", "--net", "planted", "-o", "out"),
        ("concepts", "--net", "planted", "--random", ".", "-o", "out"),
        ("train", "--net", "tiny", "-o", "out"),
        ("roar", "--net", "planted", "--methods", "random", "-o", "out"),
    ],
)
def test_a_list_without_a_video_is_one_error(
    words: tuple[str, ...], lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lists)
    outcome = voxplain(words[0], "--list", "bad.txt", *words[1:])
    assert outcome.code == 2
    assert "got none among 2; line 1: no video 'a.mp4' in ." in outcome.sentence
    assert not (lists / "out").exists()


def test_options_that_exclude_each_other(lists: Path, small_set: Path) -> None:
    words = ("--net", "planted", "-o", lists / "out")
    both = voxplain("benchmark", small_set, "--list", lists / "all.csv", "--root", small_set, *words)
    assert "expected DATA or --root as the folder of the list" in both.sentence
    none = voxplain("benchmark", *words)
    assert "expected DATA, a folder of videos, or --list FILE" in none.sentence
    alone = voxplain("benchmark", small_set, "--root", small_set, *words)
    assert "expected --list with --root" in alone.sentence
    split = voxplain("benchmark", small_set, "--list", lists / "all.csv", "--dataset", "ucf101", *words)
    assert "expected --dataset or --list, got both" in split.sentence
