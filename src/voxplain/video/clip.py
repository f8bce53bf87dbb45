"""`Clip`: the frames of one video, the record every later stage starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import VideoError


@dataclass(frozen=True, repr=False, eq=False)
class Clip:
    """Frames of a video with the time of each.

    Raises VideoError when a field has another type or shape than named below.
    """

    frames: NDArray[np.uint8]  # [T,H,W,3] RGB
    seconds: NDArray[np.float64]  # [T] presentation times, non-decreasing
    source: str  # the file, or a word for what is not a file
    label: int | None = None  # index of the class, None = not known
    damaged: int = 0  # packets (or pictures of a frame folder) that could not be decoded and were skipped

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

    @classmethod
    def from_array(
        cls, frames: NDArray[np.uint8], fps: float = 25.0, source: str = "array", label: int | None = None
    ) -> Clip:
        """Make a clip from an array.

        Parameters
        ----------
        frames : uint8 [T,H,W,3] RGB, or [T,H,W] grey (repeated to three channels).
        fps : frames a second; frame i gets the time i / fps.

        Raises
        ------
        VideoError : another type (floats are never rescaled by a guess) or shape.
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


def _describe(value: object) -> str:
    """Type and shape for an error text."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
