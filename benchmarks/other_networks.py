"""Networks for `other_networks_truth.py`: a transformer with a class token, a CNN-LSTM and one of two frame rates.

Letters: B clips, K classes.
"""

import torch
from torch import Tensor, nn

from truth_architectures import TransformerBlock
from voxplain.nets import tiny

__all__ = ["ClassTokenTransformer", "FramesLSTM", "TwoRateNet"]


class ClassTokenTransformer(nn.Module):
    """A vision transformer with a class token, from which the logits [B,K] are; clips [B,3,8,48,48].

    The first two blocks of `tiny` are its stem, as in hybrid vision transformers. A token is a patch of 2×2×2 of their
    positions, 4×8×8 voxels; 72 tokens and the class token go through four blocks. 0.44 M parameters.
    """

    def __init__(self, classes: int, width: int = 96, depth: int = 4) -> None:
        super().__init__()
        stem = tiny(classes)
        self.block1, self.block2 = stem.block1, stem.block2
        self.patches = nn.Conv3d(32, width, 2, 2)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + 2 * 6 * 6, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, 4) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        tokens = self.patches(self.block2(self.block1(clips))).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1) + self.position
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


def _frame_block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class FramesLSTM(nn.Module):
    """A 2D ConvNet for each frame, an LSTM over the frames; logits [B,K] of frames [B,T,3,H,W].

    Its maps have an eighth of a frame's height and width. Their means over 4×4 cells go to the LSTM, which can thus
    tell where the object is.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.block1, self.block2 = _frame_block(3, 16, 5, 2), _frame_block(16, 32, 3, 2)
        self.block3, self.block4 = _frame_block(32, 64, 3, 2), _frame_block(64, 64, 3, 1)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.dense = nn.Sequential(nn.Linear(64 * 16, 128), nn.ReLU())
        self.lstm = nn.LSTM(128, 96, batch_first=True)
        self.head = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        maps = self.block4(self.block3(self.block2(self.block1(clips.flatten(0, 1)))))
        frames = self.dense(self.pool(maps).flatten(1)).unflatten(0, clips.shape[:2])
        logits: Tensor = self.head(self.lstm(frames)[0].mean(1))
        return logits


def _block(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int) -> nn.Sequential:
    padding = tuple(k // 2 for k in kernel)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), padding, bias=False), nn.BatchNorm3d(outputs), nn.ReLU()
    )


def _lateral(channels: int) -> nn.Conv3d:
    """From the fast pathway to the slow one, as in SlowFast: twice the channels at half of the steps."""
    return nn.Conv3d(channels, 2 * channels, (5, 1, 1), (2, 1, 1), (2, 0, 0), bias=False)


class Joined(nn.Module):
    """The pathways' means, one after another, [B,C]."""

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow.flatten(1), fast.flatten(1)], 1)


class TwoRateNet(nn.Module):
    """SlowFast at a small size: logits [B,K] of a slow [B,3,T/2,H,W] and a fast pathway [B,3,T,H,W].

    References
    ----------
    Feichtenhofer et al. 2019, SlowFast networks for video recognition, arXiv 1812.03982
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.slow1, self.fast1 = _block(3, 16, (1, 5, 5), 2), _block(3, 8, (3, 5, 5), 2)
        self.slow2, self.fast2 = _block(16 + 16, 32, (1, 3, 3), 2), _block(8, 16, (3, 3, 3), 2)
        self.slow3, self.fast3 = _block(32 + 32, 64, (3, 3, 3), 2), _block(16, 32, (3, 3, 3), 2)
        self.lateral1, self.lateral2 = _lateral(8), _lateral(16)
        self.slow_pool, self.fast_pool = nn.AdaptiveAvgPool3d(1), nn.AdaptiveAvgPool3d(1)
        self.joined = Joined()
        self.head = nn.Linear(64 + 32, classes)

    def forward(self, pathways: list[Tensor]) -> Tensor:
        slow, fast = pathways
        slow, fast = self.slow1(slow), self.fast1(fast)
        slow, fast = self.slow2(torch.cat([slow, self.lateral1(fast)], 1)), self.fast2(fast)
        slow, fast = self.slow3(torch.cat([slow, self.lateral2(fast)], 1)), self.fast3(fast)
        logits: Tensor = self.head(self.joined(self.slow_pool(slow), self.fast_pool(fast)))
        return logits
