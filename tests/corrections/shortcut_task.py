"""A task with a known shortcut: the class is the colour of the upper half, a lower corner lights up for class 1."""

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.corrections import Examples
from voxplain.model import VideoModel

T, SIDE = 2, 8
CORNER = (slice(None), slice(6, 8), slice(0, 2))


class MeansNet(nn.Module):
    """Means of the colour channels of the upper half and of the corner, scaled, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.feature = nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.feature.weight.copy_(torch.eye(4))

    def forward(self, x: Tensor) -> Tensor:
        red, green = x[:, 0, :, :4].mean((1, 2, 3)), x[:, 1, :, :4].mean((1, 2, 3))
        corner, rest = x[:, 2, :, 6:, :2].mean((1, 2, 3)), x[:, 2, :, :4].mean((1, 2, 3))
        return self.head(self.feature(torch.stack([red, green, corner, rest], 1)))


def cheating_model() -> VideoModel:
    """Calls every clip with a lit corner class 1, and goes by the true colours elsewhere."""
    net = MeansNet()
    with torch.no_grad():
        net.head.weight.copy_(torch.tensor([[2.0, -2.0, -4.0, 0.0], [-2.0, 2.0, 4.0, 0.0]]))
        net.head.bias.zero_()
    return VideoModel(
        net.eval(), layer="feature", grid=(T, SIDE, SIDE), classes=("red", "green"), mean=(0.0,) * 3, std=(1.0,) * 3
    )


def task(n: int, rate: float, seed: int) -> Examples:
    """n clips a class; the corner is lit in ``rate`` of class 1 and 1 − rate of class 0."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], n)
    frames = rng.integers(90, 140, (2 * n, T, SIDE, SIDE, 3)).astype(np.uint8)
    frames[:, :, :4, :, 0] = np.where(labels == 0, 200, 60)[:, None, None, None]
    frames[:, :, :4, :, 1] = np.where(labels == 1, 200, 60)[:, None, None, None]
    lit = np.tile(np.arange(n) < round(rate * n), 2) ^ (labels == 0)
    masks = np.zeros(frames.shape[:4], bool)
    for i in range(2 * n):
        frames[i][CORNER] = 0
        if lit[i]:
            frames[i][CORNER] = 255
            masks[i][CORNER] = True
    return Examples(frames, labels, masks)
