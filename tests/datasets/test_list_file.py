"""Lists of labelled videos in their several forms, read to the same sets as were written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxplain.datasets import VideoSet, list_parts, read_clips, read_list
from voxplain.datasets.list_file import with_class_names
from voxplain.errors import DataError
from voxplain.video import ClipReader, Geometry, Middle
from voxplain.video.encode import write_video


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def frame_folder(folder: Path, count: int, level: int = 0) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((8, 8, 3), level + i, np.uint8)).save(folder / f"img_{i + 1:05d}.png")
    return folder


def pairs(videos: VideoSet, root: Path) -> list[tuple[str, str]]:
    labels = [videos.classes[k] for k in videos.labels]
    return [(p.relative_to(root).as_posix(), label) for p, label in zip(videos.paths, labels, strict=True)]


def written(folder: Path, name: str, *lines: str) -> Path:
    file = folder / name
    file.write_text("\n".join(lines))
    return file


def test_labels_1_and_2_are_labels_and_no_parts(tmp_path: Path) -> None:
    root = touch(tmp_path / "videos", "a.mp4", "walk/b c.mp4", "d.avi")
    videos = read_list(written(tmp_path, "train.txt", "a.mp4 1", "walk/b c.mp4 2", "", "# x", "d 1"), root=root)
    assert pairs(videos, root) == [("a.mp4", "1"), ("walk/b c.mp4", "2"), ("d.avi", "1")]
    assert videos.classes == ("0", "1", "2")
    assert not videos.skipped
    named = read_list(tmp_path / "train.txt", root=root, classes=("bend", "jump", "run"))
    assert [label for _, label in pairs(named, root)] == ["jump", "run", "jump"]
    from_one = read_list(tmp_path / "train.txt", root=root, classes=("bend", "jump"), first_label=1)
    assert [label for _, label in pairs(from_one, root)] == ["bend", "jump", "bend"]


@pytest.mark.parametrize(
    "lines",
    [
        ("a.mp4 jump", "b.mp4 bend"),
        ("path,label", "a.mp4,jump", "b.mp4,bend"),
        ("Label;Clip_Path;frames", "jump;/a.mp4;10", "bend;b.mp4;12"),
        ("video\taction", "a\tjump", "b\tbend"),
        ('"a.mp4",jump', "b.mp4,bend"),
    ],
)
@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_every_form_gives_the_same_set(lines: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    videos = read_list(written(tmp_path, f"list.{suffix}", *lines))
    assert pairs(videos, tmp_path) == [("a.mp4", "jump"), ("b.mp4", "bend")]
    assert videos.classes == ("bend", "jump")
    assert not videos.skipped


def test_folders_of_frames_with_their_number_between(tmp_path: Path) -> None:
    frame_folder(tmp_path / "walk" / "v1", 4)
    frame_folder(tmp_path / "walk" / "v 2", 4, level=100)
    videos = read_list(written(tmp_path, "rawframes.txt", "walk/v1 4 0", "walk/v 2 4 1"))
    assert pairs(videos, tmp_path) == [("walk/v1", "0"), ("walk/v 2", "1")]
    reader = ClipReader(Middle(4), Geometry.squash(8, 8))
    clips = read_clips(videos, reader)
    assert [clip.frames[:, 0, 0, 0].tolist() for clip in clips] == [[0, 1, 2, 3], [100, 101, 102, 103]]
    assert [clip.label for clip in clips] == [0, 1]


def test_a_list_of_kinetics(tmp_path: Path) -> None:
    root = tmp_path / "k"
    touch(root, "train/jump/abcdefghijk_000002_000012.mp4", "zyxwvutsrqp.mp4")
    whole = root / "val" / "whole__id__.mp4"
    whole.parent.mkdir()
    write_video(whole, np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 16, 16, 3)), fps=10)
    (root / "zyxwvutsrqp.mp4").write_bytes(whole.read_bytes())
    file = written(
        tmp_path,
        "kinetics.csv",
        "label,youtube_id,time_start,time_end,split",
        "jump,abcdefghijk,2,12,train",
        "bend,zyxwvutsrqp,0,4,train",
        "bend,whole__id__,1,2,val",
        "bend,notdownload,1,2,train",
    )
    train, test = list_parts(file, root=root)
    assert test is not None
    assert pairs(train, root) == [("train/jump/abcdefghijk_000002_000012.mp4", "jump"), ("zyxwvutsrqp.mp4", "bend")]
    assert train.spans is None  # the second file is no longer than the part of it that is listed
    assert pairs(test, root) == [("val/whole__id__.mp4", "bend")]
    assert test.spans == ((10, 20),)
    assert [s.reason for s in train.skipped] == [f"line 5: no video 'notdownload' in {root}"]
    frames = read_clips(test, ClipReader(Middle(10), Geometry.squash(16, 16)))[0].frames
    assert abs(frames.mean((1, 2, 3)) - np.arange(10, 20)).max() < 3  # the codec is lossy


def test_bad_lines_are_skipped_with_the_reason(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "notes.doc")
    lines = ("a.mp4 bend", "gone.mp4 bend", "b.mp4", "b.mp4 bnd", "a.mp4 bend", "notes.doc bend")
    videos = read_list(written(tmp_path, "l.txt", *lines), classes=("bend", "jump"))
    assert pairs(videos, tmp_path) == [("a.mp4", "bend")]
    assert [s.reason.partition(" in ")[0] for s in videos.skipped] == [
        "line 2: no video 'gone.mp4'",
        "line 3: expected a path and a label, got 'b.mp4'",
        "line 5: the same as line 1",
        "line 6: no video 'notes.doc'",
        "line 4: there is no class 'bnd' among 2; did you mean 'bend'?",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got none among 0"),
        ("a b", "line 1: no video 'a'"),
        ("path,label\nx.mp4,bend\ny.mp4", "got none among 2; line 2: no video 'x.mp4'"),
        ("a\0b 1", "no text"),
    ],
)
def test_a_list_without_a_good_line_is_one_error(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_list(written(tmp_path, "l.txt", text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="No such file"):
        read_list(tmp_path / "none.txt")
    with pytest.raises(DataError, match="give --root"):
        read_list(tmp_path / "l.txt", root=tmp_path / "none")


def test_two_lists_share_their_classes(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    first, second = written(tmp_path, "1.txt", "a.mp4 run", "b.mp4 bend"), written(tmp_path, "2.txt", "c.mp4 jump")
    train, test = list_parts(first, second)
    assert test is not None
    assert train.classes == test.classes == ("bend", "jump", "run")
    assert pairs(test, tmp_path) == [("c.mp4", "jump")]
    assert list_parts(first)[1] is None


def test_numbers_get_the_names_of_the_network(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    videos = read_list(written(tmp_path, "l.txt", "a.mp4 2", "b.mp4 0", "c.mp4 7"))
    named = with_class_names(videos, ("bend", "jump", "run"))
    assert named.classes == ("bend", "run")
    assert pairs(named, tmp_path) == [("a.mp4", "run"), ("b.mp4", "bend")]
    assert [(s.path.name, s.reason) for s in named.skipped] == [
        ("c.mp4", "expected a label from 0 to 2, the outputs of the network, got 7")
    ]
    counted = read_list(written(tmp_path, "l.txt", "a.mp4 1", "b.mp4 3"))
    with pytest.raises(DataError, match="--first-label 1"):
        with_class_names(counted, ("bend", "jump", "run"))
