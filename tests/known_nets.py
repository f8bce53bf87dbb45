"""A network on mean colour, whose every answer can be worked out by hand, and clips for it."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from voxplain.model import VideoModel
from voxplain.segment import Supervoxels
from voxplain.video import Clip

GRID = (4, 8, 8)
MEAN, STD = (0.2, 0.4, 0.6), (0.25, 0.5, 0.125)  # the means are whole grey levels: 51, 102, 153
CLASSES = 4
WEIGHTS = np.random.default_rng(5).normal(size=(CLASSES, 3))
BIAS = np.array([0.3, -0.2, 0.1, 0.0])


def colour_model(weights: np.ndarray = WEIGHTS, *, grid: tuple[int, int, int] = GRID, **options) -> VideoModel:
    """Mean over all voxels of the normalised clip (layer ``colour``, 3 features), then one linear map."""
    head = nn.Linear(3, len(weights))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(np.resize(BIAS, len(weights))))
    net = nn.Sequential(OrderedDict(mean=nn.AdaptiveAvgPool3d(1), colour=nn.Flatten(), head=head))
    return VideoModel(**{"net": net.eval(), "layer": "colour", "mean": MEAN, "std": STD, "grid": grid, **options})


def conv_model(grid: tuple[int, int, int] = GRID, **options) -> VideoModel:
    """A small random 3D ConvNet with a head that is not linear."""
    torch.manual_seed(0)
    layers = [nn.Conv3d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, CLASSES))
    return VideoModel(**{"net": net.eval(), "layer": "3", "grid": grid, **options})


def feature(frames: np.ndarray) -> np.ndarray:
    """The colour network's feature of shown frames [T,H,W,3], float64 [3]."""
    return ((frames.astype(np.float64) / 255 - MEAN) / STD).mean((0, 1, 2))


def logits(frames: np.ndarray) -> np.ndarray:
    """The colour network's logits of shown frames, float64 [C]."""
    return WEIGHTS @ feature(frames) + BIAS


def noise(seed: int = 0, frames: int = GRID[0], size: int = GRID[1]) -> Clip:
    """Coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    return Clip.from_array(pixels, source=f"noise{seed}.mp4")


def plain(colour: tuple[int, int, int], frames: int = GRID[0], size: int = GRID[1]) -> Clip:
    """One colour everywhere."""
    return Clip.from_array(np.full((frames, size, size, 3), colour, np.uint8), source="plain.mp4")


def quarters() -> np.ndarray:
    """Labels 0 to 3 of the four quarters of the picture, [T,H,W]."""
    _, y, x = np.indices(GRID)
    return 2 * (y >= GRID[1] // 2) + (x >= GRID[2] // 2)


def two_levels() -> Supervoxels:
    """Halves in time (ids 0, 1), then the quarters of the picture with the last one dropped (ids 2, 3, 4)."""
    fine = quarters()
    return Supervoxels.from_levels([np.indices(GRID)[0] // 2, np.where(fine == 3, -1, fine)])
