"""DeepLIFT: summation to delta, the closed form of linear networks, captum's where captum works."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import DeepLift as CaptumDeepLift
from relevance_nets import Cells, Does, FramesRNN, Gated, Mixed, Plain, clips_of, model_of, set_running_statistics
from test_relevance_transformers import Encoder
from torch import Tensor, nn

from small_nets import ConvNet, LinearNet
from voxplain.attribution.gradients.gradient import InputXGradient
from voxplain.attribution.passes import base_input, logits, to_input
from voxplain.attribution.relevance.deep_lift import DeepLIFT, RecordedOperation, _Multiplier
from voxplain.attribution.relevance.differences import layer_norm_rule, softmax_rule
from voxplain.errors import DataError, ModelError
from voxplain.model import stack
from voxplain.nets import convlstm, vit_divided


class Pooled(nn.Module):
    """Each module once, and no max pools, after which captum's values do not add up: what captum handles."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.act1, self.pool1 = nn.Conv3d(3, 5, 3, padding=1), nn.ReLU(), nn.AvgPool3d((1, 2, 2))
        self.conv2, self.act2, self.pool2 = nn.Conv3d(5, 6, 3, padding=1), nn.Sigmoid(), nn.AdaptiveAvgPool3d(1)
        self.fc1, self.act3, self.fc2 = nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool2(self.act2(self.conv2(self.pool1(self.act1(self.conv1(x))))))
        return self.fc2(self.act3(self.fc1(x.flatten(1))))


class Various(nn.Module):
    """Overlapping max pools, activations of all shapes, a module used three times, constants."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again, self.pool = nn.Conv3d(3, 4, 3, padding=1), nn.PReLU(), nn.MaxPool3d(3, 1, 1)
        self.mix, self.head = nn.Conv3d(4, 4, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.conv(0.5 * x + 0.1))
        x = self.again(nn.functional.gelu(self.mix(self.pool(x))) - x / 3)
        x = self.again(torch.cat([x.amax((3, 4)), nn.functional.elu(x).mean((3, 4))], 1))
        return self.head(x.clamp(-1, 1).mean(2))


NETS = {
    "mixed": lambda: set_running_statistics(Mixed(bias=True), shift=True),
    "mixed in place": lambda: set_running_statistics(Mixed(bias=True, inplace=True), shift=True),
    "plain": Plain,
    "pooled": Pooled,
    "various": Various,
    "conv net": ConvNet,
}


@pytest.mark.parametrize("build", NETS.values(), ids=NETS)
@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
def test_summation_to_delta(build: type[nn.Module], baseline: str) -> None:
    torch.manual_seed(0)
    model = model_of(build(), next(iter(dict(build().named_children()))))
    clips, targets = clips_of(3), [0, 2, 1]
    x, base = to_input(model, stack(clips)), base_input(model, stack(clips), baseline)
    rise = (logits(model, x) - logits(model, base))[torch.arange(3), targets]
    for a, want in zip(DeepLIFT(baseline=baseline)(model, clips, targets), rise, strict=True):
        assert a.values.sum(dtype=np.float64) == pytest.approx(float(want), rel=2e-3, abs=2e-5)
        assert a.details["completeness_gap"] < 2e-3 + 2e-5 / abs(float(want))


@pytest.mark.parametrize("build", [Pooled, Plain])
def test_equals_captum(build: type[nn.Module]) -> None:
    torch.manual_seed(1)
    net = build().eval()
    model, clips, targets = model_of(net, "head" if build is Plain else "fc2"), clips_of(3), [2, 0, 1]
    x, base = to_input(model, stack(clips)), base_input(model, stack(clips), "black")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its hooks
        theirs = CaptumDeepLift(net).attribute(x, base, target=targets).sum(1).detach().numpy()
    for a, want in zip(DeepLIFT(baseline="black")(model, clips, targets), theirs, strict=True):
        np.testing.assert_allclose(a.values, want, rtol=1e-3, atol=1e-4 * np.abs(want).max())


def test_a_linear_network_has_a_closed_form() -> None:
    net = LinearNet()
    model, clip = model_of(net, "feature"), clips_of(1)[0]
    w = (net.head.weight[3] @ net.feature.weight).detach().view(3, 4, 8, 8)
    x = to_input(model, stack([clip]))[0]
    for fill in ("black", "blur"):
        base = base_input(model, stack([clip]), fill)[0]
        want = (w * (x - base)).sum(0).numpy()
        np.testing.assert_allclose(DeepLIFT(baseline=fill)(model, clip, 3).values, want, rtol=1e-3, atol=1e-5)


def test_a_reference_of_zeros_without_bias_gives_input_times_gradient_of_relu_networks() -> None:
    torch.manual_seed(2)
    net = Mixed()
    for m in net.modules():  # the mean colour is zero then, and every activation of the reference
        if isinstance(m, nn.BatchNorm3d):
            m.eval()
    model = model_of(net, "conv1", mean=(0.4, 0.6, 0.2))  # whole grey levels: 102, 153, 51
    clips = clips_of(2)
    theirs = InputXGradient(channels="signed")(model, clips, 1)
    for a, b in zip(DeepLIFT(baseline="mean")(model, clips, 1), theirs, strict=True):
        np.testing.assert_allclose(a.values, b.values, rtol=1e-3, atol=1e-4 * np.abs(b.values).max())


@pytest.mark.parametrize(
    ("shown", "want"), [((3.0, 1.0), (1.0, 0.0)), ((1.0, 0.0), (0.0, -1.0)), ((0.0, 2.0), (0.0, 0.0))]
)
def test_max_pools_credit_the_clips_maximum_for_rises_and_the_references_for_falls(
    shown: tuple[float, float], want: tuple[float, float]
) -> None:
    x, reference = torch.tensor([[shown]], requires_grad=True), torch.tensor([[(0.0, 2.0)]])
    run = partial(nn.functional.max_pool1d, kernel_size=2)
    now, seen = (RecordedOperation("max_pool1d", v.detach(), run(v.detach())) for v in (x, reference))
    _Multiplier.apply(x, now, seen, run).sum().backward()
    np.testing.assert_allclose(((x - reference) * x.grad).detach().flatten(), want)


def test_the_rescale_rule_sees_through_saturation() -> None:
    """The paper's example: y = 1 − ReLU(1 − x₁ − x₂) is flat at (1, 1), where its gradient is zero."""

    class Saturates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(3 * 1 * 1 * 2, 1)
            self.head = nn.Linear(1, 2)
            with torch.no_grad():
                self.inside.weight.fill_(-1 / 12)  # voxels run from −2 to 2, three colours each
                self.inside.bias.fill_(0.0)
                self.head.weight.copy_(torch.tensor([[-1.0], [0.0]]))
                self.head.bias.copy_(torch.tensor([1.0, 0.0]))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.inside(x.flatten(1))))

    model = model_of(Saturates(), "head", (1, 1, 2))
    clip = clips_of(1, (1, 1, 2))[0]
    clip.frames[:] = 255
    assert np.allclose(InputXGradient()(model, clip, 0).values, 0)
    np.testing.assert_allclose(DeepLIFT(baseline="black")(model, clip, 0).values, 0.5, atol=1e-4)


