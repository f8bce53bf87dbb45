"""Attribution maps as colours over the frames they explain. Arrays in, arrays out.

Letters: T frames, H rows, W columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from voxplain.errors import DataError
from voxplain.large import LARGE, forget, pieces

__all__ = ["DIVERGING", "GAP", "SEQUENTIAL", "Scale", "frame_grid", "overlay", "scaled", "spread"]

GAP = 3  # white pixels between frames
BAND = 2**18  # pixels that are coloured at once
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
SEQUENTIAL, DIVERGING = "inferno", "PuOr_r"  # perceptually uniform; both distinguishable by colour-blind readers


def scaled(values: np.ndarray) -> np.ndarray:
    """Scale a map for display: to 0 … 1, or to −1 … 1 where it has negative values (0 stays 0).

    Parameters
    ----------
    values : float32 [T,H,W]

    Returns
    -------
    float32 [T,H,W]
        The 99.9th percentile becomes 1, so that a few voxels do not hide the rest.

    Examples
    --------
    >>> float(scaled(np.array([[[-2.0, 0.0, 4.0]]], np.float32))[0, 0, 1])
    0.0
    """
    return Scale.of(values)(values)


@dataclass(frozen=True)
class Scale:
    """What becomes 0 and 1 (or −1 and 1) when a map is scaled for display; the same for every part of the map.

    Parameters
    ----------
    low, high : float
        Values that become 0 and 1; equal where the map is constant.
    signed : bool
        Whether the map has negative values: then ``low`` is 0.

    Examples
    --------
    >>> values = np.array([[[0.0, 1.0, 2.0]]], np.float32)
    >>> Scale(0.0, 2.0, False)(values).tolist()
    [[[0.0, 0.5, 1.0]]]
    """

    low: float
    high: float
    signed: bool

    @classmethod
    def of(cls, values: np.ndarray) -> "Scale":
        """The scale of a map float32 [T,H,W]."""
        if values.nbytes >= LARGE and values.dtype == np.float32:
            return cls._of_large(values)
        found = cls._of_small(values)
        forget(values)
        return found

    @classmethod
    def _of_small(cls, values: np.ndarray) -> "Scale":
        """The same of a map that fits the memory several times."""
        low, signed = float(values.min()), bool(values.min() < 0)
        if not signed:
            high = float(np.percentile(values, 99.9))
            return cls(low, high if high > low else float(values.max()), signed)
        size = np.abs(values)
        return cls(0.0, float(np.percentile(size, 99.9, overwrite_input=True)) or float(np.abs(values).max()), signed)

    @classmethod
    def _of_large(cls, values: np.ndarray) -> "Scale":
        """The same of a map that may be larger than the memory, part by part."""
        ends = [(part.min(), part.max()) for part in _flat_pieces(values)]
        low, largest = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))
        signed = low < 0
        place = 0.999 * (values.size - 1)
        kept = values.size - int(place)  # values from the one below the percentile on
        top = np.zeros(0, np.float32)
        for part in _flat_pieces(values):
            size = np.abs(part) if signed else part
            top = np.concatenate([top, size if len(top) < kept else size[size > top.min()]])
            top = np.partition(top, len(top) - kept)[-kept:] if len(top) > kept else top
        below, above = np.sort(top)[:2].astype(np.float64)
        high = float(below + (above - below) * (place - int(place)))
        if signed:
            return cls(0.0, high or max(-low, largest), signed)
        return cls(low, high if high > low else largest, signed)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The map, or a part of it, scaled; zeros where the map is constant."""
        if self.high <= self.low:
            return np.zeros_like(values, np.float32)
        return np.clip((values - self.low) / (self.high - self.low), -1 if self.signed else 0, 1).astype(np.float32)


def _flat_pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """The values of a float32 array as one-dimensional parts."""
    return (np.frombuffer(part, np.float32) for part in pieces(values, 4 << 20))


def overlay(frames: np.ndarray, values: np.ndarray, *, opacity: float = 0.75, scale: Scale | None = None) -> np.ndarray:
    """Draw a map in colour over grey frames; where the map is near 0 the frame is visible.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    values : float32 [T,H,W]
        Without negative values the colours go from dark to bright; otherwise positive values are orange and
        negative values purple.
    opacity : float
        Of the largest value, 0 to 1.
    scale : Scale, optional
        For a part of a longer map; by default that of ``values``.

    Returns
    -------
    uint8 [T,H,W,3]

    Examples
    --------
    >>> overlay(np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.float32)).shape
    (2, 8, 8, 3)
    """
    from matplotlib import colormaps

    scale = Scale.of(values) if scale is None else scale
    out = np.empty(frames.shape, np.uint8)
    for frame, own, drawn in zip(frames, values, out, strict=True):
        for start in range(0, len(frame), rows := max(1, BAND // frame.shape[1])):
            band = slice(
                start, start + rows
            )  # colours are double precision: of a whole frame they take 50 bytes a pixel
            v = scale(own[band])
            colours = colormaps[DIVERGING]((v + 1) / 2) if scale.signed else colormaps[SEQUENTIAL](v)
            grey = (frame[band].astype(np.float32) @ LUMA)[..., None]
            alpha = opacity * np.sqrt(np.abs(v))[..., None]
            drawn[band] = np.rint((1 - alpha) * grey + alpha * 255 * colours[..., :3]).clip(0, 255)
    return out


def frame_grid(rows: Sequence[np.ndarray], count: int = 8, *, names: Sequence[str] = ()) -> np.ndarray:
    """Arrange evenly spaced frames of several clips below one another on white.

    Parameters
    ----------
    rows : sequence of uint8 [T,H,W,3]
        Clips of one grid.
    count : int
        Frames of each, at most T.
    names : sequence of str
        Of the rows, written on their left; by default none.

    Returns
    -------
    uint8 [H',W',3]

    Raises
    ------
    DataError
        Where the number of names is not that of the rows.

    Examples
    --------
    >>> frame_grid([np.zeros((4, 8, 8, 3), np.uint8)], count=2).shape
    (8, 19, 3)
    """
    if names and len(names) != len(rows):
        raise DataError(f"expected a name for each of {len(rows)} rows, got {len(names)}; give one a row")
    t, h, w, _ = rows[0].shape
    at = spread(t, count)
    sheet = np.full((len(rows) * (h + GAP) - GAP, len(at) * (w + GAP) - GAP, 3), 255, np.uint8)
    for i, frames in enumerate(rows):
        for j, frame in enumerate(frames[at]):
            sheet[i * (h + GAP) : i * (h + GAP) + h, j * (w + GAP) : j * (w + GAP) + w] = frame
    return np.concatenate([_column(names, h, len(sheet)), sheet], axis=1) if names else sheet


def _column(names: Sequence[str], height: int, total: int) -> np.ndarray:
    """The names of rows as a picture, uint8 [total,W,3], each in the middle of its row."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(10, min(18, height // 6)))
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    width = max(int(pen.textlength(name, font=font)) for name in names) + 4 * GAP
    column = Image.new("RGB", (width, total), "white")
    pen = ImageDraw.Draw(column)
    for i, name in enumerate(names):
        middle = i * (height + GAP) + height / 2
        pen.text((width - 2 * GAP, middle), name, fill="black", font=font, anchor="rm")
    return np.asarray(column)


def spread(frames: int, count: int = 8) -> np.ndarray:
    """Numbers of at most ``count`` evenly spaced frames, int64."""
    return np.unique(np.linspace(0, frames - 1, min(count, frames)).round().astype(int))
