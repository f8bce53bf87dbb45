"""I3D: Inception-v1 inflated to 3D.

Letters: B clips, K classes. Submodules carry the names of the public `rgb_imagenet.pt`, so it loads directly.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Triple = tuple[int, int, int]  # T, H, W

# Widths of the four branches: b0; b1a → b1b; b2a → b2b; b3b (after the pool).
WIDTHS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def pad_same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Pad [B, C, T, H, W] with zeros so that a valid window gives ceil(size / stride) outputs on each axis.

    TensorFlow's "same" rule: the total depends on the input size, and an odd voxel is added at the end. The weights
    were trained that way; torch's symmetric padding shifts the whole map by a voxel at even sizes.
    """
    sides: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        sides += [total // 2, total - total // 2]  # F.pad takes the last axis first
    return F.pad(x, sides) if any(sides) else x


class Unit(nn.Module):
    """Convolution without bias, batch norm (eps 1e-3, momentum 0.01) and ReLU, "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        # At stride 1 "same" is symmetric and the convolution pads by itself, 10 % faster than a padded copy.
        border = kernel // 2 if stride == 1 else 0
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, border, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3, momentum=0.01)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T, H, W] → [B, outputs, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉]."""
        if self.conv3d.stride != (1, 1, 1):
            x = pad_same(x, self.conv3d.kernel_size, self.conv3d.stride)
        out: Tensor = self.relu(self.bn(self.conv3d(x)))
        return out


class SamePool(nn.Module):
    """Max pool with "same" padding of zeros (zeros are neutral: the input comes from a ReLU)."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.pool = nn.MaxPool3d(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] → [B, C, ⌈T/stride⌉, ⌈H/stride⌉, ⌈W/stride⌉]."""
        out: Tensor = self.pool(pad_same(x, self.kernel, self.stride))
        return out


class Mixed(nn.Module):
    """An Inception block: 1×1×1; 1×1×1 → 3×3×3, twice; pool → 1×1×1; joined along the channels."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = Unit(inputs, b0)
        self.b1a, self.b1b = Unit(inputs, b1a), Unit(b1a, b1b, 3)
        self.b2a, self.b2b = Unit(inputs, b2a), Unit(b2a, b2b, 3)
        self.b3a, self.b3b = SamePool((3, 3, 3), (1, 1, 1)), Unit(inputs, b3b)
        self.outputs = b0 + b1b + b2b + b3b

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T, H, W] → [B, outputs, T, H, W]."""
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


def _mixed(names: Sequence[str], inputs: int) -> "OrderedDict[str, nn.Module]":
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for name in names:
        block = Mixed(inputs, WIDTHS[name])
        blocks[name], inputs = block, block.outputs
    return blocks


class I3D(nn.Sequential):
    """The I3D network; logits [B, K] of clips [B, 3, T, H, W] of any size (published at 64×224×224).

    Layers to explain: ``Mixed_5c`` (1024×T/8×H/32×W/32, last activation map) and ``avgpool`` (1024, the paper's
    feature). Every ReLU is its own module and none works in place, so that hooks get the values of their layer.

    The head is an adaptive average pool: the published AvgPool3d(2, 7, 7) raises at 112×112. The two agree at
    16×224×224; on longer clips the published head averages windows of two steps, which gives the ends less weight.

    Parameters
    ----------
    classes : int
        Number of classes K.

    References
    ----------
    Carreira and Zisserman, Quo Vadis, Action Recognition? CVPR 2017.
    """

    def __init__(self, classes: int) -> None:
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        stages["Conv3d_1a_7x7"] = Unit(3, 64, 7, 2)
        stages["MaxPool3d_2a_3x3"] = SamePool((1, 3, 3), (1, 2, 2))
        stages["Conv3d_2b_1x1"] = Unit(64, 64)
        stages["Conv3d_2c_3x3"] = Unit(64, 192, 3)
        stages["MaxPool3d_3a_3x3"] = SamePool((1, 3, 3), (1, 2, 2))
        stages |= _mixed(["Mixed_3b", "Mixed_3c"], 192)
        stages["MaxPool3d_4a_3x3"] = SamePool((3, 3, 3), (2, 2, 2))
        stages |= _mixed(["Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"], 480)
        stages["MaxPool3d_5a_2x2"] = SamePool((2, 2, 2), (2, 2, 2))
        stages |= _mixed(["Mixed_5b", "Mixed_5c"], 832)
        stages["avgpool"] = nn.AdaptiveAvgPool3d(1)
        stages["dropout"] = nn.Dropout(0.5)
        stages["logits"] = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(1024, classes, 1)))
        stages["flatten"] = nn.Flatten()
        super().__init__(stages)


def i3d(classes: int) -> I3D:
    """Build I3D with random weights for ``classes`` classes (12,287,264 + 1,025·classes parameters).

    Convolutions are initialised Kaiming-normal, the last layer with std 0.01, so that the first loss is close to
    log(classes).
    """
    net = I3D(classes)
    for layer in net.modules():
        if isinstance(layer, Unit):
            nn.init.kaiming_normal_(layer.conv3d.weight, nonlinearity="relu")
    head = net.get_submodule("logits.conv3d")
    nn.init.normal_(head.get_parameter("weight"), std=0.01)
    nn.init.zeros_(head.get_parameter("bias"))
    return net
