"""What a network is given: to the last bit the plain arithmetic on single voxels, in every layout."""

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.model import VideoModel

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
def test_prepared_frames_are_the_plain_arithmetic_to_the_last_bit(layout, wide, dtype):
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 9, 3), dtype=np.uint8)
    frames[0, :, :, :, 0].flat[:256] = np.arange(256)
    net = nn.Sequential(nn.Linear(1, 1)).to(dtype)
    model = VideoModel(net=net, layer="0", mean=MEAN, std=STD, grid=(5, 7, 9), layout=layout, channels_last=wide)
    plain = (frames.astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    expected = torch.from_numpy(plain).permute((0, 4, 1, 2, 3) if layout == "BCTHW" else (0, 1, 4, 2, 3)).to(dtype)
    strided = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 4, 1, 2, 3))).permute(0, 2, 3, 4, 1)
    before = frames.copy()
    for given in (frames, torch.from_numpy(frames), strided, np.ascontiguousarray(frames[:, :, ::-1])[:, :, ::-1]):
        got = model.prepare(given)
        assert got.dtype == dtype
        assert torch.equal(got, expected)
        assert got.is_contiguous(
            memory_format=torch.channels_last_3d if wide and layout == "BCTHW" else torch.contiguous_format
        )
    assert np.array_equal(frames, before)
