"""The networks of the study of methods: one of each structure, small enough to train on planted clips in minutes.

Letters: B clips, K classes. Their last maps have cells of 8 to 16 pixels, as large a part of a frame as in the
networks that they stand for.
"""

from collections import OrderedDict

from torch import Tensor, nn

from voxplain.nets.convlstm import ConvLSTM, convlstm
from voxplain.nets.i3d import Mixed, SamePool, Unit
from voxplain.nets.r2plus1d import R2Plus1D
from voxplain.nets.r3d import Add, Block, start_residual
from voxplain.nets.tiny import tiny
from voxplain.nets.tsm import TemporalShift
from voxplain.nets.vit import TokenMean, TransformerBlock, positions

__all__ = ["STUDY_NETS"]


class PlainNet(nn.Module):
    """C3D made small: 3×3×3 convolutions and max pools without batch norm, and two dense layers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths, self.blocks = (3, 16, 32, 48, 64), nn.Sequential()
        pools = ((1, 2, 2), (2, 2, 2), (1, 2, 2), None)
        for i, pool in enumerate(pools):
            side, strides = (5, (1, 2, 2)) if i == 0 else (3, (1, 1, 1))
            border = (1, side // 2, side // 2)
            self.blocks.append(nn.Conv3d(widths[i], widths[i + 1], (3, side, side), strides, border))
            self.blocks.append(nn.ReLU())
            if pool is not None and i > 0:
                self.blocks.append(nn.MaxPool3d(pool))
        self.cells = nn.AdaptiveAvgPool3d((2, 3, 3))
        self.flatten = nn.Flatten()
        self.fc6, self.relu6 = nn.Linear(64 * 18, 128), nn.ReLU()
        self.fc7 = nn.Linear(128, classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv3d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))
        nn.init.normal_(self.fc7.weight, std=0.01)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,3,T,H,W]."""
        logits: Tensor = self.fc7(self.relu6(self.fc6(self.flatten(self.cells(self.blocks(clips))))))
        return logits


class ResidualSmall(nn.Module):
    """R3D made small: a block a stage, the last stage without a stride in time."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 16, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(16), nn.ReLU()
        )
        self.layer1, self.layer2, self.layer3 = Block(16, 24, 2), Block(24, 48, 2), Block(48, 96, 1)
        self.avgpool, self.flatten, self.fc = nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,3,T,H,W]."""
        x = self.layer3(self.layer2(self.layer1(self.stem(clips))))
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


def inflated_small(classes: int) -> nn.Sequential:
    """I3D made small: its stem and three Inception blocks of a sixth of the channels."""
    first, second, third = (
        Mixed(24, (16, 16, 32, 4, 8, 8)),
        Mixed(64, (24, 24, 48, 8, 16, 16)),
        Mixed(104, (48, 24, 56, 8, 16, 16)),
    )
    net = nn.Sequential(
        OrderedDict(
            Conv3d_1a_7x7=Unit(3, 12, 7, 2),
            MaxPool3d_2a_3x3=SamePool((1, 3, 3), (1, 2, 2)),
            Conv3d_2c_3x3=Unit(12, 24, 3),
            Mixed_3b=first,
            Mixed_3c=second,
            MaxPool3d_4a_3x3=SamePool((3, 3, 3), (2, 2, 2)),
            Mixed_4b=third,
            avgpool=nn.AdaptiveAvgPool3d(1),
            flatten=nn.Flatten(),
            logits=nn.Linear(third.outputs, classes),
        )
    )
    for layer in net.modules():
        if isinstance(layer, Unit):
            nn.init.kaiming_normal_(layer.conv3d.weight, nonlinearity="relu")
    return net


