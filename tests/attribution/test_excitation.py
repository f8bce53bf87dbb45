"""Excitation backprop: a probability at every layer, equal to the paper's formula written out unit by unit."""

import numpy as np
import pytest
import torch
from relevance_nets import FramesRNN, Mixed, Plain, clips_of, model_of, set_running_statistics
from torch import Tensor, nn

from small_nets import LinearNet
from voxplain.attribution.passes import to_input
from voxplain.attribution.reduce import upsample
from voxplain.attribution.relevance.excitation_backprop import ExcitationBackprop, _rules
from voxplain.attribution.relevance.excitation_backprop_rnn import ExcitationBackpropRNN
from voxplain.attribution.relevance.relevance_pass import record_pass
from voxplain.errors import DataError, ModelError
from voxplain.model import stack


def excitable(net: nn.Module, *names: str) -> nn.Module:
    """The network with named layers' weights or biases moved up, so that every unit has something that excites it."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.startswith(names):
                p.add_(0.2 if p.ndim > 1 else 1.0)
    return net


@pytest.mark.parametrize("layer", [None, "bn1", "fc1", "drop", "avg", "side"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_probability_at_every_layer(layer: str | None, seed: int) -> None:
    torch.manual_seed(seed)
    net = excitable(set_running_statistics(Mixed(bias=True), shift=True), "fc1.bias")
    model, clips = model_of(net, "conv1"), clips_of(2)
    with record_pass(model, to_input(model, stack(clips)), _rules(1), layer=layer) as trace:
        start = torch.zeros_like(trace.logits)
        start[:, 1] = 1
        (found,) = trace.back(start)
    assert bool((found >= 0).all())
    total = found.flatten(1).sum(1)
    if layer in ("avg", "side"):  # another branch has the rest
        assert bool(((total < 1) & (total > 0.01)).all())
    else:
        np.testing.assert_allclose(total.numpy(), 1, rtol=1e-4)


def test_branches_share_the_probability() -> None:
    torch.manual_seed(0)
    model, clip = model_of(set_running_statistics(Mixed()), "conv1"), clips_of(1)
    parts = []
    for layer in ("avg", "side"):
        with record_pass(model, to_input(model, stack(clip)), _rules(1), layer=layer) as trace:
            start = torch.zeros_like(trace.logits)
            start[:, 2] = 1
            parts.append(float(sum(p.sum() for p in trace.back(start))))
    assert sum(parts) == pytest.approx(1, rel=1e-4)


def _step(w: np.ndarray, x: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The paper's equation, winner by winner."""
    found = np.zeros_like(x)
    for i, row in enumerate(w):
        pull = row.clip(min=0) * x
        if pull.sum() > 0:
            found += pull / pull.sum() * p[i]
    return found


def _dense(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    eye = torch.eye(int(np.prod(shape))).view(-1, *shape)
    bias, layer.bias = getattr(layer, "bias", None), None
    columns = layer(eye).detach().flatten(1).T.numpy().astype(np.float64)
    layer.bias = bias
    return columns


def _by_hand(net: Plain, x: Tensor, target: int, sign: int) -> np.ndarray:
    net = net.eval()
    with torch.no_grad():
        a1 = net.relu(net.conv(x[None]))
        a2 = net.flatten(net.pool(a1))
        a3 = net.act(net.hidden(a2))
    p = _step(sign * net.head.weight.detach().numpy()[target : target + 1], a3[0].double().numpy(), np.ones(1))
    p = _step(net.hidden.weight.detach().numpy(), a2[0].double().numpy(), p)
    p = _step(_dense(net.pool, tuple(a1.shape[1:])), a1.flatten().double().numpy(), p)
    above_black = (x + 2).flatten().double().numpy()  # black is (0 − 0.5) / 0.25
    return _step(_dense(net.conv, tuple(x.shape)), above_black, p).reshape(x.shape).sum(0)


@pytest.mark.parametrize("target", range(3))
@pytest.mark.parametrize("contrastive", [False, True])
def test_equal_to_the_formula_unit_by_unit(target: int, contrastive: bool) -> None:
    torch.manual_seed(3)
    net = excitable(Plain(), "hidden.bias")
    model, clips = model_of(net, "pool"), clips_of(2)
    found = ExcitationBackprop(layer="input", contrastive=contrastive)(model, clips, target)
    for a, x in zip(found, to_input(model, stack(clips)), strict=True):
        want = _by_hand(net, x, target, 1)
        if contrastive:
            want = (want - _by_hand(net, x, target, -1)).clip(min=0)
        np.testing.assert_allclose(a.values, want, rtol=1e-3, atol=1e-4 * want.max())
        assert a.method == ("contrastive_" if contrastive else "") + "excitation_backprop"
        assert a.details["mass"] == pytest.approx(0 if contrastive else 1, abs=1e-4)


def test_a_linear_network_has_a_closed_form() -> None:
    net = LinearNet()
    with torch.no_grad():
        net.feature.weight.abs_()
        net.feature.bias.fill_(50)  # takes no part, but makes the features positive
    model, clip = model_of(net, "feature"), clips_of(1)[0]
    x = to_input(model, stack([clip]))[0]
    with torch.no_grad():
        f = net.feature(x.flatten()[None])[0].clamp(min=0)
        w = net.head.weight[2].clamp(min=0) * f
        share = net.feature.weight * (x.flatten() + 2)
        want = ((w / w.sum()) @ (share / share.sum(1, keepdim=True))).view(3, 4, 8, 8).sum(0)
    got = ExcitationBackprop(layer="input")(model, clip, 2).values
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=1e-7)


