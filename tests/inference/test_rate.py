"""Operations counted against arithmetic by hand; the peak is a figure of the machine."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from small_nets import GRID, ConvNet, LinearNet, TokenNet, clips
from voxplain.inference import flops, fold, peak
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net


def test_operations_of_known_layers():
    linear = 2 * (3 * 4 * 8 * 8 * 6 + 6 * 5)
    assert flops(VideoModel(net=LinearNet().eval(), layer="feature", grid=GRID)) == linear
    conv = 2 * 27 * (3 * 4 * (4 * 8 * 8) + 4 * 6 * (2 * 4 * 4)) + 2 * (6 * 7 + 7 * 5)
    assert flops(VideoModel(net=ConvNet().eval(), layer="pool", grid=GRID)) == conv


def test_folding_and_number_type_do_not_change_the_count():
    spec = NETS["tiny"]
    m = VideoModel(net=build_net("tiny", 4).eval(), layer=spec.feature_layer, grid=(16, 64, 64))
    net = fold(m, torch.zeros(1, 16, 64, 64, 3, dtype=torch.uint8))[0].bfloat16()
    assert flops(VideoModel(net=net, layer="pool", grid=(16, 64, 64))) == flops(m)
    assert flops(m) == pytest.approx(0.288e9, rel=0.01)


@pytest.mark.parametrize(("net", "layer"), [(ConvNet(), "pool"), (TokenNet(False), "blocks.1")])
def test_count_is_that_of_torch(net, layer):
    m = VideoModel(net=net.eval(), layer=layer, grid=GRID, layout="BTCHW" if layer == "blocks.1" else "BCTHW").settled()
    with FlopCounterMode(display=False) as counter:
        m.logits(clips(1))
    assert flops(m) == counter.get_total_flops() > 0


def test_counting_does_not_import_the_compiler():
    """Which takes more than a second of every run."""
    code = (
        "import sys, numpy as np\n"
        "from voxplain.inference import Inference, flops\n"
        "from voxplain.model import VideoModel\n"
        "from voxplain.nets import build_net\n"
        "m = VideoModel(net=build_net('tiny', 4).eval(), layer='pool', grid=(8, 32, 32))\n"
        "flops(m)\n"
        "Inference()(m, np.random.default_rng(0).integers(0, 256, (4, 8, 32, 32, 3), np.uint8))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_network_is_left_as_it_was():
    net = ConvNet().train()
    flops(VideoModel(net=net, layer="pool", grid=GRID))
    assert all(part.training for part in net.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_peak_is_at_least_what_a_convolution_reaches(dtype):
    state = torch.get_rng_state()
    rate = peak("cpu", dtype, seconds=0.1)
    assert torch.equal(state, torch.get_rng_state())
    assert rate > 0.1  # GFLOP/s; a slow processor emulates bfloat16
    assert isinstance(rate, float)


def test_more_operations_than_one_kind(monkeypatch):
    """The best of all is given, whichever kind it is of."""
    from voxplain.inference import rate

    seconds = iter([1.0, 0.5, 2.0, 4.0])
    works = [(2e9, lambda: None), (1e9, lambda: None), (8e9, lambda: None), (4e9, lambda: None)]
    monkeypatch.setattr(rate, "_works", lambda device, dtype: works)
    monkeypatch.setattr(rate, "_seconds", lambda work, device: next(seconds))
    assert peak("cpu", torch.float32, seconds=0) == 4.0
