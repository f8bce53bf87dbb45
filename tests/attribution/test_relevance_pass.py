"""The pass behind LRP and excitation backprop: it leaves the network alone and refuses what it has no rule for."""

import copy
import warnings

import numpy as np
import pytest
import torch
from relevance_nets import Does, FramesRNN, Mixed, clips_of, model_of, set_running_statistics
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from small_nets import ConvNet, TokenNet, Wrapped
from voxplain.attribution.relevance.deep_lift import DeepLIFT
from voxplain.attribution.relevance.excitation_backprop import ExcitationBackprop
from voxplain.attribution.relevance.lrp import LRP
from voxplain.errors import ModelError

METHODS = {
    "epsilon_plus_flat": LRP(),
    "alpha_beta": LRP("alpha_beta"),
    "z_box": LRP(input_rule="z_box"),
    "excitation": ExcitationBackprop(layer="input"),
    "contrastive": ExcitationBackprop(contrastive=True),
    "deep_lift": DeepLIFT(),
}
each = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: object, *g: Tensor) -> Tensor:
        return 2 * g[0]


class BatchStatistics(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)


def traced(module: nn.Module) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but networks of that kind are still about
        return torch.jit.trace(module, torch.zeros(1, 4, 4, 8, 8))


UNKNOWN = {
    "group norm": nn.GroupNorm(2, 4),
    "statistics of the batch": BatchStatistics(),
    "square": lambda x: x**2,
    "product": lambda x: x * x.relu(),
    "quotient": lambda x: 1 / (x.abs() + 1),
    "softmax": nn.Softmax(1),
    "own function": Doubling.apply,
    "matrix product": lambda x: x @ x.transpose(-1, -2),
    "noise": lambda x: F.dropout(x, 0.5, training=True),
    "checkpoint": lambda x: checkpoint(torch.relu, x, use_reentrant=True),
    "script": traced(nn.Conv3d(4, 4, 1)),
}


@pytest.mark.filterwarnings("ignore")  # of PyTorch's, about checkpoints
@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("method", [LRP(), ExcitationBackprop(layer="input")], ids=["lrp", "excitation"])
def test_refuses_operations_without_a_rule(name: str, method: LRP) -> None:
    net = Does(UNKNOWN[name])
    if isinstance(method, LRP) and name in ("product", "softmax", "matrix product"):
        method(model_of(net, "head"), clips_of(1)[0], 0)  # these have a rule there
        return
    with pytest.raises(ModelError, match="expected") as error:
        method(model_of(net, "head"), clips_of(1)[0], 0)
    assert str(error.value).count(". ") == 0
    assert all(p.requires_grad for p in net.parameters())


def test_excitation_backprop_has_no_rule_for_transformers() -> None:
    with pytest.raises(ModelError, match="LayerNorm"):
        ExcitationBackprop(layer="input")(model_of(TokenNet(), "head", layout="BTCHW"), clips_of(1)[0], 0)


@pytest.mark.parametrize("method", [LRP(), DeepLIFT()], ids=["lrp", "deep_lift"])
def test_refuses_logits_without_a_graph(method: LRP) -> None:
    with pytest.raises(ModelError, match="constant"):
        method(model_of(Wrapped(ConvNet(), lambda z: z.detach()), "net.head"), clips_of(1)[0], 0)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_refuses_packed_and_projected_sequences() -> None:
    net = FramesRNN()
    net.rnn = nn.LSTM(24, 9, batch_first=True, proj_size=7)
    with pytest.raises(ModelError, match="projection"):
        LRP()(model_of(net, "head", layout="BTCHW"), clips_of(1)[0], 0)

    class Packed(FramesRNN):
        def forward(self, x: Tensor) -> Tensor:
            seq = nn.utils.rnn.pack_padded_sequence(x.flatten(2)[..., :24], [4] * len(x), batch_first=True)
            return self.head(self.rnn(seq)[1][0][-1])

    with pytest.raises(ModelError, match="packed"):
        LRP()(model_of(Packed(), "head", layout="BTCHW"), clips_of(1)[0], 0)


@each
@pytest.mark.parametrize("mode", ["grad", "no_grad", "inference"])
def test_the_network_is_left_as_found(method: LRP, mode: str) -> None:
    net = set_running_statistics(Mixed(bias=True, inplace=True), shift=True).train()
    net.bn1.eval()
    net.conv2.weight.requires_grad_(False)
    net.fc1.weight.grad = torch.ones_like(net.fc1.weight)
    before, flags = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    context = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}[mode]
    with context():
        got = method(model_of(net, "conv1"), clips_of(1)[0], 1)
    want = method(model_of(net, "conv1"), clips_of(1)[0], 1)
    np.testing.assert_array_equal(got.values, want.values)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert flags == [m.training for m in net.modules()]
    assert [n for n, p in net.named_parameters() if not p.requires_grad] == ["conv2.weight"]
    assert [n for n, p in net.named_parameters() if p.grad is not None] == ["fc1.weight"]
    assert bool((net.fc1.weight.grad == 1).all())
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in net.modules())


@each
def test_batches_change_nothing(method: LRP) -> None:
    net, clips, grid = set_running_statistics(Mixed(bias=True), shift=True), clips_of(5, (3, 8, 12)), (3, 8, 12)
    targets = [0, 3, 1, 1, 2]
    whole = method(model_of(net, "conv1", grid, batch_size=8), clips, targets)
    for size in (1, 2):
        for a, b in zip(whole, method(model_of(net, "conv1", grid, batch_size=size), clips, targets), strict=True):
            np.testing.assert_allclose(a.values, b.values, rtol=1e-3, atol=1e-5 * np.abs(a.values).max())


@each
def test_never_more_inputs_at_once_than_the_batch_size(method: LRP) -> None:
    net, sizes = set_running_statistics(Mixed()), []
    net.conv1.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    method(model_of(net, "conv1", batch_size=2), clips_of(3), 0)
    assert max(sizes) <= 2


@each
@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
def test_tuples_and_both_orders_of_axes(method: LRP, layout: str) -> None:
    net = set_running_statistics(Mixed(bias=True), shift=True)

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> tuple[Tensor, str]:
            return self.net(x.transpose(1, 2) if layout == "BTCHW" else x), "more"

    want = method(model_of(net, "conv1"), clips_of(1)[0], 2)
    got = method(model_of(Turned(), "net.conv1", layout=layout), clips_of(1)[0], 2)
    np.testing.assert_allclose(got.values, want.values, rtol=1e-4, atol=1e-6)


def test_double_precision_networks() -> None:
    net = set_running_statistics(Mixed())
    want = LRP("epsilon")(model_of(net, "conv1"), clips_of(1)[0], 0)
    got = LRP("epsilon")(model_of(copy.deepcopy(net).double(), "conv1"), clips_of(1)[0], 0)
    np.testing.assert_allclose(got.values, want.values, rtol=1e-2, atol=1e-4 * np.abs(want.values).max())


def test_overwritten_activations_are_refused_not_wrong() -> None:
    class Overwrites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 4, 1), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            a = self.conv(x)
            b = a.mean((2, 3, 4))  # PyTorch's own mean needs no activations; its share of relevance does
            a.relu_()
            return self.head(b + a.mean((2, 3, 4)))

    with pytest.raises(ModelError, match="inplace=False"):
        LRP()(model_of(Overwrites(), "head"), clips_of(1)[0], 0)