def test_a_bright_ground_with_nothing_on_it_gets_no_attribution() -> None:
    """Against black it does, which is an answer about brightness; hence the default."""
    torch.manual_seed(5)
    model, clip = model_of(Plain(), "head"), clips_of(1)[0]
    clip.frames[:] = 200
    assert (
        np.abs(DeepLIFT()(model, clip, 1).values).max()
        < 1e-4 * np.abs(DeepLIFT(baseline="black")(model, clip, 1)).max()
    )


def test_refuses_what_it_has_no_rule_for() -> None:
    clip = clips_of(1)[0]
    for net, what in (
        (Does(nn.GroupNorm(2, 4)), "GroupNorm"),
        (Does(lambda x: x**2), "Pow"),
        (Does(lambda x: 1 / x), "Reciprocal|product"),
        (Does(lambda x: x.max(1, keepdim=True)[0].expand_as(x)), "Max"),
    ):
        with pytest.raises(ModelError, match=what):
            DeepLIFT()(model_of(net, "head"), clip, 0)
    with pytest.raises(DataError, match="green"):
        DeepLIFT(baseline="green")(model_of(Plain(), "head"), clip, 0)


def test_refuses_networks_that_do_other_things_on_the_reference() -> None:
    net = Does(lambda x: x.relu().relu() if float(x.detach().mean()) > 0 else x.relu())
    with torch.no_grad():
        net.conv.weight.abs_()
    clip = clips_of(1)[0]
    clip.frames[:] = 255
    with pytest.raises(ModelError, match="same operations"):
        DeepLIFT(baseline="black")(model_of(net, "head"), clip, 0)


@pytest.mark.parametrize("way", ["sdpa", "einsum", "matmul", "module", "gate", "convlstm", "divided"])
@pytest.mark.parametrize("baseline", ["black", "blur"])
def test_summation_to_delta_through_products_and_attention(way: str, baseline: str) -> None:
    others = {"gate": Gated, "convlstm": lambda: convlstm(4), "divided": lambda: vit_divided(4)}
    grid = (4, 16, 16) if way in ("convlstm", "divided") else (4, 8, 8)
    torch.manual_seed(0)
    model = model_of(
        others.get(way, lambda: Encoder(way))().eval(), "fc" if way in ("convlstm", "divided") else "head", grid
    )
    clips = clips_of(1, grid)
    x, base = to_input(model, stack(clips)), base_input(model, stack(clips), baseline)
    want = float((logits(model, x) - logits(model, base))[0, 1])
    found = DeepLIFT(baseline=baseline)(model, clips[0], 1)
    assert found.values.sum(dtype=np.float64) == pytest.approx(want, rel=5e-3, abs=2e-5)


RECURRENT_NETS = {
    "lstm": lambda: FramesRNN("lstm", bias=True),
    "two layers in both directions": lambda: FramesRNN("lstm", bias=True, both=True, layers=2),
    "gru": lambda: FramesRNN("gru", bias=True, layers=2),
    "tanh": lambda: FramesRNN("tanh"),
    "relu": lambda: FramesRNN("relu"),
    "cells": Cells,
}


