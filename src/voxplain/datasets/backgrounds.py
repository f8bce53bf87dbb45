"""Still backgrounds to put behind the person of a video: pictures, and the backgrounds of other videos.

Letters: F frames of a video, H×W its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt

from voxplain.datasets.folder import VideoSet
from voxplain.errors import DataError
from voxplain.video import read_video
from voxplain.video.geometry import resize_frame
from voxplain.video.stream import PICTURE_SUFFIXES, VIDEO_SUFFIXES

__all__ = ["Background", "Drawn", "MaskOf", "OtherVideos", "Pictures", "behind", "clean_background"]

Picture = NDArray[np.uint8]
# (video, its class) → the person in each frame, bool [F,H,W]; DataError where the video has no mask
MaskOf = Callable[[Path, str], NDArray[np.bool_]]


@dataclass(frozen=True)
class Drawn:
    """A background that was drawn and is not made yet.

    Parameters
    ----------
    name : str
        Where it comes from.
    picture : callable
        (H, W) → uint8 [H,W,3].
    """

    name: str
    picture: Callable[[int, int], Picture]


class Background(Protocol):
    """A way to draw a background for a video of a class."""

    def __call__(self, label: str, rng: np.random.Generator) -> Drawn:
        """The background; everything random comes from ``rng``."""
        ...


@dataclass(frozen=True)
class Pictures:
    """Pictures, and middle frames of videos; resized to fill the frame, and what is over is cut off.

    Parameters
    ----------
    paths : sequence of Path
        Pictures and videos, for instance of places without people.

    Raises
    ------
    DataError
        Without any path.
    """

    paths: Sequence[Path]

    def __post_init__(self) -> None:
        """Check that there is one."""
        if not self.paths:
            raise DataError("expected pictures or videos for backgrounds, got none; name another folder")

    @classmethod
    def below(cls, folder: Path) -> Pictures:
        """All pictures and videos in a folder and its sub-folders. DataError where there is none."""
        known = PICTURE_SUFFIXES | VIDEO_SUFFIXES
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in known)
        shown = [path for path in found if not any(part.startswith(".") for part in path.parts)]
        return cls([folder / path for path in sorted(shown, key=lambda path: path.as_posix())])

    def __call__(self, label: str, rng: np.random.Generator) -> Drawn:
        """One of them; the class does not matter."""
        path = self.paths[int(rng.integers(len(self.paths)))]

        def picture(height: int, width: int) -> Picture:
            frames = read_video(path).frames
            return filling(frames[len(frames) // 2], height, width)

        return Drawn(path.name, picture)


@dataclass(frozen=True)
class OtherVideos:
    """The background of a video of another class, without its person; see `clean_background`.

    Parameters
    ----------
    videos : VideoSet
        Videos of two classes or more.
    mask : callable
        Gives the person of a video.

    Raises
    ------
    DataError
        When called for a class that is the only one.
    """

    videos: VideoSet
    mask: MaskOf

    def __call__(self, label: str, rng: np.random.Generator) -> Drawn:
        """The background of a video that is not of the class ``label``."""
        names = [self.videos.classes[k] for k in self.videos.labels]
        others = [i for i, name in enumerate(names) if name != label]
        if not others:
            raise DataError(f"expected videos of other classes than “{label}”, got none; choose another background")
        chosen = others[int(rng.integers(len(others)))]
        path, name = self.videos.paths[chosen], names[chosen]

        def picture(height: int, width: int) -> Picture:
            return filling(clean_background(read_video(path).frames, self.mask(path, name)), height, width)

        return Drawn(f"{name}/{path.name}", picture)


def clean_background(frames: NDArray[np.uint8], mask: NDArray[np.bool_], *, rim: float = 0.03) -> Picture:
    """The middle frame without the person.

    A pixel of the person, or of the rim around, gets the value that it has in the nearest frame in which the person is
    elsewhere; one that the person covers in all frames gets the value of the nearest pixel that has one.

    Parameters
    ----------
    frames : uint8 [F,H,W,3]
    mask : bool [F,H,W]
        The person.
    rim : float
        How far around the mask pixels may still show the person; share of the longer side.

    Returns
    -------
    uint8 [H,W,3]

    Raises
    ------
    DataError
        Where masks and frames differ in shape, and where the person covers every pixel of every frame.
    """
    if mask.shape != frames.shape[:3]:
        raise DataError(f"expected a mask {frames.shape[:3]} as the frames are, got {mask.shape}; make it of its video")
    count, wide = len(frames), round(rim * max(mask.shape[1:]))
    person = np.stack([binary_dilation(frame, iterations=wide) for frame in mask]) if wide else mask
    picture, known = np.zeros_like(frames[0]), np.zeros(mask.shape[1:], bool)
    for i in sorted(range(count), key=lambda i: (abs(i - count // 2), i)):
        fresh = ~person[i] & ~known
        picture[fresh] = frames[i][fresh]
        known |= fresh
    if not known.any():
        raise DataError("expected pixels that are not the person's, got none in any frame; leave the video out")
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    found: Picture = picture[tuple(nearest)]
    return found


def filling(picture: Picture, height: int, width: int) -> Picture:
    """A picture resized so that it fills height × width, and its centre of that size, uint8 [height,width,3]."""
    h, w = picture.shape[:2]
    scale = max(height / h, width / w)
    size = (max(height, round(h * scale)), max(width, round(w * scale)))
    resized = picture if size == (h, w) else resize_frame(picture, size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return resized[top : top + height, left : left + width]


def behind(frames: NDArray[np.uint8], mask: NDArray[np.bool_], background: Picture) -> NDArray[np.uint8]:
    """The person of a video in front of a still background.

    Parameters
    ----------
    frames : uint8 [F,H,W,3]
    mask : bool [F,H,W]
        The person, whose pixels stay as they are.
    background : uint8 [H,W,3]
        All other pixels, the same in every frame.

    Returns
    -------
    uint8 [F,H,W,3]
    """
    composed: NDArray[np.uint8] = np.where(mask[..., None], frames, background)
    return composed
