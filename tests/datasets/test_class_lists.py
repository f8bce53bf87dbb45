"""HMDB51 and JHMDB: a list a class and split, masks in both forms."""

from pathlib import Path

import numpy as np
import pytest
from layouts import apart, real, told, touch, write
from scipy.io import savemat

from voxplain.datasets.hmdb51 import hmdb51, hmdb51_listing
from voxplain.datasets.jhmdb import jhmdb, jhmdb_listing, puppet_mask
from voxplain.errors import DataError
from voxplain.video import read_video

# Official split sizes, counted from the lists' numbers: train, test.
JHMDB_SIZES = {1: (660, 268), 2: (658, 270), 3: (663, 265)}


def lists(folder: Path, count: int) -> None:
    """`count` classes, each with #a (train), b (test) and c (not used) in split 1, turned round in split 2."""
    for i in range(count):
        write(folder / f"class{i:02d}_test_split1.txt", "#a.avi 1", "b.avi 2 ", "c.avi 0")
        write(folder / f"class{i:02d}_test_split2.txt", "#a.avi 2", "b.avi 1", "c.avi 0")
        write(folder / f"class{i:02d}_test_split3.txt", "#a.avi 0", "b.avi 1", "c.avi 2")


@pytest.mark.parametrize("place", ["splits", "testTrainMulti_7030_splits"])
def test_hmdb51_as_downloaded(tmp_path: Path, place: str) -> None:
    root = touch(tmp_path, [f"class{i:02d}/{name}.avi" for i in range(51) for name in ("#a", "b", "c")])
    with pytest.raises(DataError, match=r"51 lists CLASS_test_split1\.txt"):
        hmdb51(root)
    lists(root / place, 51)
    train, test = hmdb51(root)
    assert len(train.classes) == 51
    assert told(train) == [(f"class{i:02d}", "#a.avi") for i in range(51)]
    assert told(test) == [(f"class{i:02d}", "b.avi") for i in range(51)]
    again, third = hmdb51(root, fold=2), hmdb51(root, fold=3)
    assert [set(part.paths) for part in again] == [set(test.paths), set(train.paths)]
    assert {path.name for path in third[1].paths} == {"c.avi"}
    with pytest.raises(DataError, match="splits 1 to 3"):
        hmdb51(root, fold=4)
    listing = hmdb51_listing(root)
    assert (listing.found(), listing.wanted(), listing.complete()) == (153, 6766, False)
    assert all(listing.lists.values())


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = touch(tmp_path, ["videos/class00/b.mp4"])
    lists(root / "splits", 51)
    listing = hmdb51_listing(root)
    assert listing.missing("class00") == ["#a", "c"]
    assert listing.found() == 1
    with pytest.raises(DataError, match="training videos"):
        hmdb51(root)
    (root / "splits/class07_test_split2.txt").unlink()
    assert list(hmdb51_listing(root).lists.values()) == [True, False, True]
    write(root / "splits/class00_test_split1.txt", "b.avi two")
    with pytest.raises(DataError, match=r"'b\.avi two'"):
        hmdb51_listing(root)


def test_jhmdb_as_downloaded_with_masks(tmp_path: Path) -> None:
    root = touch(tmp_path, [f"ReCompress_Videos/class{i:02d}/{name}.avi" for i in range(21) for name in ("#a", "b")])
    lists(root / "splits", 21)
    _, test = jhmdb(root)
    mask = np.zeros((4, 6, 3), np.uint8)  # [H,W,T]
    mask[1, 2, 0], mask[3, 5, 2] = 7, 1
    file = root / "puppet_mask/class00/b/puppet_mask.mat"
    file.parent.mkdir(parents=True)
    savemat(file, {"part_mask": mask})
    got = puppet_mask(root, test.paths[0])
    assert (got.dtype, got.shape) == (np.bool_, (3, 4, 6))
    assert np.argwhere(got).tolist() == [[0, 1, 2], [2, 3, 5]]
    savemat(file, {"part_mask": mask[:, :, 0]})
    assert puppet_mask(root, test.paths[0]).shape == (1, 4, 6)
    assert jhmdb_listing(root).notes == ("1 of 928 puppet masks",)
    with pytest.raises(DataError, match=r"puppet_mask\.zip"):
        puppet_mask(root, test.paths[1])
    for content in (b"", b"no mat file at all, but long enough to be looked into" * 9):
        file.write_bytes(content)
        with pytest.raises(DataError, match="download it again"):
            puppet_mask(root, test.paths[0])


def test_a_pickled_mask_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "masks/catch/x.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, mask=np.array([{}], object))
    with pytest.raises(DataError, match="download it again"):
        puppet_mask(tmp_path, Path("catch/x.mp4"))


@pytest.mark.parametrize("fold", JHMDB_SIZES)
def test_the_real_splits(fold: int) -> None:
    root = real("jhmdb")
    train, test = jhmdb(root, fold=fold)
    assert (len(train), len(test)) == JHMDB_SIZES[fold]
    assert len(train.classes) == 21
    apart(train, test)
    assert all(path.parent.name == label for (label, _), path in zip(told(test), test.paths, strict=True))


def test_the_real_masks_are_aligned_with_the_frames() -> None:
    root = real("jhmdb")
    listing = jhmdb_listing(root)
    assert listing.complete()
    assert listing.notes == ("928 of 928 puppet masks",)
    _, test = jhmdb(root)
    for i in range(0, len(test), 40):
        frames, mask = read_video(test.paths[i]).frames, puppet_mask(root, test.paths[i])
        assert mask.shape == frames.shape[:3], test.paths[i]
        assert 0.001 < mask.mean() < 0.6
