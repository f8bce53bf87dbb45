"""Ground-truth masks of the object or person in a video, on the grid of the network's input.

Letters: F frames of the video, H×W its size, T×h×w the network's grid.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from voxplain.datasets.backgrounds import MaskOf
from voxplain.datasets.jhmdb import puppet_mask
from voxplain.datasets.planted import PlantedSet, read_planted
from voxplain.errors import DataError
from voxplain.video import ClipReader, LongSide, read_video
from voxplain.video.geometry import resize_frame
from voxplain.video.sample import middle_window

__all__ = ["TRUTHS", "file_mask", "grid_mask", "person_mask", "truth_mask"]

SILHOUETTE = 30  # grey level of depth videos above which a pixel belongs to the person


def _planted(root: Path, video: Path, label: str) -> np.ndarray:
    """The object that decides the class, by its shape or its motion."""
    found = _planted_set(root).masks(video)
    if "target" not in found:
        raise DataError(f"expected a class that an object decides, got “{label}” in {video}; leave the class out")
    return found["target"]


@cache
def _planted_set(root: Path) -> PlantedSet:
    return read_planted(root)


def _jhmdb(root: Path, video: Path, label: str) -> np.ndarray:
    return puppet_mask(root, video)


def _silhouette(root: Path, video: Path, label: str) -> np.ndarray:
    return np.asarray(read_video(video).frames.max(-1) > SILHOUETTE)


# Name → masks bool [F,H,W] of a video below a data set's folder. DataError where a video has none.
TRUTHS: dict[str, Callable[[Path, Path, str], np.ndarray]] = {
    "planted": _planted,  # the object that decides the class
    "jhmdb": _jhmdb,  # the acting person
    "silhouette": _silhouette,  # everything but the black background of depth videos
}


def person_mask(truth: str, root: Path) -> MaskOf:
    """A function (video, class) → mask bool [F,H,W] of the videos of a data set's folder.

    Parameters
    ----------
    truth : str
        A key of `TRUTHS`.
    root : Path
        Folder of the data set.

    Returns
    -------
    callable

    Raises
    ------
    DataError
        For an unknown truth; when called, for a video without a mask.
    """
    if truth not in TRUTHS:
        raise DataError(f"expected a truth of {', '.join(TRUTHS)}, got {truth!r}; choose one")
    return partial(TRUTHS[truth], root)


def file_mask(folder: Path, video: Path) -> np.ndarray:
    """The mask of a video from a file of its name in a folder, bool [F,H,W].

    Parameters
    ----------
    folder : Path
        Holds for ``clip.mp4`` an array ``clip.npy`` or ``clip.npz`` [F,H,W], true or above 0 where the concept is, or a
        folder ``clip`` of pictures, one a frame, lighter than half grey there.
    video : Path
        F frames of H×W.

    Returns
    -------
    bool [F,H,W]

    Raises
    ------
    DataError
        No or several such files, an unreadable one, and a mask of another shape than the video.
    """
    name = video.name if video.is_dir() else video.stem
    found = [p for p in (folder / f"{name}.npy", folder / f"{name}.npz", folder / name) if p.exists()]
    if len(found) != 1:
        raise DataError(
            f"expected one mask {name}.npy, {name}.npz or folder {name} of pictures in {folder}, got {len(found)}; "
            "give one a video"
        )
    try:
        mask = _read_mask(found[0])
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"expected an array [F,H,W] in {found[0]}, got: {error}; write it again") from error
    shape = read_video(video).frames.shape[:3]
    if mask.shape != shape:
        raise DataError(f"expected a mask {shape} as {video} is, got {mask.shape} in {found[0]}; make it of its frames")
    return mask


def _read_mask(file: Path) -> np.ndarray:
    if file.is_dir():
        return np.asarray(read_video(file).frames.max(-1) > 127)
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return np.asarray(loaded > 0)
    with loaded as arrays:
        if len(arrays.files) != 1:
            raise ValueError(f"{len(arrays.files)} arrays")
        return np.asarray(arrays[arrays.files[0]] > 0)


def truth_mask(truth: str, root: Path, video: Path, label: str, reader: ClipReader) -> np.ndarray:
    """The mask of the clip that ``reader`` reads, bool [T,h,w]. DataError on an unknown truth or a missing mask."""
    return grid_mask(person_mask(truth, root)(video, label), reader)


def grid_mask(mask: np.ndarray, reader: ClipReader) -> np.ndarray:
    """A mask bool [F,H,W] of a video on the grid of the reader's clip, bool [T,h,w]; true from half a pixel on."""
    index = middle_window(reader.sampler(len(mask), None))[0]
    levels = np.repeat((255 * mask[index].astype(np.uint8))[..., None], 3, axis=-1)
    geometry = replace(reader.geometry, fill=0) if isinstance(reader.geometry, LongSide) else reader.geometry
    size = geometry.resized(*mask.shape[1:])
    resized = np.stack([resize_frame(frame, size) for frame in levels])
    return np.asarray(geometry.crop_frames(resized)[..., 0] > 127)
