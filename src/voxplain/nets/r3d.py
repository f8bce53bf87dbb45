"""R3D-18: an 18-layer residual network with 3×3×3 convolutions.

Letters: B clips, K classes. Submodules carry the names of torchvision's `r3d_18`, so its checkpoint loads.
"""

from typing import TypeVar

from torch import Tensor, nn


class Add(nn.Module):
    """The sum of a residual block as a module, on which relevance methods put hooks."""

    def forward(self, branch: Tensor, shortcut: Tensor) -> Tensor:
        """``branch + shortcut``, same shape."""
        return branch + shortcut


class Block(nn.Module):
    """Two 3×3×3 convolutions with batch norm and a shortcut, which is 1×1×1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU()
        )
        self.conv2 = nn.Sequential(nn.Conv3d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm3d(outputs))
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs)
            )
        self.add = Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T, H, W] → [B, outputs, T/stride, H/stride, W/stride]."""
        out: Tensor = self.relu(self.add(self.conv2(self.conv1(x)), self.downsample(x)))
        return out


class R3D(nn.Module):
    """The R3D-18 network; logits [B, K] of clips [B, 3, T, H, W] of any size (trained at 16×112×112).

    Layers to explain: ``layer4`` (512×T/8×H/16×W/16, last activation map) and ``avgpool`` (512, the paper's
    feature). Every ReLU is its own module and none works in place, so that hooks get the values of their layer.

    Parameters
    ----------
    classes : int
        Number of classes K.

    References
    ----------
    Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False), nn.BatchNorm3d(64), nn.ReLU()
        )
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B, K] of float clips [B, 3, T, H, W]."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clips)))))
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


ResidualNet = TypeVar("ResidualNet", bound=nn.Module)


def start_residual(net: ResidualNet) -> ResidualNet:
    """A residual network as given, with Kaiming-normal convolutions (fan out) and a last layer ``fc`` of std 0.01."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    head = net.get_submodule("fc")
    nn.init.normal_(head.get_parameter("weight"), std=0.01)
    nn.init.zeros_(head.get_parameter("bias"))
    return net


def r3d(classes: int) -> R3D:
    """Build R3D-18 with random weights for ``classes`` classes (33,166,272 + 513·classes parameters).

    Convolutions are initialised Kaiming-normal (fan out, as for ResNets), the last layer with std 0.01.
    """
    return start_residual(R3D(classes))
