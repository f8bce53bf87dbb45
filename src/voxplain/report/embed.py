"""Pictures, clips and arrays as text inside a page: data URIs and run lengths.

Letters: T frames, H rows, W columns.
"""

import base64
import io
from itertools import pairwise

import numpy as np
from PIL import Image

from voxplain.video.encode import encode_video, video_type

__all__ = ["base64_bytes", "clip_uri", "jpeg", "png", "run_lengths", "shrink", "sprite"]

WIDEST = 256  # pixels a side; larger pictures are made smaller by a whole factor


def uri(data: bytes, kind: str) -> str:
    """Bytes as a data URI of a MIME type."""
    return f"data:{kind};base64,{base64_bytes(data)}"


def base64_bytes(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def png(pixels: np.ndarray) -> str:
    """A picture uint8 [H,W,3] or [H,W], exactly."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", optimize=True)
    return uri(out.getvalue(), "image/png")


def jpeg(pixels: np.ndarray, quality: int = 82) -> str:
    """A picture uint8 [H,W,3], small."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="JPEG", quality=quality, optimize=True)
    return uri(out.getvalue(), "image/jpeg")


def sprite(frames: np.ndarray, quality: int = 90) -> str:
    """All frames uint8 [T,H,W,3] under one another in one JPEG, so that a script can step through them exactly."""
    return jpeg(frames.reshape(-1, *frames.shape[2:]), quality)


def clip_uri(frames: np.ndarray, fps: int, crf: int = 26) -> str:
    """Frames uint8 [T,H,W,3] as a video: H.264, or VP9 where x264 is missing."""
    return uri(encode_video(frames, fps=fps, crf=crf, preset="veryfast"), video_type())


def shrink(frames: np.ndarray) -> np.ndarray:
    """Frames [T,H,W,3] of at most 256 pixels a side: means of whole blocks, so that pages stay small."""
    factor = -(-max(frames.shape[1:3]) // WIDEST)
    if factor == 1:
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).reduce(factor)) for frame in frames])


def run_lengths(values: np.ndarray) -> str:
    """Small integers, flattened in C order, as base64 of little-endian uint16 pairs (value, length); −1 is 65535."""
    flat = values.ravel().astype(np.int64) & 0xFFFF
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    pairs = []
    for start, stop in pairwise(starts):
        length = int(stop - start)
        while length > 0:
            pairs += [int(flat[start]), min(length, 0xFFFF)]
            length -= 0xFFFF
    return base64_bytes(np.array(pairs, "<u2").tobytes())
