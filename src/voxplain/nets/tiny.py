"""A tiny 3D ConvNet for planted videos, tests and the demo: four conv blocks and a linear head, 0.25 M parameters."""

from collections import OrderedDict

from torch import Tensor, nn

__all__ = ["Tiny", "tiny"]


def _block(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv3d(
                inputs, outputs, kernel, stride, (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2), bias=False
            ),
            bn=nn.BatchNorm3d(outputs),
            relu=nn.ReLU(),
        )
    )


class Tiny(nn.Module):
    """The tiny network; logits [B,classes] of clips [B,3,T,H,W] of any T ≥ 8 and H, W ≥ 16.

    Layers to explain: ``block4`` (last activation map) and ``pool`` (96).

    Parameters
    ----------
    classes : int
        Number of classes.
    """

    def __init__(self, classes: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.block1 = _block(3, 16, (3, 5, 5), (1, 2, 2))
        self.block2 = _block(16, 32, (3, 3, 3), (2, 2, 2))
        self.block3 = _block(32, 64, (3, 3, 3), (2, 2, 2))
        self.block4 = _block(64, 96, (3, 3, 3), (1, 1, 1))
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,classes] of normalised clips [B,3,T,H,W]."""
        x = self.block4(self.block3(self.block2(self.block1(clips))))
        logits: Tensor = self.head(self.flatten(self.pool(x)))
        return logits


def tiny(classes: int) -> Tiny:
    """Build the tiny net with random weights for ``classes`` classes."""
    return Tiny(classes)
