"""Commands on videos that a list names."""

from pathlib import Path

import pytest
from command_line import TINY, voxplain

from voxplain.store import load_run

NUMBER = {"cross": 1, "orbit": 3}  # outputs of the shipped network


@pytest.fixture
def lists(small_set: Path, tmp_path: Path) -> Path:
    """A list with numbers and parts of the small planted set, one of its unrelated videos, and one of none."""
    videos = [(p.relative_to(small_set).as_posix(), p.parent.name) for p in sorted(small_set.glob("t*/*/*.mp4"))]
    rows = [f"{path},{NUMBER[label]},{'train' if path.startswith('train') else 'val'}" for path, label in videos]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,split", *rows, "gone.mp4,1,train"]))
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
