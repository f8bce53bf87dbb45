"""HMDB51 (Kuehne et al., ICCV 2011): 51 actions, 6766 clips from films and the web, height 240, 30 fps.

From https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/, under CC BY 4.0. Read as
downloaded and unpacked: a folder of AVI files a class (in the folder itself, ``videos`` or ``hmdb51_org``), and the
153 lists of ``test_train_splits.rar`` in ``testTrainMulti_7030_splits`` or ``splits``. Each of the three splits takes
70 training and 30 test clips a class; the rest are not used in it. Puppet masks exist for the part of it that is
JHMDB, see `voxplain.datasets.jhmdb`.
"""

from __future__ import annotations

from pathlib import Path

from voxplain.datasets.class_lists import class_listing, class_parts, lists_folder
from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, first_folder, videos_below

__all__ = ["hmdb51", "hmdb51_listing"]


def hmdb51_listing(root: Path) -> Listing:
    """All 6766 clips and where they are."""
    found = videos_below(first_folder(root, "videos", "hmdb51_org"))
    return class_listing(found, lists_folder(root), classes=51, total=6766)


def hmdb51(root: Path, *, fold: int = 1) -> tuple[VideoSet, VideoSet]:
    """Training and test clips of split 1, 2 or 3; classes in alphabetical order."""
    return class_parts("hmdb51", root, hmdb51_listing(root), lists_folder(root), classes=51, fold=fold)
