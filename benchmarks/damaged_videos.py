"""Damaged copies of videos whose frames are known: cut, with bytes changed, zeroed, removed or repeated."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES = 60  # of each clean video
# name, encoder, pixel format, options
KINDS = (
    ("h264.mp4", "libx264", "yuv420p", {"bf": "3"}),
    ("mpeg4.mp4", "mpeg4", "yuv420p", {}),
    ("h264.mkv", "libx264", "yuv420p", {}),
    ("ffv1.mkv", "ffv1", "yuv420p", {}),
    ("vp8.webm", "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "12"}),
    ("vp9.webm", "libvpx-vp9", "yuv420p", {}),
    ("mpeg4.avi", "mpeg4", "yuv420p", {}),
    ("mjpeg.avi", "mjpeg", "yuvj420p", {}),
    ("a.gif", "gif", "rgb8", {}),
    ("b.gif", "gif", "rgb8", {}),
    ("h264.mov", "libx264", "yuv420p", {}),
    ("h264.flv", "libx264", "yuv420p", {}),
)


def clean_videos(folder: Path) -> list[Path]:
    """Write one video of `FRAMES` frames of each kind that this build of PyAV can encode."""
    rng = np.random.default_rng(0)
    written = []
    for name, codec, form, options in KINDS:
        frames = rng.integers(0, 60, (1, 48, 64, 3)).repeat(FRAMES, 0).astype(np.uint8)
        for i in range(FRAMES):
            frames[i, 10:25, (i * 2) % 56 : (i * 2) % 56 + 8] = 220
            frames[i, :4] = 3 * i
        path = folder / name
        try:
            with av.open(str(path), "w") as container:
                stream = container.add_stream(codec, rate=Fraction(25), options=options)
                stream.height, stream.width, stream.pix_fmt = 48, 64, form
                for picture in frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                container.mux(stream.encode())
        except av.FFmpegError:
            path.unlink(missing_ok=True)
            continue
        written.append(path)
    return written


def damaged_copies(data: bytes, count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """(what was done, bytes) of ``count`` damaged copies of a file."""
    for trial in range(count):
        kind = ("cut", "bytes", "zeros", "removed", "head", "repeated")[trial % 6]
        size = len(data)
        if kind == "cut":
            yield kind, data[: int(rng.integers(size // 20, size))]
            continue
        start = int(rng.integers(0, size if kind != "head" else min(size, 600)))
        length = int(rng.integers(1, max(2, size // 20)))
        if kind in ("bytes", "head"):
            changed = bytearray(data)
            places = rng.integers(0, size if kind == "bytes" else min(size, 600), 1 + int(rng.integers(12)))
            for place in places:
                changed[place] = int(rng.integers(256))
            yield kind, bytes(changed)
        elif kind == "zeros":
            yield kind, data[:start] + bytes(min(length, size - start)) + data[start + length :]
        elif kind == "removed":
            yield kind, data[:start] + data[start + length :]
        else:
            yield kind, data[:start] + data[start : start + length] + data[start:]
