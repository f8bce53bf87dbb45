"""scan_folder, split files and read_clips on folders made here (arrays and pictures: no codec involved)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxplain.datasets import ClipSet, Skipped, VideoSet, read_clips, scan_folder
from voxplain.datasets.splits import in_part, key, read_split
from voxplain.errors import DataError
from voxplain.video import Clip, ClipReader, Geometry, Middle, RandomFrames

DATA = Path(os.environ.get("VOXPLAIN_DATA", Path(__file__).parents[2] / "../shared/data"))
READER = ClipReader(Middle(4), Geometry.squash(8, 8))


def _clip(path: Path, level: int = 0, count: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((count, 10, 12, 3), level, np.uint8))
    return path


def _tree(root: Path, names: dict[str, int]) -> Path:
    """name of class → number of videos; video i of class c has brightness 10·c + i."""
    for c, (name, count) in enumerate(names.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            _clip(root / name / f"v{i}.npy", 10 * c + i)
    return root


def _names(videos: VideoSet) -> list[str]:
    return [f"{path.parent.name}/{path.name}" for path in videos.paths]


def test_class_per_folder(tmp_path: Path) -> None:
    root = _tree(tmp_path / "data", {"wave": 2, "bend": 3})
    (root / "wave" / "notes.txt").write_text("x")
    (root / "wave" / "._v0.npy").write_bytes(b"macOS leaves these")
    (root / ".git").mkdir()
    (root / "masks").mkdir()
    videos = scan_folder(root)
    assert videos.classes == ("bend", "wave")
    assert videos.labels.tolist() == [0, 0, 0, 1, 1]
    assert _names(videos) == ["bend/v0.npy", "bend/v1.npy", "bend/v2.npy", "wave/v0.npy", "wave/v1.npy"]
    assert repr(videos) == "VideoSet(5 videos, 2 classes)"
    chosen = scan_folder(root, classes=["wave", "bend"])
    assert chosen.classes == ("wave", "bend")
    assert chosen.labels.tolist() == [0, 0, 1, 1, 1]


def test_videos_are_in_natural_order_and_suffixes_ignore_case(tmp_path: Path) -> None:
    for name in ("v10.npy", "v9.NPY", "V1.npy"):
        _clip(tmp_path / "c" / "x.npy").rename(tmp_path / "c" / name)
    assert _names(scan_folder(tmp_path)) == ["c/V1.npy", "c/v9.NPY", "c/v10.npy"]


def test_flat_folder_is_one_class_named_as_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _clip(tmp_path / "jump" / "a.npy")
    _clip(tmp_path / "jump" / "b.npy")
    videos = scan_folder(tmp_path / "jump")
    assert (videos.classes, videos.labels.tolist()) == (("jump",), [0, 0])
    monkeypatch.chdir(tmp_path / "jump")
    assert scan_folder(".").classes == ("jump",)


def test_frame_folders_are_videos(tmp_path: Path) -> None:
    for video in ("a", "b"):
        (tmp_path / "run" / video).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "run" / video / f"{i}.png")
    videos = scan_folder(tmp_path)
    assert videos.classes == ("run",)
    assert _names(videos) == ["run/a", "run/b"]
    assert scan_folder(tmp_path / "run").classes == ("run",)
    assert len(read_clips(tmp_path, READER)) == 2
    one = read_clips(tmp_path / "run" / "a", READER)
    assert len(one) == 1
    assert one[0].label is None


def test_train_and_test_folders_share_their_classes(tmp_path: Path) -> None:
    _tree(tmp_path / "train", {"a": 2, "b": 1})
    _tree(tmp_path / "test", {"b": 3, "c": 1})
    train, test = scan_folder(tmp_path), scan_folder(tmp_path, part="test")
    assert train.classes == test.classes == ("a", "b", "c")
    assert train.labels.tolist() == [0, 0, 1]
    assert test.labels.tolist() == [1, 1, 1, 2]
    assert all("test" in path.parts for path in test.paths)
    with pytest.raises(DataError, match="'c' has no video"):
        train.of_class("c")
    with pytest.raises(DataError, match="'c' has no video in part 'train'"):
        scan_folder(tmp_path, classes=["a", "c"])


def test_one_part_alone_is_a_part_and_other_folders_are_no_classes(tmp_path: Path) -> None:
    _tree(tmp_path / "train", {"a": 2, "b": 1})
    _tree(tmp_path, {"unrelated": 3})
    assert scan_folder(tmp_path).classes == ("a", "b")
    with pytest.raises(DataError, match="expected the folder 'test' of class folders beside 'train', got none"):
        scan_folder(tmp_path, part="test")


def test_a_class_may_have_the_name_of_a_part(tmp_path: Path) -> None:
    assert scan_folder(_tree(tmp_path / "rail", {"train": 2, "tram": 1})).classes == ("train", "tram")


def test_of_class_and_select_keep_labels(tmp_path: Path) -> None:
    videos = scan_folder(_tree(tmp_path / "d", {"a": 2, "b": 3}))
    b = videos.of_class("b")
    assert b.classes == ("a", "b")
    assert b.labels.tolist() == [1, 1, 1]
    assert _names(videos.select([4, 0])) == ["b/v2.npy", "a/v0.npy"]
    with pytest.raises(DataError, match="known classes: a, b"):
        videos.of_class("z")


def test_errors_of_scanning(tmp_path: Path) -> None:
    root = _tree(tmp_path / "data", {"kick_ball": 1, "throw": 1})
    with pytest.raises(DataError, match="does not exist"):
        scan_folder(tmp_path / "nothing")
    with pytest.raises(DataError, match="is a file"):
        scan_folder(root / "throw" / "v0.npy")
    with pytest.raises(DataError, match="did you mean 'kick_ball'"):
        scan_folder(root, classes=["kickball"])
    with pytest.raises(DataError, match="known classes: kick_ball, throw"):
        scan_folder(root, classes=["zzz"])
    with pytest.raises(DataError, match="must be a list"):
        scan_folder(root, classes="throw")
    with pytest.raises(DataError, match=r"did you mean '.*data'"):
        scan_folder(tmp_path)
    with pytest.raises(DataError, match="part must be"):
        scan_folder(root, part="val")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected root/<class>/<video>"):
        scan_folder(tmp_path / "empty")


@pytest.mark.parametrize(
    ("paths", "labels", "words"),
    [
        ((Path("a"),), np.zeros(2, np.int64), "one for each of 1"),
        ((Path("a"),), np.zeros(1, np.int32), "int64"),
        ((Path("a"),), np.array([2]), "from 0 to 1"),
        ((Path("a"),), np.array([-1]), "from 0 to 1"),
    ],
)
def test_video_set_checks(paths: tuple, labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        VideoSet(("x", "y"), paths, labels)
    with pytest.raises(DataError, match="must differ"):
        VideoSet(("x", "x"), (), np.zeros(0, np.int64))


def test_split_with_numbers(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 4})
    split = tmp_path / "a_split1.txt"
    split.write_text("v0.avi 1\nv1.avi 2\nv2.avi 0\n\nv3.avi 1\n")
    assert _names(scan_folder(root, split=split)) == ["a/v0.npy", "a/v3.npy"]
    assert _names(scan_folder(root, split=split, part="test")) == ["a/v1.npy"]


def test_split_files_of_several_classes(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 1, "b": 1})
    (root / "a" / "v0.npy").rename(root / "a" / "first one.npy")
    (tmp_path / "a.txt").write_text("first one.avi 1\n")
    (tmp_path / "b.txt").write_text("v0.avi 2\n")
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    train = scan_folder(root, split=files)
    assert (train.classes, _names(train)) == (("a", "b"), ["a/first one.npy"])
    assert _names(scan_folder(root, split=files, part="test")) == ["b/v0.npy"]


@pytest.mark.parametrize(
    "text",
    ["a/v1.avi\nb/v0\n", "./a/v1.npy\r\nb\\v0.npy\r\n", "# mine\na/v1.mp4 1\nb/v0.mp4 2\n", "\ufeffa/v1\nb/v0\n"],
)
def test_split_of_paths(tmp_path: Path, text: str) -> None:
    root = _tree(tmp_path / "d", {"a": 2, "b": 2})
    (tmp_path / "train.txt").write_bytes(text.encode())
    assert _names(scan_folder(root, split=tmp_path / "train.txt")) == ["a/v1.npy", "b/v0.npy"]


def test_bare_names_match_in_every_class(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 3, "b": 3})
    (tmp_path / "s.txt").write_text("v1\nv2\n")
    assert _names(scan_folder(root, split=tmp_path / "s.txt")) == ["a/v1.npy", "a/v2.npy", "b/v1.npy", "b/v2.npy"]


def test_split_errors(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 1})
    (tmp_path / "other.txt").write_text("nobody.avi\n")
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "train_only.txt").write_text("v0.avi 1\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    for name, part, words in [
        ("other.txt", "train", "names no video"),
        ("empty.txt", "train", "empty"),
        ("train_only.txt", "test", "no video for part 'test'"),
        ("binary.txt", "train", "not UTF-8"),
        ("missing.txt", "train", "cannot be read"),
    ]:
        with pytest.raises(DataError, match=words):
            scan_folder(root, split=tmp_path / name, part=part)


def test_names_in_split_files() -> None:
    assert key("./a\\b.c.AVI") == "a/b.c"
    assert key("folder.v2") == "folder.v2"
    assert in_part(Path("r/c/x.mp4"), Path("r"), frozenset({"c/x"}))
    assert not in_part(Path("r/c/x.mp4"), Path("r"), frozenset({"c", "d/x", "x.mp4.mp4"}))


def test_read_clips_in_order_with_labels_and_progress(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 3, "b": 2})
    told: list[tuple[int, int]] = []
    threads: set[int] = set()

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        threads.add(threading.get_ident())

    clips = read_clips(root, READER, progress=progress)
    assert [int(clip.frames[0, 0, 0, 0]) for clip in clips] == [0, 1, 2, 10, 11]
    assert [clip.label for clip in clips] == [0, 0, 0, 1, 1]
    assert told == [(i, 5) for i in range(1, 6)]
    assert threads == {threading.get_ident()}
    assert clips.skipped == ()
    assert clips.summary() == "read 5 of 5 videos"
    assert repr(clips) == "ClipSet(5 clips, 0 skipped)"


def test_bad_files_are_skipped_with_a_reason(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 3})
    (root / "a" / "v1.npy").write_bytes(b"broken")
    np.save(root / "a" / "v3.npy", np.zeros((2, 2)))
    clips = read_clips(root, READER)
    assert [int(clip.frames[0, 0, 0, 0]) for clip in clips] == [0, 2]
    assert [skipped.path.name for skipped in clips.skipped] == ["v1.npy", "v3.npy"]
    text = clips.summary()
    assert text.startswith("read 2 of 4 videos; 2 skipped: v1.npy: not a plain array file")
    assert "; v3.npy: expected uint8 frames 0 to 255, got float64" in text
    assert str(tmp_path) not in text
    assert clips.summary(most=1).endswith("; and 1 more")


def test_summary_names_damage() -> None:
    frames = np.zeros((1, 2, 2, 3), np.uint8)
    hurt = Clip(frames, np.zeros(1), "x.mp4", damaged=2)
    clips = ClipSet((hurt, Clip.from_array(frames)), (Skipped(Path("a.mp4"), "a.mp4: no frame."),), damaged=1)
    assert clips.summary() == "read 2 of 3 videos; 1 damaged; 1 skipped: a.mp4: no frame"


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no video could be read: read 0 of 2 videos; 2 skipped: bad\.npy"):
        read_clips([tmp_path / "bad.npy", tmp_path / "gone.npy"], READER)
    with pytest.raises(DataError, match="at least one video"):
        read_clips([], READER)
    with pytest.raises(DataError, match="limit"):
        read_clips([tmp_path / "bad.npy"], READER, limit=0)


def test_limit_draws_a_seeded_subset_in_order(tmp_path: Path) -> None:
    root = _tree(tmp_path / "d", {"a": 30})

    def levels(**options: int) -> list[int]:
        return [int(clip.frames[0, 0, 0, 0]) for clip in read_clips(root, READER, **options)]

    drawn = levels(limit=7, seed=3)
    assert len(set(drawn)) == 7
    assert drawn == levels(limit=7, seed=3, workers=1)
    assert drawn != levels(limit=7, seed=4)
    assert drawn != list(range(7))
    assert levels(limit=99) == [int(i) for i in np.argsort([str(i).zfill(3) for i in range(30)])]
    assert sorted(drawn) == drawn


def test_random_reader_gives_the_same_clips_whatever_the_workers(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8)
    for i in range(8):
        np.save(tmp_path / f"{i}.npy", frames)
    reader = ClipReader(RandomFrames(4), Geometry((12, 12), (8, 8)), random_crop=True, flip=0.5)
    first, second = (read_clips(tmp_path, reader, seed=5, workers=n) for n in (1, 4))
    other = read_clips(tmp_path, reader, seed=6)
    assert all((a.frames == b.frames).all() for a, b in zip(first, second, strict=True))
    assert any((a.frames != b.frames).any() for a, b in zip(first, other, strict=True))
    assert len({clip.seconds[0] for clip in first}) > 2, "each video has its own draw"


def test_an_error_that_is_not_the_videos_fault_is_not_swallowed(tmp_path: Path) -> None:
    _clip(tmp_path / "a.npy")

    def broken(count: int, rng: np.random.Generator | None = None) -> np.ndarray:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        read_clips(tmp_path, ClipReader(broken))


@pytest.mark.skipif(not (DATA / "jhmdb").is_dir(), reason="no VOXPLAIN_DATA/jhmdb on this machine")
def test_jhmdb_split_sizes() -> None:
    """660 train and 268 test videos: the published split 1."""
    split = sorted((DATA / "jhmdb/splits").glob("*_test_split1.txt"))
    train = scan_folder(DATA / "jhmdb/videos", split=split)
    test = scan_folder(DATA / "jhmdb/videos", split=split, part="test")
    assert (len(train), len(test), len(train.classes)) == (660, 268, 21)
    assert not set(train.paths) & set(test.paths)


@pytest.mark.skipif(not (DATA / "weizmann").is_dir(), reason="no VOXPLAIN_DATA/weizmann on this machine")
def test_weizmann_reads_whole() -> None:
    videos = scan_folder(DATA / "weizmann")
    assert (len(videos), len(videos.classes)) == (90, 10)
    assert np.bincount(videos.labels).tolist() == [9] * 10
    clips = read_clips(videos, limit=12)
    assert len(clips) == 12
    assert all(clip.frames.shape == (16, 112, 112, 3) and clip.damaged == 0 for clip in clips)


def test_split_reader_directly(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("x.avi 1\ny.avi 2\n")
    assert read_split([tmp_path / "s.txt"], part="train") == {"x"}
    assert read_split([tmp_path / "s.txt"], part="test") == {"y"}


def test_names_may_begin_with_a_hash(tmp_path: Path) -> None:
    """HMDB51 has such names; a comment is a hash and a space."""
    root = _tree(tmp_path / "d", {"a": 2})
    (root / "a" / "v0.npy").rename(root / "a" / "#20_first.npy")
    (tmp_path / "s.txt").write_text("#20_first.npy 1\n# v1.npy 1\n#\nv1.npy 2\n")
    assert _names(scan_folder(root, split=tmp_path / "s.txt")) == ["a/#20_first.npy"]
