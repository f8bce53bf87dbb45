"""Attribution maps as colours over the frames they explain. Arrays in, arrays out.

Letters: T frames, H rows, W columns.
"""

from collections.abc import Sequence

import numpy as np

from voxplain.attribution.reduce import display
from voxplain.errors import DataError

__all__ = ["DIVERGING", "GAP", "SEQUENTIAL", "frame_grid", "overlay", "scaled"]

GAP = 3  # white pixels between frames
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
    if values.min() >= 0:
        return display(values)
    peak = float(np.percentile(np.abs(values), 99.9)) or float(np.abs(values).max())
    return np.clip(values / peak, -1, 1).astype(np.float32) if peak > 0 else np.zeros_like(values, np.float32)


def overlay(frames: np.ndarray, values: np.ndarray, *, opacity: float = 0.75) -> np.ndarray:
    """Draw a map in colour over grey frames; where the map is near 0 the frame is visible.

    Parameters
    ----------
    frames : uint8 [T,H,W,3]
    values : float32 [T,H,W]
        Without negative values the colours go from dark to bright; otherwise positive values are orange and
        negative values purple.
    opacity : float
        Of the largest value, 0 to 1.

    Returns
    -------
    uint8 [T,H,W,3]

    Examples
    --------
    >>> overlay(np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.float32)).shape
    (2, 8, 8, 3)
    """
    from matplotlib import colormaps

    v = scaled(values)
    signed = values.min() < 0
    colours = colormaps[DIVERGING]((v + 1) / 2) if signed else colormaps[SEQUENTIAL](v)
    grey = (frames.astype(np.float32) @ LUMA)[..., None]
    alpha = opacity * np.sqrt(np.abs(v))[..., None]
    return np.rint((1 - alpha) * grey + alpha * 255 * colours[..., :3]).clip(0, 255).astype(np.uint8)


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
    at = np.unique(np.linspace(0, t - 1, min(count, t)).round().astype(int))
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