@pytest.mark.parametrize("build", RECURRENT_NETS.values(), ids=RECURRENT_NETS)
def test_summation_to_delta_through_recurrent_layers(build: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, clips, targets = model_of(build().eval(), "head", layout="BTCHW"), clips_of(2), [0, 2]
    x, base = to_input(model, stack(clips)), base_input(model, stack(clips), "blur")
    rise = (logits(model, x) - logits(model, base))[torch.arange(2), targets]
    for a, want in zip(DeepLIFT(baseline="blur")(model, clips, targets), rise, strict=True):
        assert a.values.sum(dtype=np.float64) == pytest.approx(float(want), rel=2e-3, abs=2e-6)


def test_an_lstm_of_constant_gates_has_a_closed_form() -> None:
    """Gates of ½ leave c_t = (c_{t−1} + tanh v·x_t) / 2 and the last h = ½ tanh c."""

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(3 * 2 * 2, 1, bias=False, batch_first=True), nn.Linear(1, 2)
            with torch.no_grad():
                self.lstm.weight_hh_l0.zero_()
                self.lstm.weight_ih_l0[[0, 1, 3]] = 0.0  # input, forget and output gate; row 2 is the candidate
                self.head.weight.copy_(torch.tensor([[3.0], [0.0]]))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x.flatten(2))[0][:, -1])

    torch.manual_seed(3)
    net, clip = Halves().eval(), clips_of(1, (4, 2, 2))[0]
    model = model_of(net, "head", (4, 2, 2), layout="BTCHW")
    v = net.lstm.weight_ih_l0[2].detach()
    x, x0 = (f(model, stack([clip]))[0].transpose(0, 1) for f in (to_input, partial(base_input, fill="blur")))
    signals = [(u.flatten(1) @ v).numpy() for u in (x, x0)]
    weights = 0.5 ** np.arange(4, 0, -1)
    c, c0 = ((np.tanh(s) * weights).sum() for s in signals)
    slopes = np.subtract(*np.tanh(signals)) / np.subtract(*signals)
    per_frame = 3.0 * 0.5 * (np.tanh(c) - np.tanh(c0)) / (c - c0) * weights * slopes
    want = (per_frame[:, None] * ((x - x0).flatten(1) * v).numpy()).reshape(4, 3, 2, 2).sum(1)
    found = DeepLIFT(baseline="blur", channels="signed")(model, clip, 0).values
    np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-4 * np.abs(want).max())


def test_an_lstm_equals_the_same_written_out() -> None:
    """A network that computes its gates itself, by sigmoid, tanh and products, which have rules of their own."""

    class Written(nn.Module):
        def __init__(self, lstm: nn.LSTM, head: nn.Linear) -> None:
            super().__init__()
            self.lstm, self.head = lstm, head

        def forward(self, x: Tensor) -> Tensor:
            h, c = x.new_zeros(len(x), 3), x.new_zeros(len(x), 3)
            for frame in x.flatten(2).unbind(1):
                own = nn.functional.linear(frame, self.lstm.weight_ih_l0, self.lstm.bias_ih_l0)
                z = own + nn.functional.linear(h, self.lstm.weight_hh_l0, self.lstm.bias_hh_l0)
                i, f, g, o = z.chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return self.head(h)

    class Fused(Written):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x.flatten(2))[0][:, -1])

    torch.manual_seed(4)
    parts = nn.LSTM(3 * 4 * 4, 3, batch_first=True), nn.Linear(3, 2)
    clip = clips_of(1, (4, 4, 4))[0]
    ours, theirs = (
        DeepLIFT(baseline="mean")(model_of(k(*parts).eval(), "head", (4, 4, 4), layout="BTCHW"), clip, 1).values
        for k in (Fused, Written)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("run", ["softmax", "layer_norm"])
def test_rules_of_several_outputs_are_exact(run: str) -> None:
    """Also where the clip and the reference are far apart, or the same in places."""
    x, x0, m, w = (torch.randn(3, 6, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(4))
    x[0] = x0[0]
    x[1, :3] = x0[1, :3]
    x[2] *= 20
    if run == "softmax":
        rule, f = softmax_rule(x, x0, 1), lambda v: v.softmax(1)
    else:
        rule = layer_norm_rule(x, x0, (1,), w[0], 1e-5)
        f = lambda v: nn.functional.layer_norm(v, (6,), w[0], w[1], 1e-5)  # noqa: E731
    torch.testing.assert_close((rule(m)[0] * (x - x0)).sum(1), (m * (f(x) - f(x0))).sum(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "gate",
    [
        lambda x: x * (x > 0),
        lambda x: x * (x > 0).to(x),
        lambda x: torch.where(x > 0, x, 0),
        lambda x: x.masked_fill(x < 0, 0),
        lambda x: x * x.detach().sign(),
    ],
)
def test_refuses_gates_that_the_network_computes_itself(gate: object) -> None:
    with pytest.raises(ModelError, match="a gate that net computes from its own values"):
        DeepLIFT()(model_of(Does(gate), "head"), clips_of(1)[0], 0)
