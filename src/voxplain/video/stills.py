"""Pictures, folders of frames and `.npy` arrays as streams of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from voxplain.errors import VideoError
from voxplain.reading import ARRAY_HEADER
from voxplain.video.clip import Clip
from voxplain.video.stream import DEFAULT_FPS, MAX_FRAME_PIXELS, PICTURE_SUFFIXES, Item, Source, natural

# What Pillow raises for broken or oversized pictures.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def frame_files(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in natural order (frame2 before frame10); hidden files left out."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES]
    return sorted((p for p in found if not p.name.startswith(".") and p.is_file()), key=natural)


def folder_source(path: Path) -> Source:
    """The pictures of a folder as a video of 25 frames a second. VideoError when there are none."""
    files = frame_files(path)
    if not files:
        raise VideoError(
            f"{path}: expected one video as a folder of pictures (png, jpg …), found no picture in it; "
            "give a video file, or read a folder of videos with read_clips."
        )

    def stream() -> Iterator[Item]:
        for i, file in enumerate(files):
            try:
                picture = _load_picture(file)
            except UNREADABLE:
                yield 1
            else:
                yield (lambda picture=picture: picture), i / DEFAULT_FPS  # type: ignore[misc]

    return Source(len(files), DEFAULT_FPS, stream)


def picture_source(path: Path) -> Source:
    """One picture file as a video of one frame. VideoError when it cannot be read."""

    def stream() -> Iterator[Item]:
        try:
            picture = _load_picture(path)
        except UNREADABLE:
            yield 1
        else:
            yield (lambda: picture), 0.0

    return Source(1, DEFAULT_FPS, stream)


def _load_picture(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as picture:
        if picture.width * picture.height > MAX_FRAME_PIXELS:
            raise ValueError("picture too large")
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip, not scale
            grey = (np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        if upright.has_transparency_data:
            return over_white(np.asarray(upright.convert("RGBA")))
        return np.asarray(upright.convert("RGB"))


def over_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with transparency, RGBA uint8 [H,W,4], drawn over white, as a page shows it: uint8 [H,W,3]."""
    alpha = picture[..., 3:].astype(np.uint32)
    if (alpha == 255).all():
        return picture[..., :3]
    mixed: NDArray[np.uint8] = ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return mixed


def array_source(path: Path) -> Source:
    """A `.npy` file of uint8 [T,H,W,3] or [T,H,W]. VideoError for other contents."""
    try:
        with ARRAY_HEADER:
            frames = np.lib.format.open_memmap(path, mode="r")  # unlike np.load never an archive, never pickle
    except (ValueError, EOFError) as error:
        raise VideoError(f"{path}: not a plain array file; save uint8 frames [T,H,W,3] with numpy.save.") from error
    if frames.nbytes > 2**33:
        gib = frames.nbytes / 2**30
        raise VideoError(f"{path}: an array of {gib:.0f} GiB is too large; cut it into clips.")
    clip = Clip.from_array(frames, fps=DEFAULT_FPS, source=str(path))

    def stream() -> Iterator[Item]:
        for frame, seconds in zip(clip.frames, clip.seconds, strict=True):
            yield (lambda frame=frame: frame), float(seconds)  # type: ignore[misc]

    return Source(len(clip), DEFAULT_FPS, stream)
