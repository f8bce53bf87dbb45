"""Concepts of networks on frames: tokens of each frame, recurrent layers without places, class tokens."""

import numpy as np
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.concepts.feature_maps import feature_maps, last_maps

GRID = (3, 16, 24)
PLACES = (4, 6)


class FrameTransformer(nn.Module):
    """Patches 4×4 of each frame behind a class token, attention; the class tokens are averaged."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.first, self.heads, self.values = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.split, self.last, self.average, self.head = (
            nn.LayerNorm(4),
            nn.LayerNorm(8),
            nn.Identity(),
            nn.Linear(8, 3),
        )

    def forward(self, clips: Tensor) -> Tensor:
        x = self.patches(clips.flatten(0, 1)).flatten(2).transpose(1, 2)
        x = self.first(torch.cat([self.token.expand(len(x), -1, -1), x], 1))
        q = self.split(self.heads(x).unflatten(2, (2, 4)).transpose(1, 2))  # [N·T, heads, S, 4]: not a map
        mixed = (q @ q.transpose(2, 3)).softmax(3) @ self.values(x).unflatten(2, (2, 4)).transpose(1, 2)
        x = self.last(x + mixed.transpose(1, 2).flatten(2))
        return self.head(self.average(x[:, 0].unflatten(0, clips.shape[:2]).mean(1)))


class Recurrent(nn.Module):
    """Maps of frames, an LSTM over their means, the mean of its states."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.lstm = nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.LSTM(8, 5, batch_first=True)
        self.average, self.head = nn.Identity(), nn.Linear(5, 3)

    def forward(self, clips: Tensor) -> Tensor:
        rows = self.act(self.conv(clips.flatten(0, 1))).mean((2, 3)).unflatten(0, clips.shape[:2])
        return self.head(self.average(self.lstm(rows)[0].mean(1)))


def model(net: nn.Module) -> vx.VideoModel:
    return vx.VideoModel(net.eval(), layer="average", grid=GRID, layout="BTCHW", classes=("a", "b", "c"))


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, *GRID, 3), np.uint8)


def test_tokens_of_frames_are_maps_up_to_the_last_that_reach_the_logits() -> None:
    m = model(FrameTransformer())
    (last,) = last_maps(m)
    assert (last.layer, last.grid, last.frames) == ("first", (3, *PLACES), True)
    found = feature_maps(m, noise(), gradient_of=(1, "logit"))
    assert found.feature.shape == (1, 8, 3, *PLACES)
    with torch.no_grad():
        net, x = m.net, m.prepare(noise())
        patches = net.patches(x[0]).flatten(2).transpose(1, 2)
        truth = net.first(torch.cat([net.token.expand(3, -1, -1), patches], 1))[:, 1:]
    torch.testing.assert_close(found.feature[0].flatten(2).permute(1, 2, 0), truth)
    assert found.gradient is not None
    assert float(found.gradient.abs().min()) > 0


def test_maps_before_a_recurrent_layer_are_taken_and_not_its_states() -> None:
    m = model(Recurrent())
    (last,) = last_maps(m)
    assert last.grid == (3, *PLACES)
    found = feature_maps(m, noise(), gradient_of=(1, "logit"))
    assert found.feature.shape == (1, 8, 3, *PLACES)
    assert found.gradient is not None
    assert float(found.gradient.abs().max()) > 0
