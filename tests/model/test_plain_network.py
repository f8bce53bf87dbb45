"""Networks as they come: compiled, made in inference mode, frozen, in half precision, in training mode."""

import numpy as np
import pytest
import torch
from torch import nn

from map_nets import clip
from small_nets import ConvNet
from voxplain.attribution import GradCAM, Gradient
from voxplain.model import VideoModel

GRID = (4, 8, 8)


def model(net: nn.Module) -> VideoModel:
    return VideoModel(net, layer="relu2", grid=GRID)


def inference() -> nn.Module:
    with torch.inference_mode():
        return fresh()


def fresh() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvNet()


def compiled_in_place() -> nn.Module:
    net = fresh()
    net.compile(backend="eager")
    return net


def compiled_parts() -> nn.Module:
    net = fresh()
    net.conv2, net.relu2 = torch.compile(net.conv2, backend="eager"), torch.compile(net.relu2, backend="eager")
    return net


WAYS = {
    "compiled": lambda: torch.compile(fresh(), backend="eager"),
    "compiled in place": compiled_in_place,
    "with compiled parts": compiled_parts,
    "inference mode": inference,
    "frozen": lambda: fresh().requires_grad_(False),
    "training": lambda: fresh().train(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", [Gradient(), GradCAM()])
def test_they_are_explained_as_the_plain_network(way: str, method) -> None:
    truth = method(model(fresh()), clip(), 1)
    net = WAYS[way]()
    flags = [(m.training, m._compiled_call_impl is None) for m in net.modules()]
    found = method(model(net), clip(), 1)
    np.testing.assert_allclose(found.values, truth.values, rtol=1e-5, atol=1e-8)
    assert flags == [(m.training, m._compiled_call_impl is None) for m in net.modules()]
    model(net).gradient(clip().frames, 1)


def test_a_compiled_network_is_unwrapped_and_one_of_inference_mode_copied() -> None:
    net = fresh()
    assert model(net).net is net
    assert model(torch.compile(net, backend="eager")).net is net
    bound = inference()
    copied = model(bound).net
    assert copied is not bound
    assert bound.conv1.weight.is_inference()
    assert not copied.conv1.weight.is_inference()


def test_layers_are_named_as_in_the_original_or_in_the_compiled_network() -> None:
    net = torch.compile(fresh().eval(), backend="eager")
    with torch.no_grad():
        net(torch.zeros(1, 3, *GRID))  # used before, as a trained network was
    named = VideoModel(net, layer="_orig_mod.relu2", grid=GRID)
    assert named.layer == "relu2"
    torch.testing.assert_close(named.embed(clip().frames), model(fresh()).embed(clip().frames))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    truth = Gradient()(model(fresh()), clip(), 1).values
    found = Gradient()(model(fresh().to(dtype)), clip(), 1).values
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.95
