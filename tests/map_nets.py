"""Networks whose maps have known answers, and a clip, for the tests of gradients and class activation mapping."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from small_nets import GRID, clips
from voxplain.model import VideoModel
from voxplain.video import Clip


def model(net: nn.Module, **options) -> VideoModel:
    """The network in evaluation mode on the small grid; its layer plays no part in attribution."""
    layer = next(name for name, _ in net.named_modules() if name)
    return VideoModel(net=net.eval(), **{"layer": layer, "grid": GRID, **options})


def clip(seed: int = 0, grid: tuple[int, int, int] = GRID) -> Clip:
    return Clip.from_array(clips(1, seed, grid)[0].numpy())


def inputs(m: VideoModel, *some: Clip) -> Tensor:
    """What the network sees, [N,3,T,H,W]."""
    x = m.prepare(torch.stack([torch.from_numpy(c.frames) for c in some]))
    return x.transpose(1, 2) if m.layout == "BTCHW" else x


class GapNet(nn.Module):
    """Convolution, ReLU, global average, linear head: class activation maps are exact, on the input's own grid."""

    def __init__(self, classes: int = 5, functional: bool = False, conv_head: bool = False, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 6, 3, padding=1, stride=stride)
        self.act: nn.Module | None = None if functional else nn.ReLU()
        self.head: nn.Module = nn.Conv3d(6, classes, 1) if conv_head else nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = F.relu(x) if self.act is None else self.act(x)
        if isinstance(self.head, nn.Conv3d):
            return self.head(x).mean((2, 3, 4))
        return self.head(x.mean((2, 3, 4)))


class FlatNet(nn.Module):
    """A strided convolution and a head that weighs every position by itself: gradients differ over the map."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv3d(3, 6, 3, stride=2, padding=1), nn.ReLU()
        self.flatten, self.hidden, self.bend = nn.Flatten(), nn.Linear(6 * 2 * 4 * 4, 9), nn.Tanh()
        self.head = nn.Linear(9, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bend(self.hidden(self.flatten(self.act(self.conv(x))))))


class FrameNet(nn.Module):
    """A 2D network on frames [B,T,C,H,W], averaged over time; ``way``: how the frames pass through it."""

    def __init__(self, way: str = "folded", classes: int = 5) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU()
        self.unfold = nn.Unflatten(0, (-1, GRID[0]))
        self.frames = nn.Sequential(self.conv, self.act, self.unfold)  # shares the modules: [B,T,6,h,w]
        self.head, self.way = nn.Linear(6, classes), way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "loop":
            maps = torch.stack([self.act(self.conv(frame)) for frame in x.unbind(1)], 1)
        elif self.way == "unfolded":
            maps = self.frames(x.flatten(0, 1))
        else:
            maps = self.act(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])
        return self.head(maps.mean((3, 4))).mean(1)

    def as_3d(self) -> GapNet:
        """The same function of [B,C,T,H,W] with 1×3×3 kernels."""
        net = GapNet(self.head.out_features)
        net.conv = nn.Conv3d(3, 6, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        with torch.no_grad():
            net.conv.weight.copy_(self.conv.weight[:, :, None])
            net.conv.bias.copy_(self.conv.bias)
        net.head = self.head
        return net


class LastNet(nn.Module):
    """A block that works with channels last and gives [B,T,H,W,C]."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 7), nn.ReLU())
        self.head = nn.Linear(7, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x.movedim(1, 4)).mean((1, 2, 3)))
