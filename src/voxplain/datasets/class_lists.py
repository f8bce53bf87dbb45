"""The split lists of HMDB51 and JHMDB: one file a class and split, ``brush_hair_test_split1.txt``.

A line is ``name.avi 1``: 1 = train, 2 = test, 0 = not used in this split.
"""

from __future__ import annotations

from pathlib import Path

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, by_class, check_fold, first_folder, need, read_lines, two_parts
from voxplain.datasets.splits import key
from voxplain.errors import DataError

FOLDS = 3
PARTS = {"1": "train", "2": "test", "0": None}


def class_listing(found: dict[str, Path], lists: Path, *, classes: int, total: int) -> Listing:
    """The videos that any list names, or where there are no lists, those found."""
    folds = {fold: read_class_lists(lists, fold) for fold in range(1, FOLDS + 1)}
    here = {list_words(classes, fold): len(folds[fold]) == classes for fold in folds}
    labels = sorted({label for each in folds.values() for label in each})
    videos = {
        label: {
            name: found.get(f"{label}/{name}") for name in sorted({n for f in folds.values() for n in f.get(label, {})})
        }
        for label in labels
    }
    return Listing(videos or by_class(found), here, total)


def list_words(classes: int, fold: int) -> str:
    """How the lists of a split are called in messages."""
    return f"{classes} lists CLASS_test_split{fold}.txt"


def read_class_lists(folder: Path, fold: int) -> dict[str, dict[str, str | None]]:
    """Class to name of each video to its part. Raises DataError for a line of another form."""
    ending = f"_test_split{fold}.txt"
    found: dict[str, dict[str, str | None]] = {}
    for file in sorted(folder.glob(f"*{ending}")):
        own = found.setdefault(file.name.removesuffix(ending), {})
        for line in read_lines(file):  # names may begin with #, which is no comment here
            name, _, number = line.rpartition(" ")
            if number not in PARTS or not name:
                raise DataError(f"{file}: expected lines 'name.avi 1', '… 2' or '… 0', got {line!r}; copy it again")
            own[key(name)] = PARTS[number]
    return found


def class_parts(
    name: str, root: Path, listing: Listing, lists: Path, *, classes: int, fold: int
) -> tuple[VideoSet, VideoSet]:
    """Training and test videos of one split."""
    check_fold(name, fold, FOLDS)
    need(listing, root, [list_words(classes, fold)])
    parts = read_class_lists(lists, fold)
    return two_parts(root, listing, lambda label, video: parts[label].get(video))


def lists_folder(root: Path) -> Path:
    """Where the lists are: beside the class folders, or in the folder they are published in."""
    return first_folder(root, "splits", "testTrainMulti_7030_splits", "test_train_splits/testTrainMulti_7030_splits")
