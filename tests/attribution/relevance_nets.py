"""Small networks with the operations that relevance must find its way through, and clips for them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.model import VideoModel
from voxplain.video import Clip

GRID = (4, 8, 8)


def clips_of(n: int, grid: tuple[int, int, int] = GRID, seed: int = 0) -> list[Clip]:
    rng = np.random.default_rng(seed)
    return [
        Clip(rng.integers(0, 256, (*grid, 3), dtype=np.uint8), np.arange(grid[0]) / 25.0, f"noise {i}")
        for i in range(n)
    ]


def model_of(net: nn.Module, layer: str, grid: tuple[int, int, int] = GRID, **options: object) -> VideoModel:
    return VideoModel(net=net, layer=layer, grid=grid, **options)  # type: ignore[arg-type]


def set_running_statistics(net: nn.Module, shift: bool = False) -> nn.Module:
    """Batch norms that have seen data; without ``shift`` their outputs are their inputs, scaled."""
    g = torch.Generator().manual_seed(7)
    for m in net.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.running_var.copy_(torch.rand(m.num_features, generator=g) + 0.5)
            m.weight.data.copy_(torch.rand(m.num_features, generator=g) + 0.5)
            if shift:
                m.running_mean.copy_(torch.randn(m.num_features, generator=g) * 0.3)
                m.bias.data.copy_(torch.randn(m.num_features, generator=g) * 0.3)
    return net


class Mixed(nn.Module):
    """Residual sums, a concatenation, all pools, batch norm, dropout, views; modules used twice, functional calls."""

    def __init__(self, bias: bool = False, inplace: bool = False, classes: int = 4) -> None:
        super().__init__()
        self.inplace = inplace
        self.conv1 = nn.Conv3d(3, 6, 3, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm3d(6)
        self.conv2 = nn.Conv3d(6, 6, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm3d(6)
        self.side = nn.Conv3d(6, 4, 1, bias=bias)
        self.relu = nn.ReLU(inplace=inplace)
        self.avg = nn.AvgPool3d((1, 2, 2))
        self.drop = nn.Dropout(0.5)
        self.fc1 = nn.Linear(10, 8, bias=bias)
        self.fc2 = nn.Linear(8, classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        if self.inplace:
            out += x
        else:
            out = out + x
        x = F.max_pool3d(self.relu(out), (1, 2, 2))
        x = torch.cat([self.avg(x), F.relu(self.side(F.max_pool3d(x, (1, 2, 2))), inplace=self.inplace)], dim=1)
        x = x.view(len(x), 10, -1).mean(2)
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


class Plain(nn.Module):
    """conv → ReLU → average → linear, all with bias: small enough to write as matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv3d(3, 4, (2, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)), nn.ReLU()
        self.pool, self.flatten = nn.AvgPool3d((1, 2, 2)), nn.Flatten()
        self.hidden, self.act, self.head = nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.hidden(self.flatten(self.pool(self.relu(self.conv(x)))))))


class FramesRNN(nn.Module):
    """A 2D network for each frame of [B,T,3,H,W], a recurrent layer over the frames, a linear head on the last."""

    def __init__(self, kind: str = "lstm", bias: bool = False, both: bool = False, layers: int = 1) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 6, 3, 2, 1, bias=bias), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        build = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": nn.RNN}[kind]
        more = {"nonlinearity": kind} if build is nn.RNN else {}
        self.rnn = build(24, 7, layers, bias=bias, batch_first=True, bidirectional=both, **more)
        self.head = nn.Linear(14 if both else 7, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        b, t = x.shape[:2]
        frames = self.pool(self.relu(self.conv(x.reshape(b * t, *x.shape[2:]))))
        h = self.rnn(frames.reshape(b, t, -1))[0]
        return self.head(h[:, -1])


class Cells(nn.Module):
    """As FramesRNN with an LSTM cell that the network calls once a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.cell = nn.Linear(3 * 64, 6, bias=False), nn.LSTMCell(6, 5, bias=False)
        self.head = nn.Linear(5, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 5)
        for frame in x.unbind(1):
            h, c = self.cell(torch.relu(self.fc(frame.flatten(1))), (h, c))
        return self.head(h)


class Gated(nn.Module):
    """A squeeze-and-excitation gate, x · sigmoid(w x̄), scaled and shifted colours, and a map of logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv3d(3, 5, 3, padding=1, bias=False), nn.Conv3d(5, 5, 1, bias=False)
        self.head = nn.Conv3d(5, 3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(2 * x / 3))
        x = x * torch.sigmoid(self.gate(F.adaptive_avg_pool3d(x, 1)))
        return self.head(x - (-x) * 0.5)


class Shifts(nn.Module):
    """A 2D network that shifts some channels in time by writing into a buffer, as TSM does; logits averaged over T."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(n, 8, 3, padding=1, bias=False) for n in (3, 8))
        self.head = nn.Linear(8, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t = x.shape[:2]
        x = F.relu(self.conv1(x.flatten(0, 1))).view(b, t, 8, *x.shape[3:])
        out = torch.zeros_like(x)
        out[:, :-1, :2], out[:, 1:, 2:4], out[:, :, 4:] = x[:, 1:, :2], x[:, :-1, 2:4], x[:, :, 4:]
        x = F.relu(self.conv2(out.flatten(0, 1))).mean((2, 3))
        return self.head(x).view(b, t, -1).mean(1)


class Does(nn.Module):
    """conv → ``change`` → average → linear."""

    def __init__(self, change: object, width: int = 4) -> None:
        super().__init__()
        self.conv, self.change, self.head = nn.Conv3d(3, 4, 3, padding=1), change, nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.change(self.conv(x)).mean((2, 3, 4)))  # type: ignore[operator]