class FramesLSTM(nn.Module):
    """A 2D ConvNet for each frame and an LSTM over the means of its maps in 4×4 cells, which tell it places."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths, self.trunk = (3, 16, 32, 64, 64), nn.Sequential()
        for i, (kernel, stride) in enumerate(((5, 2), (3, 2), (3, 2), (3, 1))):
            border, step = (0, kernel // 2, kernel // 2), (1, stride, stride)
            self.trunk.append(nn.Conv3d(widths[i], widths[i + 1], (1, kernel, kernel), step, border, bias=False))
            self.trunk.append(nn.BatchNorm3d(widths[i + 1]))
            self.trunk.append(nn.ReLU())
        self.cells = nn.AdaptiveAvgPool3d((None, 4, 4))
        self.fc6, self.relu6 = nn.Linear(64 * 16, 128), nn.ReLU()
        self.lstm = nn.LSTM(128, 96, batch_first=True)
        self.average = TokenMean()
        self.fc = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,3,T,H,W]."""
        frames = self.cells(self.trunk(clips)).transpose(1, 2).flatten(2)
        logits: Tensor = self.fc(self.average(self.lstm(self.relu6(self.fc6(frames)))[0]))
        return logits


class ShiftBlock(nn.Module):
    """Two 3×3 convolutions of each frame whose input is shifted in time, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shift = TemporalShift()
        self.conv1 = nn.Conv3d(inputs, outputs, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.bn1, self.relu1 = nn.BatchNorm3d(outputs), nn.ReLU()
        self.conv2 = nn.Conv3d(outputs, outputs, (1, 3, 3), 1, (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.downsample = nn.Sequential(
            nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(outputs)
        )
        self.add, self.relu = Add(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B,inputs,T,H,W] → [B,outputs,T,H/stride,W/stride]."""
        branch = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(self.shift(x))))))
        out: Tensor = self.relu(self.add(branch, self.downsample(x)))
        return out


class ShiftNet(nn.Module):
    """TSM made small: blocks of two convolutions on a stem of stride 2."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 16, (1, 5, 5), (1, 2, 2), (0, 2, 2), bias=False), nn.BatchNorm3d(16), nn.ReLU()
        )
        self.layer1, self.layer2, self.layer3 = ShiftBlock(16, 32, 2), ShiftBlock(32, 64, 2), ShiftBlock(64, 64, 1)
        self.avgpool, self.flatten, self.fc = nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,3,T,H,W]."""
        x = self.layer3(self.layer2(self.layer1(self.stem(clips))))
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


class HybridTransformer(nn.Module):
    """A video transformer on the first three blocks of `tiny`, because patches alone take hours to learn shapes."""

    def __init__(self, classes: int, *, width: int = 96, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        stem = tiny(classes)
        self.block1, self.block2, self.block3 = stem.block1, stem.block2, stem.block3
        self.embed = nn.Conv3d(64, width, 1)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, False) for _ in range(depth))
        self.norm, self.pool = nn.LayerNorm(width), TokenMean()
        self.fc = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of clips [B,3,T,H,W]."""
        maps = self.embed(self.block3(self.block2(self.block1(clips))))
        grid = (maps.shape[2], maps.shape[3], maps.shape[4])
        tokens = maps.flatten(2).transpose(1, 2) + positions(grid, maps.shape[1]).to(maps)
        for block in self.blocks:
            tokens = block(tokens, grid[0])
        logits: Tensor = self.fc(self.pool(self.norm(tokens)))
        return logits


def split_small(classes: int) -> R2Plus1D:
    """R(2+1)D made small: a block a stage and 12 channels in the first."""
    return start_residual(R2Plus1D(classes, width=12, blocks=1))


def recurrent_maps(classes: int) -> ConvLSTM:
    """The ConvLSTM with half of its channels."""
    return convlstm(classes, width=16)


def residual_small(classes: int) -> ResidualSmall:
    """`ResidualSmall` with the start of residual networks."""
    return start_residual(ResidualSmall(classes))


# Structure → how it is built from a number of classes.
STUDY_NETS = {
    "c3d": PlainNet,
    "r3d": residual_small,
    "r2plus1d": split_small,
    "i3d": inflated_small,
    "cnn_lstm": FramesLSTM,
    "tsm": ShiftNet,
    "convlstm": recurrent_maps,
    "transformer": HybridTransformer,
}
