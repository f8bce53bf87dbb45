"""R(2+1)D: a residual network whose 3D convolutions are split into one over space and one over time.

Letters: B clips, K classes. Submodules carry the names of torchvision's `r2plus1d_18`, so its checkpoint loads.
"""

from torch import Tensor, nn

from voxplain.nets.r3d import Add, start_residual

__all__ = ["R2Plus1D", "r2plus1d", "r2plus1d_compact"]


def _split(inputs: int, outputs: int, middle: int, stride: int) -> nn.Sequential:
    """1×3×3, batch norm, ReLU, 3×1×1: ``middle`` channels give it as many weights as a 3×3×3 convolution has."""
    return nn.Sequential(
        nn.Conv3d(inputs, middle, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(),
        nn.Conv3d(middle, outputs, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


class SplitBlock(nn.Module):
    """Two split convolutions with batch norm and a shortcut, which is 1×1×1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = inputs * outputs * 27 // (inputs * 9 + 3 * outputs)  # the same for both, as in torchvision
        self.conv1 = nn.Sequential(_split(inputs, outputs, middle, stride), nn.BatchNorm3d(outputs), nn.ReLU())
        self.conv2 = nn.Sequential(_split(outputs, outputs, middle, 1), nn.BatchNorm3d(outputs))
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs)
            )
        self.add = Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B,inputs,T,H,W] → [B,outputs,T/stride,H/stride,W/stride]."""
        out: Tensor = self.relu(self.add(self.conv2(self.conv1(x)), self.downsample(x)))
        return out


class R2Plus1D(nn.Module):
    """The R(2+1)D network; logits [B,K] of clips [B,3,T,H,W] of any size (trained at 16×112×112).

    Layers to explain: ``layer4`` (8·width × T/8×H/16×W/16, last activation map) and ``avgpool`` (8·width).

    Parameters
    ----------
    classes : int
        Number of classes K.
    width : int
        Channels of the first stage; the later ones have 2, 4 and 8 times as many.
    blocks : int
        Residual blocks a stage.

    References
    ----------
    Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018.
    """

    def __init__(self, classes: int, *, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        middle = width * 45 // 64
        self.stem = nn.Sequential(
            nn.Conv3d(3, middle, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(),
            nn.Conv3d(middle, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        for i in range(1, 5):
            first = SplitBlock(widths[i - 1], widths[i], 1 if i == 1 else 2)
            stage = nn.Sequential(first, *(SplitBlock(widths[i], widths[i], 1) for _ in range(blocks - 1)))
            self.add_module(f"layer{i}", stage)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of float clips [B,3,T,H,W]."""
        x = self.stem(clips)
        for i in range(1, 5):
            x = self.get_submodule(f"layer{i}")(x)
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


def r2plus1d(classes: int) -> R2Plus1D:
    """Build R(2+1)D-18 with random weights for ``classes`` classes (31,300,125 + 513·classes parameters)."""
    return start_residual(R2Plus1D(classes))


def r2plus1d_compact(classes: int) -> R2Plus1D:
    """Build R(2+1)D with one block a stage and 16 channels in the first, for ``classes`` classes."""
    return start_residual(R2Plus1D(classes, width=16, blocks=1))
