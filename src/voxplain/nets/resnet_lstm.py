"""ResNet-LSTM: a 2D residual network for each frame and an LSTM over the frames.

Letters: B clips, K classes.
"""

from torch import Tensor, nn

from voxplain.nets.frames_resnet import FramesResNet
from voxplain.nets.r3d import start_residual

__all__ = ["ResNetLSTM", "resnet_lstm", "resnet_lstm_compact"]


class FrameMean(nn.Module):
    """The mean of the states of all frames."""

    def forward(self, states: Tensor) -> Tensor:
        """[B,T,D] → [B,D]."""
        return states.mean(1)


class ResNetLSTM(nn.Module):
    """The recurrent network of the video attribution study; logits [B,K] of clips [B,3,T,H,W] of any size.

    Layers to explain: ``trunk.layer4`` (32·width × T×H/32×W/32, last activation map) and ``average`` (4·width). The
    mean of the states of all frames goes through the head, which gives the mean of the logits of all frames. The
    LSTM is torch's, with tanh, where the study's own cell has ReLU.

    Parameters
    ----------
    classes : int
        Number of classes K.
    width : int
        Channels after the stem; the dense layers have 16 and 8 times, the LSTM 4 times as many units.
    blocks : 4 int
        Residual blocks a stage.

    References
    ----------
    Li et al. 2020, Towards visually explaining video understanding networks with perturbation, arXiv 2005.00375
    """

    def __init__(self, classes: int, *, width: int = 64, blocks: tuple[int, int, int, int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.trunk = FramesResNet(width=width, blocks=blocks)
        self.avgpool = nn.AdaptiveAvgPool3d((None, 1, 1))
        self.fc6, self.relu6 = nn.Linear(32 * width, 16 * width), nn.ReLU()
        self.fc7, self.relu7 = nn.Linear(16 * width, 8 * width), nn.ReLU()
        self.lstm = nn.LSTM(8 * width, 4 * width, batch_first=True)
        self.average = FrameMean()
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of float clips [B,3,T,H,W]."""
        frames = self.avgpool(self.trunk(clips)).flatten(2).transpose(1, 2)
        states, _ = self.lstm(self.relu7(self.fc7(self.relu6(self.fc6(frames)))))
        logits: Tensor = self.fc(self.average(states))
        return logits


def resnet_lstm(classes: int) -> ResNetLSTM:
    """Build it on ResNet-50 with random weights for ``classes`` classes (26,919,488 + 257·classes parameters)."""
    return start_residual(ResNetLSTM(classes))


def resnet_lstm_compact(classes: int) -> ResNetLSTM:
    """Build it with one block a stage and 16 channels after the stem, for ``classes`` classes."""
    return start_residual(ResNetLSTM(classes, width=16, blocks=(1, 1, 1, 1)))
