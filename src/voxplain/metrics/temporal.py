"""Localisation in time: two clips of different classes joined in time, and which frames of them the map values.

The video attribution study's Cat-UCF (arXiv 2005.00375). Its second video is always the shorter one, so that its chance
level is above one half; here the chance level is the share of the target's frames, whatever that is.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voxplain.attribution.attribution import MapLike, as_values
from voxplain.errors import DataError
from voxplain.metrics.record import MetricValue
from voxplain.video import Clip

__all__ = ["TemporalEnergy", "TemporalPointing", "join_in_time"]


def join_in_time(
    clip: Clip, other: Clip, *, frames: int | None = None, share: float = 0.5, side: Literal["first", "last"] = "first"
) -> tuple[Clip, np.ndarray]:
    """Join two clips in time, each thinned out evenly over its whole length.

    Parameters
    ----------
    clip, other : Clip
        Of one size; the joined clip has the label of ``clip``, and its seconds start at 0.
    frames : int, optional
        T, by default that of ``clip``.
    share : float
        Of the frames that are from ``clip``; in the video attribution study n/(n+m) for videos of n and m frames.
    side : {"first", "last"}
        Where ``clip`` is.

    Returns
    -------
    joined : Clip
        Of T frames.
    own : bool [T]
        The frames from ``clip``.

    Raises
    ------
    DataError
        Clips of different sizes, or a share that leaves one without a frame.

    Examples
    --------
    >>> joined, own = join_in_time(clip, clip, frames=4)
    >>> len(joined), own.tolist()
    (4, [True, True, False, False])
    """
    t = len(clip) if frames is None else frames
    count = int(t * share)
    if clip.frames.shape[1:] != other.frames.shape[1:]:
        raise DataError(
            f"expected two clips of one size, got {clip.frames.shape[1:3]} and {other.frames.shape[1:3]}; read "
            "both with one reader"
        )
    if not 0 < count < t or side not in ("first", "last"):
        raise DataError(
            f"expected a share that leaves both clips a frame of {t}, and side first or last, got {share} and {side!r}"
        )
    own, rest = _thinned(clip, count), _thinned(other, t - count)
    parts, flags = [own, rest], np.arange(t) < count
    if side == "last":
        parts, flags = parts[::-1], flags[::-1].copy()
    pace = float(np.diff(clip.seconds).mean()) if len(clip) > 1 else 0.0
    joined = Clip(
        np.concatenate(parts), np.arange(t, dtype=np.float64) * pace, f"{clip.source} + {other.source}", clip.label
    )
    return joined, flags


def _thinned(clip: Clip, count: int) -> np.ndarray:
    return clip.frames[np.arange(count) * len(clip) // count]


@dataclass(frozen=True)
class TemporalPointing:
    """Temporal pointing: 1 where the frame with the largest sum of the map is one of the target's own, else 0.

    Higher is better; chance level: the share of the target's frames. Frames that tie count by their share.

    References
    ----------
    Li et al. 2020, arXiv 2005.00375

    Examples
    --------
    >>> TemporalPointing()(heat, np.arange(8) < 4).chance
    0.5
    """

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["time"]] = "time"

    def __call__(self, attribution: MapLike, own: np.ndarray) -> MetricValue:
        """Evaluate a map of one joined clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        own : bool [T]
            Frames of the target, some but not all; `join_in_time` gives them.

        Returns
        -------
        MetricValue

        Raises
        ------
        DataError
            Another shape or type, or frames of one kind only.
        """
        sums = _checked(attribution, own).sum((1, 2), dtype=np.float64)
        top = sums == sums.max()
        return MetricValue(float(own[top].mean()), float(own.mean()), {"sums": sums, "frame": int(sums.argmax())})


@dataclass(frozen=True)
class TemporalEnergy:
    """Temporal energy: share of the map's positive values that lies in the target's own frames.

    Higher is better; chance level: the share of the target's frames; NaN for a map without positive values.

    Examples
    --------
    >>> TemporalEnergy()(heat, np.arange(8) < 4).chance
    0.5
    """

    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[Literal["time"]] = "time"

    def __call__(self, attribution: MapLike, own: np.ndarray) -> MetricValue:
        """Evaluate a map of one joined clip.

        Parameters
        ----------
        attribution : Attribution, or array or tensor [T,H,W]
        own : bool [T]
            Frames of the target, some but not all; `join_in_time` gives them.

        Returns
        -------
        MetricValue

        Raises
        ------
        DataError
            Another shape or type, or frames of one kind only.
        """
        energy = np.maximum(_checked(attribution, own), 0).sum((1, 2), dtype=np.float64)
        value = float(energy[own].sum() / energy.sum()) if energy.any() else float("nan")
        return MetricValue(value, float(own.mean()), {"energy": energy})


def _checked(attribution: MapLike, own: np.ndarray) -> np.ndarray:
    """The values of a map, once ``own`` fits them."""
    values = as_values(attribution)
    frames = len(values)
    if not isinstance(own, np.ndarray) or own.dtype != np.bool_ or own.shape != (frames,) or own.all() or not own.any():
        raise DataError(
            f"expected the target's own frames as bool [{frames}], some but not all, got {own!r}; "
            "join_in_time gives them"
        )
    return values
