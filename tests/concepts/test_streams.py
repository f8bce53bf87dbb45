"""Features of networks with parallel streams have the channels of all of them, and so has the gradient."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.feature_maps import feature_maps, last_maps
from voxplain.segment import Grid
from voxplain.zoo.pytorchvideo import TwoRates

GRID = (8, 16, 16)


class TwoStreams(nn.Module):
    """A slow stream of 5 channels and a fast one of 3, averaged, joined and classified, as in SlowFast."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 5, 3, (stride, 4, 4), 1), nn.Conv3d(3, 3, 3, (1, 4, 4), 1)
        self.slow_act, self.fast_act = nn.ReLU(), nn.ReLU()
        self.join, self.head = nn.Identity(), nn.Linear(8, 4)
        self.out = nn.Softsign()

    def forward(self, x: list[Tensor]) -> Tensor:
        slow, fast = self.slow_act(self.slow(x[0])), self.fast_act(self.fast(x[1]))
        joined = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1)
        return self.head(self.out(self.join(joined)))


def two_streams(alpha: int) -> vx.VideoModel:
    torch.manual_seed(0)
    pathways = TwoRates(4) if alpha == 4 else lambda x: [x, x]
    return vx.VideoModel(TwoStreams(1).eval(), layer="join", grid=GRID, pathways=pathways, classes=tuple("abcd"))


@pytest.mark.parametrize("alpha", [4, 1])  # streams with grids of their own, and streams that share one
def test_all_streams_are_in_the_features(alpha: int) -> None:
    model = two_streams(alpha)
    assert [p.layer for p in last_maps(model)] == ["slow_act", "fast_act"]
    frames = np.random.default_rng(0).integers(0, 256, (1, *GRID, 3), np.uint8)
    found = feature_maps(model, frames, gradient_of=(2, "logit"))
    assert found.feature.shape == (1, 8, 8, 4, 4)
    torch.testing.assert_close(found.feature.mean((2, 3, 4)), model.embed(frames))
    joined = model.embed(frames).requires_grad_(True)
    (truth,) = torch.autograd.grad(model.net.head(model.net.out(joined))[0, 2], joined)
    assert found.gradient is not None
    torch.testing.assert_close(found.gradient, truth)


def test_regions_have_the_channels_of_all_streams() -> None:
    model = two_streams(4)
    clip = vx.Clip.from_array(np.random.default_rng(0).integers(0, 256, (*GRID, 3), np.uint8))
    regions = Grid(cells=((2, 2, 2),))(clip)
    found = ContextFeatures().embed(model, clip, regions, gradient_of=(0, "logit"))
    assert found.layer_values is not None
    assert found.layer_values.shape == (8, 8)
    whole = model.embed(clip)[0].numpy()  # equal cells: the mean of their means
    np.testing.assert_allclose(found.layer_values.mean(0), whole, rtol=1e-4)


def test_cams_take_neither_stream() -> None:
    with pytest.raises(vx.ModelError, match="several streams"):
        vx.GradCAM()(two_streams(4), np.zeros((*GRID, 3), np.uint8), 0)
