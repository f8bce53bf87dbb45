"""Guided backpropagation, DeconvNet, linear approximation: a network worked out by hand, captum, refusals."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from map_nets import FlatNet, GapNet, clip, inputs, model
from small_nets import ConvNet, LinearNet
from voxplain.attribution import DeconvNet, Gradient, GuidedBackprop, InputXGradient, LinearApproximation
from voxplain.errors import ModelError
from voxplain.model import VideoModel


class OneVoxel(nn.Module):
    """s = Σ_j v_j relu(u_j · mean colour of x): three units, one shut, one that speaks against the class."""

    def __init__(self) -> None:
        super().__init__()
        self.units, self.act, self.head = nn.Linear(1, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False)
        with torch.no_grad():
            self.units.weight.copy_(torch.tensor([[2.0], [3.0], [-5.0]]))
            self.head.weight.copy_(torch.tensor([[7.0, -11.0, 13.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.units(x.mean((1, 2, 3, 4))[:, None] + 10)))  # + 10: above zero


def test_by_hand_each_rule_keeps_its_own_paths():
    m = VideoModel(net=OneVoxel(), layer="units", grid=(1, 2, 2), task="regression")
    c = clip(0, (1, 2, 2))
    share = 1 / 4  # of one voxel: three colours of the twelve values, summed
    for method, truth in (
        (Gradient(channels="signed"), 7 * 2 - 11 * 3),  # open units only
        (GuidedBackprop(channels="signed"), 7 * 2),  # open units that speak for the class
        (DeconvNet(channels="signed"), 7 * 2 - 13 * 5),  # all that speak for the class, also the one that is shut
    ):
        np.testing.assert_allclose(method(m, c, 0).values, truth * share, rtol=1e-5)


@pytest.mark.parametrize(("method", "name"), [(GuidedBackprop, "GuidedBackprop"), (DeconvNet, "Deconvolution")])
@pytest.mark.parametrize("inplace", [False, True])
def test_they_agree_with_captum(method, name, inplace):
    import captum.attr

    net = ConvNet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m, c = model(net), clip(1)
        other = getattr(captum.attr, name)(net).attribute(inputs(m, c).requires_grad_(), target=3)
    twin = ConvNet(inplace=inplace)
    twin.load_state_dict(net.state_dict())
    found = method(channels="signed")(model(twin), c, 3)
    assert found.values.any()
    np.testing.assert_allclose(found.values, other[0].detach().sum(0).numpy(), rtol=1e-4, atol=1e-8)
    plain = Gradient(channels="signed")(m, c, 3)
    assert not np.allclose(found.values, plain.values)


class Idle(nn.Module):
    """A ReLU module that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.act = LinearNet(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Mixed(nn.Module):
    """One ReLU a module, one a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.head = nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.conv(self.act(x)), inplace=True).mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (LinearNet(), "got none"),
        (GapNet(functional=True), "got none"),
        (Mixed(), "function"),
        (Idle(), "no nn.ReLU on"),
    ],
)
@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet()])
def test_networks_without_relu_modules_are_refused_and_left_as_found(method, net, said):
    m = model(net)
    with pytest.raises(ModelError, match=said):
        method(m, clip(), 0)
    assert not any(mod._forward_hooks or mod._forward_pre_hooks or mod._backward_hooks for mod in net.modules())


@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet(), LinearApproximation(), LinearApproximation("conv2")])
def test_the_network_is_as_before_and_batches_change_nothing(method):
    net, some = ConvNet(inplace=True).train(), [clip(i) for i in range(3)]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    m = VideoModel(net=net, layer="pool", grid=(4, 8, 8), batch_size=2)
    with torch.inference_mode():
        several = method(m, some, [0, 1, 2])
    alone = method(m, some[1], 1)
    np.testing.assert_allclose(several[1].values, alone.values, rtol=1e-4, atol=1e-8)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not any(mod._forward_hooks or mod._forward_pre_hooks for mod in net.modules())


def test_linear_approximation_at_the_input_is_input_times_gradient():
    m, c = model(ConvNet()), clip(1)
    found = LinearApproximation(channels="signed")(m, c, 2)
    np.testing.assert_allclose(found.values, InputXGradient(channels="signed")(m, c, 2).values, atol=1e-8)
    assert found.details["layer"] == "input"
    absolute = LinearApproximation()(m, c, 2)
    np.testing.assert_allclose(absolute.values, np.abs(found.values), atol=1e-8)


def test_linear_approximation_at_a_layer():
    m, c = model(FlatNet()), clip(1)
    found = LinearApproximation(layer="act", channels="signed")(m, c, 2)
    with torch.enable_grad():
        a = m.net.act(m.net.conv(inputs(m, c))).detach().requires_grad_()
        z = m.net.head(m.net.bend(m.net.hidden(m.net.flatten(a))))
        (g,) = torch.autograd.grad(z[0, 2], a)
    truth = F.interpolate((a * g).sum(1, keepdim=True), size=m.grid, mode="trilinear")[0, 0].detach()
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-4, atol=1e-7)
    assert found.details == {"layer": "act", "positions": (2, 4, 4)}


class Gated(nn.Module):
    """A ReLU module, then another kind of gate."""

    def __init__(self, gate: object) -> None:
        super().__init__()
        self.conv, self.act, self.gate, self.head = nn.Conv3d(3, 4, 3), nn.ReLU(), gate, nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gate(self.act(self.conv(x)) - 0.1).mean((2, 3, 4)))  # type: ignore[operator]


class Swish(torch.autograd.Function):
    """As x3d of PyTorchVideo computes it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g * x.sigmoid() * (1 + x * (1 - x.sigmoid()))


GATES = {
    "relu6": (nn.ReLU6(), "Hardtanh"),
    "clamp": (lambda x: x.clamp(min=0), "Clamp"),
    "clamp both": (lambda x: x.clamp(0, 1), "Clamp"),
    "gelu": (nn.GELU(), "Gelu"),
    "silu": (nn.SiLU(), "Silu"),
    "leaky": (nn.LeakyReLU(), "LeakyRelu"),
    "swish": (Swish.apply, "Swish"),
    "where": (lambda x: torch.where(x > 0, x, 0), "in where"),
    "mask": (lambda x: x * (x > 0), "in mul"),
    "float mask": (lambda x: x * (x > 0).float(), "in mul"),
    "detached": (lambda x: x.sign().detach() * x, "in mul"),
    "index": (lambda x: x.masked_fill(x < 0, 0), "in masked_fill"),
    "maximum": (lambda x: torch.maximum(x, x / 2), "Maximum"),
}


@pytest.mark.parametrize(("gate", "told"), GATES.values(), ids=GATES)
@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet()])
def test_other_gates_are_refused(method, gate, told):
    with pytest.raises(ModelError, match=told):
        method(model(Gated(gate)), clip(), 0)


@pytest.mark.parametrize(
    "gate",
    [
        nn.Sigmoid(),
        nn.MaxPool3d(2),
        lambda x: x + torch.zeros_like(x),
        lambda x: x * x.new_ones(x.shape),
        lambda x: x + torch.ones(1).to(x),
        lambda x: x / x.shape[1],
    ],
)
def test_what_is_no_gate_is_not(gate):
    assert GuidedBackprop()(model(Gated(gate)), clip(), 0).values.any()
