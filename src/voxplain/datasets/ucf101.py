"""UCF101 (Soomro, Zamir and Shah, 2012): 101 actions, 13320 clips, 320×240, 25 fps; and UCF101-24 with boxes.

From https://www.crcv.ucf.edu/data/UCF101.php, for research. Read as downloaded and unpacked: ``UCF-101/<class>``
(or the class folders themselves) and ``ucfTrainTestlist`` beside them (or its seven files themselves).

UCF101-24 is its part with boxes around every actor: the videos of ``finalAnnots.mat`` from
https://github.com/gurkirt/corrected-UCF101-Annots, to be put in the same folder: 3194 videos of 24 classes, split 1
with 910 test videos, as papers use them. Its ``.pkl`` files hold the same boxes and are not read: a pickle can run
any code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import (
    Listing,
    by_class,
    check_fold,
    first_folder,
    need,
    read_lines,
    two_parts,
    videos_below,
)
from voxplain.datasets.mat import read_mat
from voxplain.datasets.splits import key
from voxplain.errors import DataError

__all__ = ["Track", "box_mask", "read_boxes", "ucf101", "ucf101_24", "ucf101_24_listing", "ucf101_listing"]

FOLDS = 3
BOXES = "finalAnnots.mat"
PARTS = ("train", "test")


def ucf101_listing(root: Path) -> Listing:
    """All 13320 clips and where they are; without lists, those found."""
    found = videos_below(first_folder(root, "UCF-101", "videos"))
    lists = first_folder(root, "ucfTrainTestlist", "splits")
    names = ["classInd.txt", *(f"{part}list{fold:02d}.txt" for fold in range(1, FOLDS + 1) for part in PARTS)]
    here = {name: (lists / name).is_file() for name in names}
    classes = [line.split()[-1] for line in read_lines(lists / "classInd.txt")] if here["classInd.txt"] else []
    videos: dict[str, dict[str, Path | None]] = {label: {} for label in classes}
    for name in names[1:]:
        for video in _listed(lists / name) if here[name] else ():
            videos.setdefault(video.partition("/")[0], {})[video.partition("/")[2]] = found.get(video)
    return Listing(videos if any(videos.values()) else by_class(found), here, 13320)


def ucf101(root: Path, *, fold: int = 1) -> tuple[VideoSet, VideoSet]:
    """Training and test clips of split 1, 2 or 3; classes in the order of classInd.txt."""
    return _train_and_test("ucf101", root, ucf101_listing(root), fold)


def ucf101_24_listing(root: Path) -> Listing:
    """The 3194 clips with boxes and where they are."""
    if not (root / BOXES).is_file():
        return Listing({}, {**ucf101_listing(root).lists, BOXES: False}, 3194)
    whole, boxes = ucf101_listing(root), read_boxes(root / BOXES)
    videos = {
        label: {name: path for name, path in names.items() if f"{label}/{name}" in boxes}
        for label, names in whole.videos.items()
    }
    videos = {label: names for label, names in videos.items() if names}
    return Listing(videos, {**whole.lists, BOXES: True}, 3194, (f"boxes of {len(boxes)} videos",))


def ucf101_24(root: Path, *, fold: int = 1) -> tuple[VideoSet, VideoSet]:
    """Training and test clips with boxes, of split 1, 2 or 3; papers use split 1."""
    listing = ucf101_24_listing(root)
    need(listing, root, [BOXES])
    return _train_and_test("ucf101_24", root, listing, fold)


def _listed(file: Path) -> list[str]:
    """``class/name`` of each line; training lists have the number of the class behind it."""
    return [key(line.partition(" ")[0]) for line in read_lines(file)]


def _train_and_test(name: str, root: Path, listing: Listing, fold: int) -> tuple[VideoSet, VideoSet]:
    check_fold(name, fold, FOLDS)
    files = {part: f"{part}list{fold:02d}.txt" for part in PARTS}
    need(listing, root, files.values())
    lists = first_folder(root, "ucfTrainTestlist", "splits")
    parts = {video: part for part, file in files.items() for video in _listed(lists / file)}
    return two_parts(root, listing, lambda label, video: parts.get(f"{label}/{video}"))


@dataclass(frozen=True, repr=False, eq=False)
class Track:
    """One actor's boxes in consecutive frames of a video."""

    first: int  # frame of the first box, counted from 0
    boxes: NDArray[
        np.float32
    ]  # [N,4] left, top, right, bottom in pixels of the 320×240 video, right and bottom outside

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or self.first < 0:
            raise DataError(f"expected boxes [N,4] from frame 0 on, got {self.boxes.shape} from {self.first}")

    def __repr__(self) -> str:
        """Frames, not boxes."""
        return f"Track(frames {self.first} to {self.first + len(self.boxes)})"


def read_boxes(file: Path) -> dict[str, tuple[Track, ...]]:
    """``class/name`` to the tracks of its actors. Raises DataError for a file of another form."""
    # A video: name, num_imgs, tubes; a tube: sf and ef (first and last frame), boxes x y w h; all count from 1.
    rows = read_mat(file, "annot", struct_as_record=False, squeeze_me=True)
    try:
        return {
            str(row.name): tuple(_track(tube.sf, tube.ef, tube.boxes) for tube in np.atleast_1d(row.tubes))
            for row in np.atleast_1d(rows)
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: expected the boxes of UCF101-24, got: {error}; download it again") from error


def _track(first: int, last: int, boxes: NDArray[np.generic]) -> Track:
    sides = np.atleast_2d(boxes).astype(np.float32)
    if len(sides) != int(last) - int(first) + 1:
        raise ValueError(f"{len(sides)} boxes for frames {first} to {last}")
    corner = sides[:, :2] - 1
    return Track(int(first) - 1, np.concatenate([corner, corner + sides[:, 2:]], axis=1))


def box_mask(tracks: tuple[Track, ...], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The inside of all boxes as bool [T,H,W], for a whole video of this shape; scaled from 320×240."""
    mask = np.zeros(shape, np.bool_)
    across, down = shape[2] / 320, shape[1] / 240
    for track in tracks:
        for t, (left, top, right, bottom) in enumerate(track.boxes[: max(0, shape[0] - track.first)], track.first):
            rows = slice(round(float(top) * down), round(float(bottom) * down))
            mask[t, rows, round(float(left) * across) : round(float(right) * across)] = True
    return mask
