"""JHMDB (Jhuang et al., ICCV 2013): 21 actions of HMDB51, 928 clips of 15-40 frames, with the acting person's mask.

From http://jhmdb.is.tue.mpg.de, for research. Read as downloaded and unpacked (``ReCompress_Videos`` or
``Rename_Images``, ``splits``, ``puppet_mask``), or as ``videos``, ``splits`` and ``masks`` with one ``.npz`` a clip.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from voxplain.datasets.class_lists import class_listing, class_parts, lists_folder
from voxplain.datasets.folder import VideoSet
from voxplain.datasets.listing import Listing, first_folder, videos_below
from voxplain.datasets.mat import read_mat
from voxplain.errors import DataError

__all__ = ["jhmdb", "jhmdb_listing", "puppet_mask"]


def jhmdb_listing(root: Path) -> Listing:
    """All 928 clips and where they are; the notes give how many have a mask."""
    found = videos_below(first_folder(root, "videos", "ReCompress_Videos", "Rename_Images"))
    listing = class_listing(found, lists_folder(root), classes=21, total=928)
    masked = sum(_mask_file(root, label, name) is not None for label, of in listing.videos.items() for name in of)
    return replace(listing, notes=(f"{masked} of 928 puppet masks",))


def jhmdb(root: Path, *, fold: int = 1) -> tuple[VideoSet, VideoSet]:
    """Training and test clips of split 1, 2 or 3; classes in alphabetical order."""
    return class_parts("jhmdb", root, jhmdb_listing(root), lists_folder(root), classes=21, fold=fold)


def puppet_mask(root: Path, video: Path) -> NDArray[np.bool_]:
    """The acting person in a clip, bool [T,H,W]: a frame of the mask for each frame of the whole clip.

    From ``puppet_mask/<class>/<name>/puppet_mask.mat`` (variable part_mask [H,W,T], over 0 = a part of the body) or
    ``masks/<class>/<name>.npz`` (mask [T,H,W]). Raises DataError where there is none or a broken one.
    """
    file = _mask_file(root, video.parent.name, video.name if video.is_dir() else video.stem)
    if file is None:
        raise DataError(f"expected a mask of {video.name} in {root}, got none; unpack puppet_mask.zip there")
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                mask = np.asarray(arrays["mask"])
        else:
            parts = np.asarray(read_mat(file, "part_mask"))
            mask = np.moveaxis(parts.reshape(*parts.shape[:2], -1), 2, 0)
        if mask.ndim != 3:
            raise ValueError(f"an array of {mask.ndim} dimensions")
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise DataError(f"{file}: expected a mask [T,H,W], got: {error}; download it again") from error
    return mask > 0


def _mask_file(root: Path, label: str, name: str) -> Path | None:
    files = (root / "puppet_mask" / label / name / "puppet_mask.mat", root / "masks" / label / f"{name}.npz")
    return next((file for file in files if file.is_file()), None)
