"""TSM: a 2D residual network whose frames exchange channels with their neighbours in time.

Letters: B clips, K classes, C channels.
"""

import torch
from torch import Tensor, nn

from voxplain.nets.frames_resnet import FramesResNet
from voxplain.nets.r3d import start_residual

__all__ = ["TSM", "TemporalShift", "tsm", "tsm_compact"]


class TemporalShift(nn.Module):
    """Moves an eighth of the channels one frame back and an eighth one frame on, with zeros where the clip ends."""

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,T,H,W] → [B,C,T,H,W]."""
        back, on, rest = x.split([x.shape[1] // 8, x.shape[1] // 8, x.shape[1] - 2 * (x.shape[1] // 8)], dim=1)
        back = nn.functional.pad(back[:, :, 1:], (0, 0, 0, 0, 0, 1))
        on = nn.functional.pad(on[:, :, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat([back, on, rest], dim=1)


class TSM(nn.Module):
    """The temporal shift network; logits [B,K] of clips [B,3,T,H,W] of any size.

    Layers to explain: ``trunk.layer4`` (32·width × T×H/32×W/32, last activation map) and ``avgpool`` (32·width). The
    mean of the features of all frames goes through the head, which gives the mean of the logits of all frames.

    Parameters
    ----------
    classes : int
        Number of classes K.
    width : int
        Channels after the stem.
    blocks : 4 int
        Residual blocks a stage.

    References
    ----------
    Lin, Gan and Han, TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019.
    """

    def __init__(self, classes: int, *, width: int = 64, blocks: tuple[int, int, int, int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.trunk = FramesResNet(width=width, blocks=blocks, before=TemporalShift)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(32 * width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of float clips [B,3,T,H,W]."""
        logits: Tensor = self.fc(self.dropout(self.flatten(self.avgpool(self.trunk(clips)))))
        return logits


def tsm(classes: int) -> TSM:
    """Build TSM on ResNet-50 with random weights for ``classes`` classes (23,508,032 + 2049·classes parameters)."""
    return start_residual(TSM(classes))


def tsm_compact(classes: int) -> TSM:
    """Build TSM with one block a stage and 16 channels after the stem, for ``classes`` classes."""
    return start_residual(TSM(classes, width=16, blocks=(1, 1, 1, 1)))
