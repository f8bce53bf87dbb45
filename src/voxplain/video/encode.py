"""Frames to a video file (or bytes): MP4 of H.264 where PyAV has x264, of VP9 otherwise, or GIF."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from voxplain.errors import VideoError

__all__ = ["encode_gif", "encode_stream", "encode_video", "video_type", "write_video"]


def video_type() -> str:
    """The MIME type of what `encode_video` gives; both codecs travel in MP4."""
    return "video/mp4"


def encode_video(frames: np.ndarray, *, fps: float = 25, crf: int = 12, preset: str = "medium") -> bytes:
    """Encode frames as an MP4 of H.264 (VP9 where x264 is missing); same frames, same bytes.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    fps : float
        Frames a second, above 0.
    crf : int
        Constant rate factor of the codec, 0 (lossless) to 51 (worst).
    preset : str
        Speed of x264, from "ultrafast" to "veryslow"; slower ones give smaller files.

    Returns
    -------
    bytes

    Raises
    ------
    VideoError
        Another type or shape.
    """
    _check(frames)
    buffer = io.BytesIO()
    _encode(iter(frames), buffer, fps, crf, preset)
    return buffer.getvalue()


def encode_stream(
    frames: Iterable[np.ndarray], file: BinaryIO, *, fps: float = 25, crf: int = 12, seconds: np.ndarray | None = None
) -> None:
    """`encode_video` of frames uint8 [H,W,3] that come one by one, into an open file; one of them is in memory.

    ``seconds`` [T], rising: the times at which the frames are shown, from that of the first on; by default ``fps``.
    """
    _encode(iter(frames), file, fps, crf, "medium", seconds)


TICKS = 90_000  # a second, of frames with times of their own


def _encode(
    frames: Iterator[np.ndarray], file: BinaryIO, fps: float, crf: int, preset: str, seconds: np.ndarray | None = None
) -> None:
    import av

    x264 = "libx264" in av.codecs_available
    # One thread: x264's output depends on the thread count, and same frames must give same bytes.
    # x264 looks ahead in a thread of its own; without mbtree its output does not depend on that thread's timing.
    exact = {"crf": str(crf), "threads": "1", "preset": preset, "x264-params": "no-mbtree=1"}
    options = exact if x264 else {"crf": str(crf), "b:v": "0", "threads": "1"}
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream("libx264" if x264 else "libvpx-vp9", rate=rate, options=options)
        stream.pix_fmt = "yuv420p"
        if seconds is not None:
            stream.codec_context.time_base = Fraction(1, TICKS)
            stamps = [round(float(second - seconds[0]) * TICKS) for second in seconds]
            gaps = [max(after - before, 1) for before, after in pairwise(stamps)]
            gaps.append(gaps[-1] if gaps else round(TICKS / fps))  # the last frame is shown as long as the one before
        for number, frame in enumerate(frames):
            # 4:2:0 chroma needs even sides; the last row or column is repeated.
            pad = (frame.shape[0] % 2, frame.shape[1] % 2)
            frame = np.pad(frame, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="edge") if any(pad) else frame
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
            if seconds is not None:
                picture.time_base, picture.pts = Fraction(1, TICKS), stamps[number]
                picture.duration = gaps[number]
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def encode_gif(frames: np.ndarray, *, fps: float = 25) -> bytes:
    """Encode frames as a GIF that repeats; same frames, same bytes.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    fps : float
        Frames a second; GIF counts in hundredths of a second, so that others than 25 are rounded, and more than 50
        become 50.

    Returns
    -------
    bytes

    Raises
    ------
    VideoError
        Another type or shape.
    """
    from PIL import Image

    _check(frames)
    first, *rest = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    buffer = io.BytesIO()
    duration = 10 * max(2, round(100 / fps))
    first.save(buffer, format="gif", save_all=True, append_images=rest, duration=duration, loop=0)
    return buffer.getvalue()


def _check(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise VideoError(
            f"expected frames as uint8 [T,H,W,3], got {frames.dtype} {frames.shape}; "
            "convert them to 8-bit RGB before writing a video"
        )


def write_video(path: Path | str, frames: np.ndarray, *, fps: int = 25, crf: int = 12) -> None:
    """Write frames uint8 [T,H,W,3] to ``path`` as MP4; the file appears whole or not at all."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(encode_video(frames, fps=fps, crf=crf))
    partial.replace(path)
