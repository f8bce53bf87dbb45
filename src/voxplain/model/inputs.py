"""What users pass as clips, turned into records or into one array.

A clip is a `Clip`, or its frames as uint8 [T,H,W,3] in an array or a tensor. Several clips are a sequence of those, or
frames uint8 [N,T,H,W,3].
"""

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from voxplain.errors import ModelError
from voxplain.video import Clip

__all__ = ["ClipLike", "ClipsLike", "Frames", "as_clips", "as_frames", "is_one_clip", "stack"]

Frames = np.ndarray | Tensor
ClipLike = Clip | np.ndarray | Tensor
ClipsLike = ClipLike | Iterable[ClipLike]


def is_one_clip(given: ClipsLike) -> bool:
    """Whether ``given`` is one clip: a `Clip`, or an array or tensor with four axes.

    Examples
    --------
    >>> is_one_clip(np.zeros((16, 112, 112, 3), np.uint8)), is_one_clip([])
    (True, False)
    """
    return isinstance(given, Clip) or (isinstance(given, np.ndarray | Tensor) and given.ndim == 4)


def as_clips(given: ClipsLike) -> tuple[Clip, ...]:
    """Clips from any accepted form of one clip or of several.

    Parameters
    ----------
    given : Clip, uint8 array or tensor [T,H,W,3] or [N,T,H,W,3], or an iterable of clips
        Frames without times are counted at 25 frames a second.

    Returns
    -------
    tuple of Clip
        One for each clip; `is_one_clip` distinguishes one clip from a sequence of one.

    Raises
    ------
    ModelError
        Another type, dtype or number of axes.

    Examples
    --------
    >>> as_clips(np.zeros((2, 16, 112, 112, 3), np.uint8))[1].frames.shape
    (16, 112, 112, 3)
    """
    if isinstance(given, Clip):
        return (given,)
    if isinstance(given, np.ndarray | Tensor):
        frames = _uint8(given)
        return tuple(Clip.from_array(_array(own)) for own in (frames[None] if frames.ndim == 4 else frames))
    return tuple(item if isinstance(item, Clip) else Clip.from_array(_array(_one(item))) for item in _items(given))


def as_frames(given: ClipsLike, *, grid: tuple[int, int, int] | None = None) -> Frames:
    """Frames uint8 [N,T,H,W,3] from any accepted form of one clip or of several; no copy of an array or tensor.

    Parameters
    ----------
    given : Clip, uint8 array or tensor [T,H,W,3] or [N,T,H,W,3], or an iterable of clips
    grid : (T, H, W), optional
        The only grid to accept.

    Returns
    -------
    uint8 array or tensor [N,T,H,W,3]

    Raises
    ------
    ModelError
        Another type, dtype, number of axes or grid, or clips of different sizes.

    Examples
    --------
    >>> as_frames(np.zeros((16, 112, 112, 3), np.uint8)).shape
    (1, 16, 112, 112, 3)
    """
    if isinstance(given, np.ndarray | Tensor):
        frames = _uint8(given, grid)
        frames = frames[None] if frames.ndim == 4 else frames
    else:
        each = [_array(_one(item, grid)) for item in ((given,) if isinstance(given, Clip) else _items(given, grid))]
        if not each:
            raise ModelError("expected at least one clip, got none; pass a clip or frames uint8 [N,T,H,W,3] with N ≥ 1")
        if len({own.shape for own in each}) > 1:
            sizes = ", ".join("×".join(map(str, s)) for s in sorted({own.shape[:3] for own in each})[:3])
            raise ModelError(f"expected clips of one size, got {sizes}; read them with the model's reader")
        frames = np.stack(each)
    if grid is not None and tuple(frames.shape[1:]) != (*grid, 3):
        raise _wrong(given if isinstance(given, np.ndarray | Tensor) else frames, grid)
    return frames


def stack(clips: Sequence[Clip]) -> np.ndarray:
    """The frames of clips of one shape as uint8 [N,T,H,W,3]."""
    return np.stack([clip.frames for clip in clips])


def _items(given: object, grid: tuple[int, int, int] | None = None) -> Iterable[object]:
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable):
        raise _wrong(given, grid)
    return given


def _one(item: object, grid: tuple[int, int, int] | None = None) -> Frames:
    """Frames uint8 [T,H,W,3] of one clip."""
    if isinstance(item, Clip):
        return item.frames
    if not isinstance(item, np.ndarray | Tensor) or item.ndim != 4 or not _fits(item):
        raise _wrong([item], grid)
    return item


def _uint8(frames: Frames, grid: tuple[int, int, int] | None = None) -> Frames:
    """The same frames; raises unless they are of one clip or of several."""
    if frames.ndim not in (4, 5) or not _fits(frames):
        raise _wrong(frames, grid)
    return frames


def _fits(frames: Frames) -> bool:
    return str(frames.dtype).removeprefix("torch.") == "uint8" and frames.shape[-1] == 3


def _array(frames: Frames) -> np.ndarray:
    return frames.cpu().numpy() if isinstance(frames, Tensor) else frames


def _wrong(given: object, grid: tuple[int, int, int] | None = None) -> ModelError:
    """What was expected in place of ``given``, and why floats are not accepted."""
    wanted = "[N,T,H,W,3]" if grid is None else f"[N,{grid[0]},{grid[1]},{grid[2]},3]"
    single = isinstance(given, list) and len(given) == 1
    item = given[0] if single and isinstance(given, list) else given
    advice = "read clips with the model's own reader"
    if isinstance(item, np.ndarray | Tensor):
        got = f"{item.dtype} {tuple(item.shape)}"
        if "uint8" not in got:
            advice = "the model scales and normalises frames itself, so pass them as they were read, 0 to 255"
        elif item.ndim in (4, 5) and item.shape[-1] != 3:
            advice = "move the three colour channels to the end"
    else:
        got = type(item).__name__
    return ModelError(
        f"expected a Clip or frames as uint8 {wanted}, got {'a list with ' if single else ''}{got}; {advice}"
    )
