"""Counting passes of a network and its copies."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.inference import metered, rates, replicas
from voxplain.model import VideoModel


def model(layout: str = "BCTHW") -> VideoModel:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 4, 3, padding=1)
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.transpose(1, 2) if layout == "BTCHW" else x
            return self.head(self.conv(x).mean((2, 3, 4)))

    torch.manual_seed(0)
    return VideoModel(net=Net(), layer="conv", grid=(4, 8, 10), layout=layout, batch_size=3)


@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
def test_clips_of_copies_and_threads_are_counted_by_kind(layout: str) -> None:
    m = model(layout)
    frames = np.random.default_rng(0).integers(0, 255, (7, 4, 8, 10, 3)).astype(np.uint8)
    plain = m.logits(frames)
    with metered(m.net) as meter:
        torch.testing.assert_close(m.logits(frames), plain, rtol=0, atol=0)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda own: own.logits(frames), replicas(m, 3)))
        copy.deepcopy(m.net).to(torch.bfloat16)(m.prepare(frames[:2]).to(torch.bfloat16))
    assert {kind.dtype: clips for kind, clips in meter.clips.items()} == {torch.float32: 28, torch.bfloat16: 2}
    m.logits(frames)
    assert sum(meter.clips.values()) == 30  # nothing is counted after the block
    assert not m.net._forward_hooks
    assert not m.net._forward_pre_hooks
    first, second = rates(meter, m, threads=1)
    assert {first.clips, second.clips} == {28, 2}
    # 2 operations a product: convolution of 3·27 inputs to 4 channels at every place, and the head
    assert first.gflop == pytest.approx((2 * 81 * 4 * 4 * 8 * 10 + 2 * 4 * 2) / 1e9)
    for rate in (first, second):
        assert rate.reached == pytest.approx(rate.clips * rate.gflop / rate.seconds)
        assert rate.share > 0
