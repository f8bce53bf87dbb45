"""`voxplain data scuba` and `voxplain data tied` on planted videos, whose masks are known, and on real ones."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, voxplain
from PIL import Image

from voxplain.datasets import scan_folder
from voxplain.datasets.planted import PlantedDesign, read_planted, write_planted
from voxplain.video import read_video

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))
TWO = ("--class", "cross", "ring")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("writers") / "planted"
    write_planted(root, design=PlantedDesign(frames=6, size=48), train=2, test=1, unrelated=2, seed=5)
    return root


def test_the_object_of_planted_videos_is_put_in_front_of_stripes(planted: Path, tmp_path: Path) -> None:
    words = ("data", "scuba", planted, "--truth", "planted", *TWO, "-o", tmp_path / "set")
    done = voxplain(*words)
    assert done.code == 0, done.err
    assert done.out == f"scuba/: 2 videos, scufo/: 2 videos, in {tmp_path / 'set'}\n"
    assert scan_folder(tmp_path / "set/scuba").classes == ("cross", "ring")
    mask = read_planted(planted).masks(planted / "test/cross/0000.mp4")["target"]
    before, after = (
        read_video(p / "cross/0000.mp4").frames.astype(int) for p in (planted / "test", tmp_path / "set/scuba")
    )
    gap = np.abs(after - before).mean(-1)
    assert gap[mask].mean() < 25 < gap[~mask].mean()
    bytes_before = contents(tmp_path / "set")
    (tmp_path / "set/scufo/ring/0000.mp4").unlink()
    assert voxplain(*words).code == 0
    assert contents(tmp_path / "set") == bytes_before
    other = voxplain(*words, "--seed", 1)
    assert other.code == 2
    assert other.sentence.endswith("choose another folder")
    assert contents(tmp_path / "set") == bytes_before


def test_backgrounds_of_other_classes_and_of_a_folder(planted: Path, tmp_path: Path) -> None:
    done = voxplain(
        "data", "scuba", planted, "--truth", "planted", *TWO, "--background", "others", "-o", tmp_path / "a"
    )
    assert done.code == 0, done.err
    listed = json.loads((tmp_path / "a/manifest.json").read_text())["compositions"]
    assert [entry["background"] for entry in listed] == ["ring/0000.mp4", "cross/0000.mp4"]
    (tmp_path / "places").mkdir()
    Image.new("RGB", (60, 48), (200, 30, 40)).save(tmp_path / "places/red.png")
    words = ("--background", tmp_path / "places", "--copies", 2, "-o", tmp_path / "b")
    done = voxplain("data", "scuba", planted, "--truth", "planted", *TWO, *words)
    assert done.code == 0, done.err
    shown = read_video(tmp_path / "b/scuba/cross/0000_2.mp4").frames
    mask = read_planted(planted).masks(planted / "test/cross/0000.mp4")["target"]
    assert np.abs(np.median(shown[~mask], 0) - (200, 30, 40)).max() < 12


def test_tied_videos_are_a_data_folder(planted: Path, tmp_path: Path) -> None:
    done = voxplain("data", "tied", planted, "--truth", "planted", *TWO, "--rate", 0.5, "-o", tmp_path / "set")
    assert done.code == 0, done.err
    assert done.out == f"train/: 4 videos, test/: 2 videos, conflicting/: 2 videos, in {tmp_path / 'set'}\n"
    net = ("--net", "tiny", "--epochs", 1, "--batch", 4, "--device", "cpu", "-o", tmp_path / "net")
    done = voxplain("train", tmp_path / "set", *net)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("scuba", "--truth", "boxes"), "a truth of planted, jhmdb, silhouette, got 'boxes'"),
        (("scuba", "--truth", "planted", "--background", "blue"), "others or a folder, got 'blue'"),
        (("scuba", "--truth", "planted", "--class", "crss"), "did you mean 'cross'?"),
        (("scuba", "--truth", "planted", "--class", "nothing"), "that an object decides"),
        (("tied", "--truth", "planted", "--class", "cross"), "the same two classes or more"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_no_manifest(
    planted: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = voxplain("data", words[0], planted, *words[1:], "-o", tmp_path / "set")
    assert done.code == 2
    assert sentence in done.sentence
    assert not (tmp_path / "set/manifest.json").exists()


def test_data_of_one_part_cannot_be_tied(planted: Path, tmp_path: Path) -> None:
    done = voxplain("data", "tied", planted / "train", "--truth", "planted", "-o", tmp_path / "set")
    assert done.code == 2
    assert "expected training and test videos" in done.sentence


def test_puppet_masks_beside_class_folders(tmp_path: Path) -> None:
    if not (DATA / "jhmdb").is_dir():
        pytest.skip("no jhmdb in the folder that VOXPLAIN_DATA names")
    folder = tmp_path / "data"
    for label in ("golf", "pullup"):
        name = sorted((DATA / "jhmdb/videos" / label).iterdir())[0].stem
        for part, file in (("", f"{name}.mp4"), ("masks", f"{name}.npz")):
            (folder / part / label).mkdir(parents=True)
            (folder / part / label / file).symlink_to(DATA / "jhmdb" / (part or "videos") / label / file)
    words = ("data", "scuba", folder, "--truth", "jhmdb", "--background", "others", "-o", tmp_path / "set")
    done = voxplain(*words)
    assert done.code == 0, done.err
    assert done.out.startswith("scuba/: 2 videos")
    for label in ("golf", "pullup"):
        (shown,) = (tmp_path / "set/scuba" / label).iterdir()
        mask = np.load(folder / "masks" / label / f"{shown.stem}.npz")["mask"]
        frames, before = (read_video(path).frames.astype(int) for path in (shown, folder / label / shown.name))
        gap = np.abs(frames - before).mean(-1)
        assert gap[mask].mean() < 15 < gap[~mask].mean()
    (folder / "masks/golf" / f"{next((folder / 'golf').iterdir()).stem}.npz").unlink()
    done = voxplain("data", "scuba", folder, "--truth", "jhmdb", "-o", tmp_path / "less")
    assert done.code == 3, done.err
    assert done.out.splitlines()[0].startswith("skipped: expected a mask of")
    assert done.out.splitlines()[-1].startswith("scuba/: 1 videos")
