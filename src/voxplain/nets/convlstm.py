"""ConvLSTM: convolutions for each frame, then LSTM cells whose states are maps.

Letters: B clips, K classes, C channels, h×w the positions of a map.
"""

import torch
from torch import Tensor, nn

__all__ = ["ConvLSTM", "ConvLSTMLayer", "convlstm"]


class ConvLSTMLayer(nn.Module):
    """An LSTM over the frames of maps whose four gates are one 3×3 convolution of [frame, state].

    Parameters
    ----------
    inputs : int
        Channels of the maps.
    units : int
        Channels of the state.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.gates = nn.Conv2d(inputs + units, 4 * units, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """States [B,units,T,h,w] after each frame of maps [B,inputs,T,h,w]."""
        h = c = maps.new_zeros(len(maps), self.units, *maps.shape[3:])
        states = []
        for frame in maps.unbind(2):
            i, f, g, o = self.gates(torch.cat([frame, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states, 2)


def _frames(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, (1, size, size), (1, 2, 2), (0, size // 2, size // 2), bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(),
    )


class ConvLSTM(nn.Module):
    """A convolutional LSTM network; logits [B,K] of clips [B,3,T,H,W] of any T and of H, W ≥ 16.

    Layers to explain: ``lstm2`` (2·width × T×H/8×W/8, last activation map) and ``avgpool`` (2·width).

    Parameters
    ----------
    classes : int
        Number of classes K.
    width : int
        Channels after the first convolution; the states have twice as many.

    References
    ----------
    Shi et al. 2015, Convolutional LSTM network, arXiv 1506.04214 (without its peephole connections)
    """

    def __init__(self, classes: int, *, width: int = 32) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            _frames(3, width, 5),
            _frames(width, 2 * width, 3),
            _frames(2 * width, 2 * width, 3),
        )
        self.lstm1, self.lstm2 = ConvLSTMLayer(2 * width, 2 * width), ConvLSTMLayer(2 * width, 2 * width)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B,K] of float clips [B,3,T,H,W]."""
        x = self.lstm2(self.lstm1(self.conv3(self.conv2(self.conv1(clips)))))
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


def convlstm(classes: int, *, width: int = 32) -> ConvLSTM:
    """Build the network with random weights for ``classes`` classes (648,352 + 65·classes parameters at width 32)."""
    net = ConvLSTM(classes, width=width)
    with torch.no_grad():
        for layer in (net.lstm1, net.lstm2):
            nn.init.kaiming_normal_(layer.gates.weight, nonlinearity="linear")
            bias = layer.gates.get_parameter("bias")  # a forget gate that starts open keeps what early frames showed
            bias.zero_()
            bias[layer.units : 2 * layer.units] = 1
    return net