def test_maps_at_a_layer_are_sums_over_its_channels() -> None:
    torch.manual_seed(0)
    model, clips = model_of(set_running_statistics(Mixed(bias=True), shift=True), "conv1"), clips_of(2)
    found = ExcitationBackprop(layer="conv1", batch_norm="pass")(model, clips, [0, 3])
    for a, clip, target in zip(found, clips, [0, 3], strict=True):
        with record_pass(model, to_input(model, stack([clip])), _rules(1), layer="conv1", fold=False) as trace:
            start = torch.zeros_like(trace.logits)
            start[:, target] = 1
            want = upsample(trace.back(start)[0].sum(1), model.grid)[0]
        np.testing.assert_allclose(a.values, want.numpy(), rtol=1e-5, atol=1e-8)
        assert a.details["layer"] == "conv1"


@pytest.mark.parametrize("contrastive", [False, True])
def test_folding_changes_nothing_where_scales_are_positive(contrastive: bool) -> None:
    torch.manual_seed(0)
    net, clips = set_running_statistics(Mixed(bias=True), shift=True), clips_of(2)

    def maps(way: str) -> np.ndarray:
        method = ExcitationBackprop(layer="input", contrastive=contrastive, batch_norm=way)  # type: ignore[arg-type]
        return np.stack([a.values for a in method(model_of(net, "conv1"), clips, 2)])

    np.testing.assert_allclose(maps("fold"), maps("pass"), rtol=1e-3, atol=1e-7)
    with torch.no_grad():
        net.bn1.weight[:3] *= -1
    assert not np.allclose(maps("fold"), maps("pass"), rtol=1e-2, atol=1e-6)


# ---- over time


def _rnn_by_hand(net: FramesRNN, x: Tensor, target: int) -> np.ndarray:
    """Probability of each frame's features of an RNN with ReLU, rescaled to T: [T,F]."""
    with torch.no_grad():
        f = net.pool(net.relu(net.conv(x))).flatten(1).double().numpy()
        w, u = (net.rnn.get_parameter(n).double().numpy() for n in ("weight_ih_l0", "weight_hh_l0"))
        hs, h = [], np.zeros(7)
        for t in range(len(f)):
            hs.append(h)
            h = (w @ f[t] + u @ h).clip(min=0)
        p = _step(net.head.weight.double().numpy()[target : target + 1], h, np.ones(1))
    found = np.zeros_like(f)
    for t in reversed(range(len(f))):
        both = _step(np.concatenate([w, u], 1), np.concatenate([f[t], hs[t]]), p)
        found[t], p = both[: f.shape[1]], both[f.shape[1] :]
    return found * len(f) / found.sum()


def test_the_recurrent_part_equals_the_formula_step_by_step() -> None:
    torch.manual_seed(4)
    net, clip = FramesRNN("relu").eval(), clips_of(1)[0]
    model = model_of(net, "head", layout="BTCHW")
    x = to_input(model, stack([clip])).transpose(1, 2)[0]
    want = _rnn_by_hand(net, x, 1).sum(1)
    found = ExcitationBackpropRNN(layer="input")(model, clip, 1)
    np.testing.assert_allclose(found.values.sum((1, 2)), want, rtol=1e-3)
    assert found.details["mass"] == pytest.approx(len(want), rel=1e-3)
    at_layer = ExcitationBackpropRNN()(model, clip, 1)
    assert at_layer.details["layer"] == "relu"
    assert at_layer.details["mass"] == pytest.approx(len(want), rel=1e-3)


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
@pytest.mark.parametrize("bias", [False, True])
def test_all_recurrent_layers_give_a_distribution_over_frames(kind: str, bias: bool) -> None:
    torch.manual_seed(5)
    model = model_of(excitable(FramesRNN(kind, bias=bias, layers=2), "rnn", "head.weight"), "head", layout="BTCHW")
    clips = clips_of(3)
    for layer in ("input", "conv"):
        found = ExcitationBackpropRNN(layer=layer)(model, clips, [0, 1, 2])
        for i, a in enumerate(found):
            assert a.values.min() >= 0
            assert a.details["mass"] == pytest.approx(4, rel=1e-3)
            alone = ExcitationBackpropRNN(layer=layer)(model, clips[i], i)
            np.testing.assert_allclose(alone.values, a.values, rtol=1e-3, atol=1e-6)
    rescaled = ExcitationBackpropRNN(layer="input")(model, clips[0], 0).values
    plain = ExcitationBackprop(layer="input")(model, clips[0], 0)
    np.testing.assert_allclose(plain.values * 4 / plain.details["mass"], rescaled, rtol=1e-3, atol=1e-6)


def test_a_contrast_over_time_is_of_maps_of_equal_mass() -> None:
    torch.manual_seed(6)
    model, clip = model_of(excitable(FramesRNN("lstm"), "rnn"), "head", layout="BTCHW"), clips_of(1)[0]
    found = ExcitationBackpropRNN(layer="input", contrastive=True)(model, clip, 0)
    assert found.details["mass"] == pytest.approx(0, abs=1e-3)
    assert found.values.min() == 0 < found.values.max()


def test_refuses_networks_without_recurrent_layers_and_unknown_options() -> None:
    with pytest.raises(ModelError, match="RNN, LSTM or GRU"):
        ExcitationBackpropRNN()(model_of(set_running_statistics(Mixed()), "conv1"), clips_of(1)[0], 0)

    class Unused(Mixed):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(2, 2)

    with pytest.raises(ModelError, match="that run"):
        ExcitationBackpropRNN()(model_of(set_running_statistics(Unused()), "conv1"), clips_of(1)[0], 0)
    for method in (ExcitationBackprop, ExcitationBackpropRNN):
        with pytest.raises(DataError, match="batch_norm"):
            method(batch_norm="skip")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="bn9"):
        ExcitationBackprop(layer="bn9")(model_of(set_running_statistics(Mixed()), "conv1"), clips_of(1)[0], 0)
