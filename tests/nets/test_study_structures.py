"""The small networks of the study: logits of clips of two sizes, and layers that are found."""

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.model import VideoModel
from voxplain.nets.study import STUDY_NETS


@pytest.mark.parametrize("name", STUDY_NETS)
def test_logits_and_layers(name: str) -> None:
    torch.manual_seed(0)
    net = STUDY_NETS[name](4).eval()
    assert sum(p.numel() for p in net.parameters()) < 1e6
    with torch.no_grad():
        assert net(torch.randn(1, 3, 16, 64, 64)).shape == (1, 4)
    model = VideoModel(net, grid=(8, 32, 32), layout="BCTHW")
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 32, 32, 3)).astype(np.uint8)
    z = model.logits(frames)
    assert z.shape == (2, 4)
    assert bool(model.gradient(frames[:1], 1).any())
    later = frames.copy()
    later[:, 4:] = later[:, 4:][:, ::-1]  # the order of frames counts
    assert not np.allclose(np.asarray(model.logits(later)), np.asarray(z), atol=1e-6)


def test_which_have_batch_norm() -> None:
    plain = {n for n, build in STUDY_NETS.items() if not any(isinstance(m, nn.BatchNorm3d) for m in build(2).modules())}
    assert plain == {"c3d"}
