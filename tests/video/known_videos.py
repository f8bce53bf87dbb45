"""Writes videos whose truth is known: frame i has brightness 20 + 8·i."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def counting(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames uint8 [T,H,W,3] that carry their index in their brightness."""
    levels = (20 + 8 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def indices(frames: np.ndarray) -> list[int]:
    """The index each frame carries; fails when a brightness is not near one of the levels."""
    levels = frames.reshape(len(frames), -1).mean(1)
    index = np.rint((levels - 20) / 8)
    np.testing.assert_allclose(levels, 20 + 8 * index, atol=3)
    return index.astype(int).tolist()


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    fps: int = 25,
    pts: list[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode RGB frames; `pts` in milliseconds makes a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if codec in ("mpeg4", "mpeg2video", "mjpeg", "libvpx", "libvpx-vp9"):
            stream.bit_rate = 8_000_000  # their default is too coarse to read a brightness back
        if rotation:
            stream.set_display_rotation(rotation)
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
