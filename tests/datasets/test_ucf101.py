"""UCF101 and UCF101-24: lists, class order, boxes of the .mat file."""

from pathlib import Path

import numpy as np
import pytest
from layouts import told, touch, write
from scipy.io import savemat

from voxplain.datasets.ucf101 import Track, box_mask, read_boxes, ucf101, ucf101_24, ucf101_24_listing, ucf101_listing
from voxplain.errors import DataError

ZOO, ANT = "YoYo/v_YoYo_g{}_c01", "Archery/v_Archery_g{}_c01"


def made(tmp_path: Path, place: str = "ucfTrainTestlist", videos: str = "UCF-101") -> Path:
    touch(tmp_path / videos, [f"{name.format(g)}.avi" for name in (ZOO, ANT) for g in (1, 2, 3)])
    lists = tmp_path / place
    write(lists / "classInd.txt", "1 YoYo", "2 Archery")  # not alphabetical: the file decides
    for fold in (1, 2, 3):
        others = [g for g in (1, 2, 3) if g != fold]
        write(lists / f"testlist0{fold}.txt", *(f"{name.format(fold)}.avi" for name in (ZOO, ANT)))
        rows = [f"{name.format(g)}.avi {i}" for i, name in enumerate((ZOO, ANT), 1) for g in others]
        write(lists / f"trainlist0{fold}.txt", *rows)
    return tmp_path


@pytest.mark.parametrize(("place", "videos"), [("ucfTrainTestlist", "UCF-101"), ("", ""), ("splits", "videos")])
def test_as_downloaded(tmp_path: Path, place: str, videos: str) -> None:
    root = made(tmp_path, place, videos)
    for fold in (1, 2, 3):
        train, test = ucf101(root, fold=fold)
        assert train.classes == test.classes == ("YoYo", "Archery")
        assert told(test) == [(n.split("/")[0], f"{n.format(fold).split('/')[1]}.avi") for n in (ZOO, ANT)]
        assert len(train) == 4
        assert not set(train.paths) & set(test.paths)
    listing = ucf101_listing(root)
    assert (listing.found(), listing.wanted(), all(listing.lists.values())) == (6, 13320, True)


def test_windows_line_ends_and_missing_files(tmp_path: Path) -> None:
    root = made(tmp_path)
    file = root / "ucfTrainTestlist/testlist01.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (root / "UCF-101" / f"{ANT.format(1)}.avi").unlink()
    _, test = ucf101(root)
    assert told(test) == [("YoYo", "v_YoYo_g1_c01.avi")]
    assert ucf101_listing(root).missing("Archery") == ["v_Archery_g1_c01"]
    (root / "ucfTrainTestlist/trainlist02.txt").unlink()
    assert not ucf101_listing(root).lists["trainlist02.txt"]
    with pytest.raises(DataError, match=r"trainlist02\.txt"):
        ucf101(root, fold=2)


def boxes(file: Path) -> None:
    """Two videos in the form of the published file: one actor in frames 2-3, and two actors of which one is short."""
    kind = np.dtype([("ef", "O"), ("sf", "O"), ("class", "O"), ("boxes", "O")])
    video = np.dtype([("num_imgs", "O"), ("name", "O"), ("tubes", "O")])
    one = np.array([(3, 2, 1, np.array([[1, 1, 10, 20], [11, 21, 30, 40]], np.uint8))], kind)
    two = np.array([(1, 1, 1, np.array([5, 6, 7, 8], np.uint16)), (5, 5, 1, np.array([[300, 1, 21, 240]]))], kind)
    rows = np.array([(9, ZOO.format(1), one), (9, ZOO.format(2), two)], video)
    savemat(file, {"annot": rows})


def test_boxes_and_the_24_classes(tmp_path: Path) -> None:
    root = made(tmp_path)
    with pytest.raises(DataError, match=r"finalAnnots\.mat"):
        ucf101_24(root)
    boxes(root / "finalAnnots.mat")
    found = read_boxes(root / "finalAnnots.mat")
    assert list(found) == [ZOO.format(1), ZOO.format(2)]
    (track,) = found[ZOO.format(1)]
    assert (track.first, track.boxes.tolist()) == (1, [[0, 0, 10, 20], [10, 20, 40, 60]])
    first, second = found[ZOO.format(2)]
    assert (first.first, first.boxes.tolist()) == (0, [[4, 5, 11, 13]])
    assert (second.first, second.boxes.tolist()) == (4, [[299, 0, 320, 240]])
    train, test = ucf101_24(root)
    assert (told(train), told(test)) == ([("YoYo", "v_YoYo_g2_c01.avi")], [("YoYo", "v_YoYo_g1_c01.avi")])
    assert ucf101_24_listing(root).notes == ("boxes of 2 videos",)


def test_box_mask() -> None:
    track = Track(1, np.array([[32, 24, 64, 48], [0, 0, 320, 240]], np.float32))
    mask = box_mask((track,), (4, 24, 32))
    assert mask.sum(axis=(1, 2)).tolist() == [0, 3 * 2 + mask[1].sum() - 6, 24 * 32, 0]
    assert np.argwhere(mask[1]).min(0).tolist() == [2, 3]
    assert np.argwhere(mask[1]).max(0).tolist() == [4, 5]
    assert box_mask((track,), (2, 24, 32)).shape == (2, 24, 32)
    with pytest.raises(DataError):
        Track(0, np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("content", [b"", b"not a mat file" * 30])
def test_a_broken_box_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "finalAnnots.mat").write_bytes(content)
    with pytest.raises(DataError, match="download it again"):
        read_boxes(tmp_path / "finalAnnots.mat")
