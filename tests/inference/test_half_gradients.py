"""Gradients at a layer of a bfloat16 copy: no weight gradient is ever computed, and what is computed is right.

Weight gradients of bfloat16 3D convolutions are wrong on CPUs in current torch (tests/train shows whether they still
are). The copies for inference must never ask for one.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from small_nets import clips
from voxplain.errors import ModelError
from voxplain.inference import Inference
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.train import Recipe, TrainingVideos, train
from voxplain.video import Geometry

GRID = (8, 32, 32)


class Backward(TorchDispatchMode):
    """Which gradients (input, weight, bias) each convolution of a backward pass is asked for, and in which type."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bool, bool, bool]] = []
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution_backward.default:
            self.asked.append(tuple(args[-1]))
            self.types.add(args[2].dtype)
        return func(*args, **(kwargs or {}))


def half(name: str, layer: str) -> tuple[VideoModel, VideoModel, Tensor]:
    torch.manual_seed(0)
    frames = (clips(6, grid=GRID) * torch.rand(6, 1, 1, 1, 3)).to(torch.uint8)
    m = VideoModel(net=build_net(name, 4).eval(), layer=layer, grid=GRID)
    made = Inference(precision="bf16", min_cosine=-1)(m, frames)
    assert made.precision == "bf16"
    return m, made.model, frames


@pytest.mark.parametrize(("name", "layer"), [("tiny", "block1"), ("tiny", "pool"), ("compact", "stem")])
@pytest.mark.parametrize("frozen", [True, False])
def test_no_weight_gradient_is_asked_for(name, layer, frozen):
    m, fast, frames = half(name, layer)
    fast.net.requires_grad_(not frozen)
    with Backward() as seen:
        got = fast.gradient(frames, 1)
    assert not any(weight or bias for _, weight, bias in seen.asked)
    assert bool(seen.asked) == (layer != "pool")
    assert seen.types <= {torch.bfloat16}
    assert all(p.grad is None for p in fast.net.parameters())
    assert got.dtype == torch.float32
    cosine = nn.functional.cosine_similarity(got, m.gradient(frames, 1))
    assert float(cosine.min()) > 0.98


def test_the_detector_sees_a_weight_gradient():
    """That the test above can fail."""
    conv = nn.Conv3d(3, 4, 3)
    with Backward() as seen:
        conv(torch.randn(1, 3, 4, 4, 4)).sum().backward()
    assert seen.asked == [(False, True, True)]


@pytest.mark.parametrize("shape", [(64, 8, 14, 14), (128, 2, 7, 7), (128, 1, 4, 4)])
def test_input_gradients_of_bf16_convolutions_are_right(shape):
    """What the gradient at a layer needs: the trap is in weight gradients alone."""
    torch.manual_seed(0)
    channels, *sides = shape
    conv = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
    x, g = torch.randn(2, channels, *sides, requires_grad=True), torch.randn(2, channels, *sides)
    (true,) = torch.autograd.grad(conv(x), x, g)
    for order in (torch.contiguous_format, torch.channels_last_3d):
        low = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        low.load_state_dict(conv.state_dict())
        low = low.bfloat16().to(memory_format=order).requires_grad_(False)
        y = x.detach().bfloat16().to(memory_format=order).requires_grad_(True)
        (got,) = torch.autograd.grad(low(y), y, g.bfloat16())
        assert float((got.float() - true).norm() / true.norm()) < 0.02


def test_the_copy_is_not_trained():
    _, fast, _ = half("tiny", NETS["tiny"].feature_layer)
    videos = TrainingVideos(tuple(clips(4, grid=GRID).numpy()), torch.arange(4).numpy())
    with pytest.raises(ModelError, match=r"float32 weights to train on cpu, got bfloat16"):
        train(fast, videos, geometry=Geometry((40, 40), (32, 32)), recipe=Recipe(epochs=1, batch=2))
