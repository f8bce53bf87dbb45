"""Clips, cuboid regions and models for the tests of methods that hide parts of a clip."""

import numpy as np
import torch
from torch import Tensor, nn

from small_nets import GRID, clips
from voxplain.model import VideoModel
from voxplain.segment import Grid
from voxplain.video import Clip

TWO = Grid(cells=((1, 1, 2),))  # left and right
FOUR = Grid(cells=((1, 2, 2),))
SIX = Grid(cells=((1, 2, 3),))


def make_clips(n: int, seed: int = 0, grid: tuple[int, int, int] = GRID) -> list[Clip]:
    return [
        Clip(frames.numpy(), np.arange(grid[0]) / 25, f"clip{i}", None) for i, frames in enumerate(clips(n, seed, grid))
    ]


class Quadrants(nn.Module):
    """A game of the four quadrants' mean values a, b, c, d: logits (a·b + 2c − d·a·c, a + 2b + 3c + 4d)."""

    def __init__(self) -> None:
        super().__init__()
        self.feature = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        a, b = x[..., :h, :w].mean((1, 2, 3, 4)), x[..., :h, w:].mean((1, 2, 3, 4))
        c, d = x[..., h:, :w].mean((1, 2, 3, 4)), x[..., h:, w:].mean((1, 2, 3, 4))
        return self.feature(torch.stack([a * b + 2 * c - d * a * c, a + 2 * b + 3 * c + 4 * d], 1))


def make_model(net: nn.Module, **fields: object) -> VideoModel:
    return VideoModel(net=net, **{"layer": "feature", "grid": GRID, **fields})  # type: ignore[arg-type]
