"""A residual 2D network for each frame of a clip: the trunk of `resnet_lstm` and `tsm`.

Letters: B clips, C channels. It works on clips [B,C,T,H,W] with kernels 1×k×k, so that the maps of a clip stay
together; submodules carry the names of torchvision's `resnet50`, whose kernels are these without the first axis.
"""

from collections.abc import Callable

from torch import Tensor, nn

from voxplain.nets.r3d import Add

__all__ = ["FramesResNet"]


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv3d:
    border = size // 2
    return nn.Conv3d(
        inputs, outputs, (1, size, size), stride=(1, stride, stride), padding=(0, border, border), bias=False
    )


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions of each frame with a shortcut; ``before`` is applied to the branch's input."""

    def __init__(self, inputs: int, width: int, stride: int, before: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.conv1, self.bn1, self.relu1 = _conv(inputs, width, 1), nn.BatchNorm3d(width), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = _conv(width, width, 3, stride), nn.BatchNorm3d(width), nn.ReLU()
        self.conv3, self.bn3 = _conv(width, 4 * width, 1), nn.BatchNorm3d(4 * width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(_conv(inputs, 4 * width, 1, stride), nn.BatchNorm3d(4 * width))
        self.add, self.relu = Add(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B,inputs,T,H,W] → [B,4·width,T,H/stride,W/stride]."""
        branch = self.relu1(self.bn1(self.conv1(self.before(x))))
        branch = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(branch)))))
        out: Tensor = self.relu(self.add(branch, self.downsample(x)))
        return out


class FramesResNet(nn.Module):
    """A ResNet of bottlenecks without pool and head; maps [B,32·width,T,H/32,W/32] of clips [B,3,T,H,W].

    Parameters
    ----------
    width : int
        Channels after the stem: 64 in ResNet-50.
    blocks : 4 int
        Residual blocks a stage: 3, 4, 6, 3 in ResNet-50, which has 23,508,032 parameters without its head.
    before : callable
        Makes the module in front of each residual branch; by default one that changes nothing.

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        blocks: tuple[int, int, int, int] = (3, 4, 6, 3),
        before: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = _conv(3, width, 7, 2), nn.BatchNorm3d(width), nn.ReLU()
        self.maxpool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        inputs = width
        for i, count in enumerate(blocks):
            stage = nn.Sequential()
            for j in range(count):
                stage.append(Bottleneck(inputs, width * 2**i, 2 if i > 0 and j == 0 else 1, before()))
                inputs = 4 * width * 2**i
            self.add_module(f"layer{i + 1}", stage)

    def forward(self, clips: Tensor) -> Tensor:
        """Maps of float clips [B,3,T,H,W]."""
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(clips))))
        for i in range(1, 5):
            x = self.get_submodule(f"layer{i}")(x)
        return x
