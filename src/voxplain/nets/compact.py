"""A compact residual 3D ConvNet that trains from scratch in minutes on one core: 16×112×112 clips, 1.3 M parameters.

Letters: B clips, K classes. Blocks are those of R3D-18 (Tran et al., CVPR 2018), fewer and narrower.
"""

from torch import Tensor, nn

from voxplain.nets.r3d import Block

__all__ = ["Compact", "compact"]


class Compact(nn.Module):
    """The compact network; logits [B,K] of clips [B,3,T,H,W], trained at 16×112×112.

    Layers to explain: ``layer3`` (128×T/4×H/16×W/16, last activation map) and ``avgpool`` (128). The stem has a spatial
    stride of 4, because most of the cost of a 3D network is at full size.

    Parameters
    ----------
    classes : int
        Number of classes K.
    """

    def __init__(self, classes: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 24, (3, 7, 7), stride=(1, 4, 4), padding=(1, 3, 3), bias=False), nn.BatchNorm3d(24), nn.ReLU()
        )
        self.layer1 = Block(24, 48, 2)
        self.layer2 = Block(48, 96, 2)
        self.layer3 = Block(96, 128, 1)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(128, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of normalised clips [B,3,T,H,W]."""
        x = self.layer3(self.layer2(self.layer1(self.stem(clips))))
        logits: Tensor = self.fc(self.dropout(self.flatten(self.avgpool(x))))
        return logits


def compact(classes: int) -> Compact:
    """Build the compact net with random weights for ``classes`` classes; convolutions are Kaiming-normal (fan out)."""
    net = Compact(classes)
    for layer in net.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    nn.init.normal_(net.fc.weight, std=0.01)
    nn.init.zeros_(net.fc.bias)
    return net
