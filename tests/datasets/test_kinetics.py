"""Kinetics: class folders or lists, names with times, a subset of the classes."""

from pathlib import Path

import pytest
from layouts import told, touch, write

from voxplain.datasets.kinetics import kinetics, kinetics_listing
from voxplain.errors import DataError

HEAD = "label,youtube_id,time_start,time_end,split"


@pytest.mark.parametrize("place", ["val", "validate", "test"])
def test_class_folders(tmp_path: Path, place: str) -> None:
    root = touch(tmp_path, ["train/crying/a.mp4", "train/bending back/b.mp4", f"{place}/crying/c.mp4"])
    train, test = kinetics(root)
    assert train.classes == test.classes == ("bending back", "crying")
    assert (told(train), told(test)) == ([("bending back", "b.mp4"), ("crying", "a.mp4")], [("crying", "c.mp4")])
    listing = kinetics_listing(root)
    assert listing.complete()
    assert len(listing.notes) == 2


@pytest.mark.parametrize("place", ["", "annotations"])
@pytest.mark.parametrize("folder", ["", "crying/"])
def test_lists(tmp_path: Path, place: str, folder: str) -> None:
    root = touch(tmp_path, [f"train/{folder}-_abcdefg_1_000003_000013.mp4", f"val/{folder}ABCDEFGHIJK.mkv"])
    rows = ["crying,-_abcdefg_1,3,13,train", '"bending back",00000000000,1,11,train']
    write(root / place / "train.csv", HEAD, *rows)
    write(root / place / "val.csv", HEAD, "crying,ABCDEFGHIJK,7,17,val")
    train, test = kinetics(root)
    assert train.classes == test.classes == ("crying",)
    assert told(train) == [("crying", "-_abcdefg_1_000003_000013.mp4")]
    assert told(test) == [("crying", "ABCDEFGHIJK.mkv")]
    listing = kinetics_listing(root)
    assert listing.missing("bending back") == ["train/00000000000_000001_000011"]
    assert (listing.wanted(), listing.found(), listing.complete()) == (3, 2, False)


def test_bad_folders_and_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder of a data set"):
        kinetics(tmp_path / "none")
    root = touch(tmp_path, ["train/crying/a.mp4"])
    with pytest.raises(DataError, match="test videos"):
        kinetics(root)
    assert list(kinetics_listing(root).lists.values()) == [True, False]
    write(root / "train.csv", "name,class", "a,b")
    with pytest.raises(DataError, match="columns label"):
        kinetics(root)
