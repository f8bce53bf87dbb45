"""Networks in closed form that answer the planted questions from colour and motion, for tests of targets."""

import torch
from torch import Tensor, nn

from voxplain.datasets.planted import LABELS
from voxplain.model import VideoModel

GRID = (8, 32, 32)
NAMES = tuple(LABELS)


class Answers(nn.Module):
    """Voxels of one colour each [N,3,T,H,W], their mean, and a linear head, which does not read the plain colours.

    ``moving``: only voxels that have the colour and did not have it in the frame before.
    """

    def __init__(self, outputs: int, *, moving: bool = False) -> None:
        super().__init__()
        self.moving = moving
        self.colours = nn.Conv3d(3, 6, 1)
        self.act = nn.ReLU()
        self.pool = nn.AvgPool3d((1, 2, 2))
        self.mean = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(6, outputs)
        with torch.no_grad():
            weight = torch.full((3, 3), -0.5)
            weight[0, 0] = weight[1, 2] = weight[2, 1] = 1.0  # red, blue, green against the mean of the other two
            self.colours.weight[:3] = weight[:, :, None, None, None] * 0.25  # of input that is normalised by 0.25
            self.colours.weight[3:] = 0.25 * torch.eye(3)[:, :, None, None, None]
            self.colours.bias[:3], self.colours.bias[3:] = -0.35, 0.6
            self.head.weight[:], self.head.bias[:] = 0.0, 0.0

    def forward(self, x: Tensor) -> Tensor:
        seen = self.act(self.colours(x))
        if self.moving:
            seen = torch.cat([seen[:, :, :1] * 0, self.act(seen[:, :, 1:] - seen[:, :, :-1])], 2)
        return self.head(self.mean(self.pool(seen)).flatten(1))


def count_model(task: str = "regression") -> VideoModel:
    """The number of disks: the red voxels by those of one disk."""
    net = Answers(1)
    with torch.no_grad():
        net.head.weight[0, 0] = 32 * 32 / (24.2 * 0.395)
    return VideoModel(net.eval(), layer="pool", grid=GRID, task=task, classes=("disks",), units="disks")


def speed_model() -> VideoModel:
    """The speed of the disk: newly red voxels a frame by the disk's height."""
    net = Answers(1, moving=True)
    with torch.no_grad():
        net.head.weight[0, 0] = 8 / 7 * 32 * 32 / (6.0 * 0.395)
    return VideoModel(net.eval(), layer="pool", grid=GRID, task="regression", units="px/frame")


def label_model() -> VideoModel:
    """A logit for each of the labels, about 4 where it is shown and −4 where not; "square" is blue, the second."""
    net = Answers(3)
    with torch.no_grad():
        for y, area in enumerate((28.1 * 0.395, 27.9 * 0.343, 16.1 * 0.275)):
            net.head.weight[y, y], net.head.bias[y] = 8 * 32 * 32 / area, -4.0
    return VideoModel(net.eval(), layer="pool", grid=GRID, task="multilabel", classes=NAMES)
