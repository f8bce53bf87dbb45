"""`Clip`: the frames of one video, the record every later stage starts from."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import VideoError
from voxplain.files import write_whole
from voxplain.video.encode import encode_gif, encode_video
from voxplain.video.notebook import show_html

__all__ = ["Clip"]

PREVIEW_FRAMES, PREVIEW_PIXELS = 48, 224  # limits of a picture in a notebook, so that notebooks stay small
SHEET_FRAMES = 8  # side by side in a window


@dataclass(frozen=True, repr=False, eq=False)
class Clip:
    """Frames of a video with the time of each.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
        RGB; ``np.asarray(clip)`` is this array.
    seconds : float64 [T]
        Presentation times, non-decreasing.
    source : str
        The file, or a description for clips from other sources.
    label : int, optional
        Index of the class.
    damaged : int
        Packets, or pictures of a frame folder, that could not be decoded and were skipped, and frames that a file that
        was cut short does not have.

    Raises
    ------
    VideoError
        A field of another type or shape.

    Examples
    --------
    >>> clip = Clip.from_array(np.zeros((16, 64, 64, 3), np.uint8), fps=8)
    >>> clip, len(clip), np.asarray(clip).shape
    (Clip(16×64×64, 0.00-1.88 s, source='array'), 16, (16, 64, 64, 3))
    """

    frames: NDArray[np.uint8]
    seconds: NDArray[np.float64]
    source: str
    label: int | None = None
    damaged: int = 0

    def __post_init__(self) -> None:
        """Check types and shapes."""
        frames, seconds, source = self.frames, self.seconds, self.source
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4:
            raise VideoError(f"{source}: frames must be a uint8 array [T,H,W,3], got {_describe(frames)}.")
        if frames.shape[3] != 3:
            raise VideoError(
                f"{source}: frames must be [T,H,W,3], the 3 colour channels last, got {_describe(frames)}; "
                "move the channels to the end."
            )
        if 0 in frames.shape:
            raise VideoError(f"{source}: a clip needs at least one frame and one pixel, got {frames.shape}.")
        if not isinstance(seconds, np.ndarray) or seconds.dtype != np.float64:
            raise VideoError(f"{source}: seconds must be a float64 array [T], got {_describe(seconds)}.")
        if seconds.shape != frames.shape[:1]:
            raise VideoError(f"{source}: {len(frames)} frames need as many seconds, got {seconds.shape}.")
        if not np.isfinite(seconds).all() or (np.diff(seconds) < 0).any():
            raise VideoError(f"{source}: seconds must be finite and never decrease.")

    def __repr__(self) -> str:
        """Shapes and where it comes from, not data."""
        t, h, w, _ = self.frames.shape
        extra = f", label={self.label}" if self.label is not None else ""
        extra += f", damaged={self.damaged}" if self.damaged else ""
        span = f"{self.seconds[0]:.2f}-{self.seconds[-1]:.2f} s"
        return f"Clip({t}×{h}×{w}, {span}, source={self.source!r}{extra})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The frames, for NumPy; without a copy unless requested."""
        if copy or (dtype is not None and np.dtype(dtype) != self.frames.dtype):
            return np.array(self.frames, dtype)
        return self.frames

    @property
    def fps(self) -> float:
        """Frames a second by the times of the first and the last frame; 25 where they are equal."""
        span = float(self.seconds[-1] - self.seconds[0])
        return (len(self) - 1) / span if span > 0 else 25.0

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the frames to a file, whose ending gives the format.

        Parameters
        ----------
        path : str or path
            ``.mp4`` (lossy), ``.gif`` (256 colours a frame) or ``.npy`` (exact); `read_video` reads all three.

        Returns
        -------
        Path
            The file, which appears whole or not at all.

        Raises
        ------
        VideoError
            Another ending.
        VoxplainError
            A folder or disk that cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".mp4":
            data = encode_video(self.frames, fps=max(1, round(self.fps)))
        elif suffix == ".gif":
            data = encode_gif(self.frames, fps=self.fps)
        elif suffix == ".npy":
            buffer = io.BytesIO()
            np.save(buffer, self.frames, allow_pickle=False)
            data = buffer.getvalue()
        else:
            raise VideoError(f"expected a file that ends in .mp4, .gif or .npy, got {path.name!r}; change the ending")
        write_whole(path, data)
        return path

    def show(self) -> None:
        """Display the clip: in a notebook as an animation, elsewhere eight frames in a window of Matplotlib."""
        if show_html(self._repr_html_()):
            return
        from matplotlib import pyplot as plt

        places = _spread(len(self), SHEET_FRAMES)
        figure, axes = plt.subplots(1, len(places), figsize=(1.6 * len(places), 2), squeeze=False)
        for place, axis in zip(places, axes[0], strict=True):
            axis.imshow(self.frames[place])
            axis.set(title=f"{self.seconds[place]:.2f} s", xticks=[], yticks=[])
        plt.show()
        plt.close(figure)

    def _repr_html_(self) -> str:
        """Animation and caption for a notebook: at most 48 frames of at most about 224 pixels."""
        step = -(-max(self.frames.shape[1:3]) // PREVIEW_PIXELS)
        places = _spread(len(self), PREVIEW_FRAMES)
        animation = encode_gif(self.frames[places, ::step, ::step], fps=self.fps * len(places) / len(self))
        caption = escape(repr(self))
        return (
            f"<figure style='margin:0'><img alt='{caption}' src='data:image/gif;base64,"
            f"{base64.b64encode(animation).decode('ascii')}'><figcaption>{caption}</figcaption></figure>"
        )

    @classmethod
    def from_array(
        cls, frames: NDArray[np.uint8], fps: float = 25.0, source: str = "array", label: int | None = None
    ) -> Clip:
        """Make a clip from an array.

        Parameters
        ----------
        frames : uint8 [T,H,W,3] or [T,H,W]
            RGB, or grey (repeated to three channels).
        fps : float
            Frames a second; frame i gets the time i / fps.
        source : str
            Shown in place of the file in reports.
        label : int, optional
            Index of the class.

        Returns
        -------
        Clip

        Raises
        ------
        VideoError
            Another type (floats are not rescaled) or shape.

        Examples
        --------
        >>> Clip.from_array(np.zeros((2, 8, 8), np.uint8)).frames.shape
        (2, 8, 8, 3)
        """
        frames = np.asarray(frames)
        if np.issubdtype(frames.dtype, np.floating):
            bad = " with NaN or infinite values" if not np.isfinite(frames).all() else ""
            raise VideoError(
                f"{source}: expected uint8 frames 0 to 255, got {frames.dtype}{bad}; "
                "scale to 0 to 255 and convert with .astype('uint8') first."
            )
        if frames.dtype != np.uint8:
            raise VideoError(f"{source}: expected uint8 frames, got {_describe(frames)}; convert them first.")
        if frames.ndim == 4 and frames.shape[3] == 1:
            frames = frames[..., 0]
        if frames.ndim == 3 and frames.shape[2] == 3:
            raise VideoError(
                f"{source}: {frames.shape} looks like one picture [H,W,3]; give a video [T,H,W,3], "
                "for one frame picture[None]."
            )
        if frames.ndim == 3:
            frames = np.repeat(frames[..., None], 3, axis=3)
        if not (np.isfinite(fps) and fps > 0):
            raise VideoError(f"{source}: fps must be a positive number, got {fps}.")
        count = frames.shape[0] if frames.ndim else 0
        return cls(np.ascontiguousarray(frames), np.arange(count, dtype=np.float64) / fps, source, label)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` indices of ``count`` frames, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _describe(value: object) -> str:
    """Type and shape for an error text."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
