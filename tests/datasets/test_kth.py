"""KTH: the sequence file, persons of each part, spans that read the right frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import real, told, touch, write

from voxplain.datasets import read_clips
from voxplain.datasets.kth import ACTIONS, kth, kth_listing, read_sequences
from voxplain.errors import DataError
from voxplain.video import ClipReader, Geometry, Middle, read_video

HEAD = "Training:   person11, 12, 13"
LINES = (
    HEAD,
    "person01_boxing_d1\t\tframes\t1-95, 96-185, 186-245, 246-360",
    "person02_walking_d4    frames 5-10,  3-7",
    "person13_handclapping_d3\t*missing*",
)


def test_the_sequence_file(tmp_path: Path) -> None:
    found = read_sequences(write(tmp_path / "00sequences.txt", *LINES))
    assert found == {
        "person01_boxing_d1": ((0, 95), (95, 185), (185, 245), (245, 360)),
        "person02_walking_d4": ((4, 10), (2, 7)),
    }


@pytest.mark.parametrize("line", ["person01_boxing_d1 frames 9-3", "person01_boxing_d1 frames 0-3", HEAD])
def test_a_broken_sequence_file_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="copy"):
        read_sequences(write(tmp_path / "00sequences.txt", line))


def test_persons_and_spans(tmp_path: Path) -> None:
    root = touch(tmp_path, ["boxing/person01_boxing_d1_uncomp.avi", "walking/person02_walking_d4_uncomp.avi"])
    with pytest.raises(DataError, match=r"00sequences\.txt"):
        kth(root)
    write(root / "00sequences.txt", *LINES)
    train, test = kth(root)
    assert told(train) == [("boxing", "person01_boxing_d1_uncomp.avi")] * 4
    assert train.spans == ((0, 95), (95, 185), (185, 245), (245, 360))
    assert test.spans == ((4, 10), (2, 7))
    assert train.classes == test.classes == ("boxing", "walking")
    assert test.select([1]).spans == ((2, 7),)
    assert train.of_class("boxing").spans == train.spans


def test_all_persons(tmp_path: Path) -> None:
    names = [f"person{p:02d}_{a}_d{d}" for a in ACTIONS for p in range(1, 26) for d in range(1, 5)]
    names.remove("person13_handclapping_d3")
    root = touch(tmp_path, [f"{name}_uncomp.avi" for name in names])
    write(root / "00sequences.txt", *(f"{name} frames 1-9, 11-19" for name in names))
    train, test = kth(root)
    assert (len(train), len(test)) == (2 * (16 * 24 - 1), 2 * 9 * 24)
    persons = [{int(path.name[6:8]) for path in part.paths} for part in (train, test)]
    assert persons[1] == {22, 2, 3, 5, 6, 7, 8, 9, 10}, "as the head of the sequence file says"
    assert not persons[0] & persons[1]
    assert len(persons[0]) == 16
    listing = kth_listing(root)
    assert (listing.complete(), listing.wanted()) == (True, 599)
    assert listing.notes == ("1198 of 2391 sequences listed",)


def test_real_videos_are_cut(tmp_path: Path) -> None:
    clips = real("odd_clips")
    for action in ("boxing", "jogging"):
        (tmp_path / action).mkdir()
        name = f"{action}/person{1 if action == 'boxing' else 2:02d}_{action}_d1_uncomp.avi"
        shutil.copy(clips / f"kth_{action}_p01_d1.avi", tmp_path / name)
    write(tmp_path / "00sequences.txt", LINES[1], "person02_jogging_d1\tframes\t1-50, 120-170, 250-300, 362-415")
    train, test = kth(tmp_path)
    got = read_clips(test, ClipReader(Middle(16), Geometry.squash(60, 80)))
    assert (len(got), len({clip.source for clip in got})) == (4, 4)
    whole = Geometry.squash(60, 80).resize_frames(read_video(test.paths[0]).frames)
    assert len(whole) >= 415, "the file reaches to the end of its last sequence"
    for clip, (first, stop) in zip(got, test.spans or (), strict=True):
        start = first + (stop - first - 16) // 2
        assert np.array_equal(clip.frames, whole[start : start + 16])
    assert read_video(train.paths[0], span=(245, 360)).frames.shape[0] == 115
