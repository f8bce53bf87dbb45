"""`read_video` and `read_windows`: a path to clips, in little memory, also of damaged files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import VideoError
from voxplain.video.clip import Clip
from voxplain.video.damage import Damaged, check_damage
from voxplain.video.excerpt import Excerpt
from voxplain.video.geometry import FrameGeometry, resize_frame
from voxplain.video.lost_videos import note_short
from voxplain.video.stream import Source

Span = tuple[int, int]  # part of a video: its first frame counted from 0, and one past its last
MAX_PIXELS = 2**29  # pixels kept of one video, all frames together: 1.5 GiB as RGB


def read_video(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    geometry: FrameGeometry | None = None,
    span: Span | None = None,
    damaged: Damaged = "use",
) -> Clip:
    """Read every frame of a video file, a picture, a folder of pictures (25 fps) or a `.npy` array.

    Frames come in presentation order with their times. The rotation in a phone's metadata is applied, the pixel
    aspect ratio is not. Transparent pixels are drawn over white. Damaged packets are skipped; they, and frames that the
    container announces and that do not come, are counted in `Clip.damaged`. Frames of another size than the first are
    resized to the first.

    Parameters
    ----------
    path : str or path
    max_pixels : int
        Limit on T·H·W of the frames kept, so that a wrong file cannot fill the memory.
    geometry : FrameGeometry, optional
        Resize each frame while decoding (no crop).
    span : (first, stop), optional
        Read only these frames; where the video ends before, those that are there.
    damaged : {"skip", "use", "fail"}
        For a video of which frames are lost: raise VideoError where less than half of them are left, use what is left,
        or raise DataError.

    Returns
    -------
    Clip

    Raises
    ------
    VideoError
        Missing, empty, unreadable, not a video, without a frame, or larger than ``max_pixels``; damaged, as ``damaged``
        says.
    DataError
        A damaged video, where ``damaged`` is "fail".
    """
    from voxplain.video.sources import open_source

    path = Path(path)
    if span is not None:
        choose = in_span(lambda count: np.arange(count, dtype=np.int64)[None], span)
        return read_windows(path, choose, max_pixels=max_pixels, geometry=geometry, damaged=damaged)[0]
    kept = _Kept(path, max_pixels, geometry)
    count, seconds, lost = gather(open_source(path), kept, path, None)
    check_damage(path, count, lost, damaged)
    return Clip(np.stack([kept.frames[i] for i in range(count)]), seconds, str(path), damaged=lost)


def read_windows(
    path: str | os.PathLike[str],
    choose: Callable[[int], NDArray[np.int64]],
    *,
    max_pixels: int = MAX_PIXELS,
    geometry: FrameGeometry | None = None,
    damaged: Damaged = "use",
    excerpt: Excerpt | None = None,
) -> list[Clip]:
    """Read only the frames of given windows: the same as choosing from `read_video`, in less time and memory.

    The count in a container may be wrong (damage, unusual files); the video is then read a second time with the true
    count, so ``choose`` must give the same answer to the same count.

    Parameters
    ----------
    path : str or path
    choose : callable
        Called with the number of frames; returns the frames of W windows, int64 [W,T].
    max_pixels, geometry, damaged
        As for `read_video`.
    excerpt : Excerpt, optional
        The part of the video to choose from; by default all.

    Returns
    -------
    list of Clip
        W clips of T frames.

    Raises
    ------
    VideoError, DataError
        As `read_video`, and what ``choose`` raises.
    """
    from voxplain.video.sources import open_source

    path = Path(path)
    source = open_source(path)
    source = source if excerpt is None else excerpt.of(source, path)
    assumed, sure = source.claimed, False
    while True:
        index = _chosen(choose, assumed, path, sure)
        kept = _Kept(path, max_pixels, geometry)
        wanted = set() if index is None else set(index.ravel().tolist())
        count, seconds, lost = gather(source, kept, path, wanted)
        if index is not None and count == assumed:
            break
        if sure:
            raise VideoError(f"{path}: two readings gave {assumed} and {count} frames; is it being written?")
        assumed, sure = count, True
    check_damage(path, count, lost, damaged)
    if any(len(np.unique(row)) < len(row) for row in index):
        note_short(path, count)
    return [
        Clip(np.stack([kept.frames[i] for i in row]), _rising(seconds[row]), str(path), damaged=lost)
        for row in index.tolist()
    ]


def in_span(choose: Callable[[int], NDArray[np.int64]], span: Span | None) -> Callable[[int], NDArray[np.int64]]:
    """`choose` for a part of a video: called with the number of frames of the span, returns frames of the video."""
    if span is None:
        return choose
    first, stop = span

    def within(count: int) -> NDArray[np.int64]:
        if not 0 <= first < min(stop, count):
            raise VideoError(
                f"expected frames {first + 1} to {stop}, got a video of {count}; download it again or correct the list."
            )
        return first + choose(min(stop, count) - first)

    return within


def _chosen(choose: Callable[[int], NDArray[np.int64]], count: int, path: Path, sure: bool) -> NDArray[np.int64] | None:
    """Choose frames; None when the count of the header is too small, then called again."""
    if count < 1:
        return None
    try:
        return choose(count)
    except VideoError as error:
        if sure:
            raise VideoError(f"{path}: {error}") from error
        return None


@dataclass
class _Kept:
    """The frames kept so far, all of one size, and the limit on them."""

    path: Path
    max_pixels: int
    geometry: FrameGeometry | None
    frames: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    size: tuple[int, int] | None = None  # of the first frame

    def add(self, index: int, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        self.size = self.size or (height, width)
        picture = resize_frame(picture, self.size)
        picture = resize_frame(picture, self.geometry.resized(*self.size)) if self.geometry else picture
        self.frames[index] = picture
        height, width = picture.shape[:2]
        if len(self.frames) * height * width > self.max_pixels:
            raise too_large(self.path, len(self.frames), height, width, self.max_pixels)


class Keeper(Protocol):
    """Takes the frames of a video that are kept, in order."""

    size: tuple[int, int] | None  # height and width of the first frame of the video

    def add(self, index: int, picture: NDArray[np.uint8]) -> None:
        """Keep frame ``index``."""


def too_large(path: Path, frames: int, height: int, width: int, max_pixels: int) -> VideoError:
    """The error for more frames than may be kept."""
    return VideoError(
        f"{path}: {frames} or more frames of {width}×{height} are more than max_pixels = {max_pixels:,}; read through "
        "a geometry or a sampler, cut the video, or raise max_pixels."
    )


def gather(source: Source, kept: Keeper, path: Path, wanted: set[int] | None) -> tuple[int, NDArray[np.float64], int]:
    """Run through the stream once: true count, times [count], lost frames. Fills `kept`."""
    stamps: list[float | None] = []
    lost = 0
    for item in source.stream():
        if isinstance(item, int):
            lost += item
            continue
        picture, stamp = item
        # The first frame sets the size even when it is not kept.
        if kept.size is None and wanted is not None and len(stamps) not in wanted:
            height, width = picture().shape[:2]
            kept.size = (height, width)
        if wanted is None or len(stamps) in wanted:
            kept.add(len(stamps), picture())
        stamps.append(stamp)
    if not stamps:
        raise VideoError(
            f"{path}: no frame could be decoded ({lost} damaged packets); the video is empty or broken: "
            "download it again or leave it out."
        )
    return len(stamps), _times(stamps, source.fps), lost


def _times(stamps: list[float | None], fps: float) -> NDArray[np.float64]:
    """Times as the file gives them; counted from the frame rate where they are missing or run backwards."""
    if all(stamp is not None for stamp in stamps):
        seconds = np.array(stamps, np.float64)
        if np.isfinite(seconds).all() and (np.diff(seconds) >= 0).all():
            return seconds
    return np.arange(len(stamps), dtype=np.float64) / fps


def _rising(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times of a window; those of a looped one continue after its last frame."""
    gaps = np.diff(seconds)
    if (gaps >= 0).all():
        return seconds
    forward = gaps[gaps > 0]
    typical = float(np.median(forward)) if len(forward) else 0.0
    return seconds[0] + np.concatenate([[0.0], np.cumsum(np.where(gaps < 0, typical, gaps))])
