"""Maps as colours over the frames they explain. Arrays in, arrays out.

Letters: T frames, H rows, W columns.
"""

import numpy as np
from matplotlib import colormaps

from voxplain.attribution.reduce import display

__all__ = ["GAP", "frame_grid", "overlay", "scaled"]

GAP = 3  # white pixels between frames
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
SEQUENTIAL, DIVERGING = "inferno", "PuOr_r"  # perceptually uniform; both told apart by colour-blind readers


def scaled(values: np.ndarray) -> np.ndarray:
    """A map scaled for the eye, float32 [T,H,W]: 0–1, or −1–1 where it has negative values (0 stays 0).

    The 99.9th percentile becomes 1, so that a few voxels do not hide the rest.
    """
    if values.min() >= 0:
        return display(values)
    peak = float(np.percentile(np.abs(values), 99.9)) or float(np.abs(values).max())
    return np.clip(values / peak, -1, 1).astype(np.float32) if peak > 0 else np.zeros_like(values, np.float32)


def overlay(frames: np.ndarray, values: np.ndarray, *, opacity: float = 0.75) -> np.ndarray:
    """Grey frames with the map in colour over them, uint8 [T,H,W,3]; where the map is near 0 the frame shows.

    ``frames`` uint8 [T,H,W,3], ``values`` float32 [T,H,W]. Maps without negative values go from dark to bright;
    others speak for the target in orange and against it in purple.
    """
    v = scaled(values)
    signed = values.min() < 0
    colours = colormaps[DIVERGING]((v + 1) / 2) if signed else colormaps[SEQUENTIAL](v)
    grey = (frames.astype(np.float32) @ LUMA)[..., None]
    alpha = opacity * np.sqrt(np.abs(v))[..., None]
    return np.rint((1 - alpha) * grey + alpha * 255 * colours[..., :3]).clip(0, 255).astype(np.uint8)


def frame_grid(rows: list[np.ndarray], count: int = 8) -> np.ndarray:
    """Evenly spaced frames of several clips of one grid under one another, uint8 [H',W',3] on white."""
    t, h, w, _ = rows[0].shape
    at = np.unique(np.linspace(0, t - 1, min(count, t)).round().astype(int))
    sheet = np.full((len(rows) * (h + GAP) - GAP, len(at) * (w + GAP) - GAP, 3), 255, np.uint8)
    for i, frames in enumerate(rows):
        for j, frame in enumerate(frames[at]):
            sheet[i * (h + GAP) : i * (h + GAP) + h, j * (w + GAP) : j * (w + GAP) + w] = frame
    return sheet
