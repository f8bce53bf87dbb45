"""LRP against conservation, an independent computation with explicit matrices, and identities."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from relevance_nets import (
    GRID,
    Cells,
    FramesRNN,
    Gated,
    Mixed,
    Plain,
    Shifts,
    clips_of,
    model_of,
    set_running_statistics,
)
from torch import nn

from voxplain.attribution import ALIASES, ATTRIBUTIONS
from voxplain.attribution.gradients.gradient import InputXGradient
from voxplain.attribution.passes import logits, to_input
from voxplain.attribution.relevance import rules
from voxplain.attribution.relevance.lrp import LRP
from voxplain.errors import DataError, ModelError
from voxplain.model import stack
from voxplain.nets import NETS, build_net

RULES = {
    "epsilon": LRP("epsilon", epsilon=1e-6),
    "gamma": LRP("gamma"),
    "alpha_beta": LRP("alpha_beta"),
    "alpha_beta_mild": LRP("alpha_beta", alpha=1.5, beta=0.5, head="same"),
    "z_plus": LRP("z_plus"),
    "flat": LRP(epsilon=1e-6),
    "w_square": LRP(epsilon=1e-6, input_rule="w_square"),
    "z_box": LRP(epsilon=1e-6, input_rule="z_box"),
    "passed": LRP("z_plus", batch_norm="pass"),
    "epsilon_plus": LRP("epsilon_plus", epsilon=1e-6),
    "epsilon_gamma_box": LRP("epsilon_gamma_box", epsilon=1e-6),
    "epsilon_alpha2_beta1": LRP("epsilon_alpha2_beta1", epsilon=1e-6),
    "epsilon_alpha2_beta1_flat": LRP("epsilon_alpha2_beta1_flat", epsilon=1e-6),
}


@pytest.mark.parametrize("method", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    "build",
    [Mixed, partial(Mixed, inplace=True), Gated, lambda: build_net("compact", 4), lambda: build_net("tiny", 4)],
    ids=["mixed", "in place", "gated", "compact", "tiny"],
)
def test_relevance_is_conserved_without_bias(method: LRP, build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    net = set_running_statistics(build())
    for m in net.modules():
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)
    grid = (8, 16, 16) if hasattr(net, "stem") or hasattr(net, "block1") else GRID
    clips = clips_of(2, grid)
    model = model_of(net, next(name for name, m in net.named_modules() if isinstance(m, nn.Conv3d)), grid)
    x = to_input(model, stack(clips))
    for target in (0, 2):
        if not bool((logits(model, x)[:, target].abs() > 1e-3).all()):
            continue
        for found, z in zip(method(model, clips, target), logits(model, x)[:, target], strict=True):
            assert found.details["start"] == pytest.approx(float(z), rel=1e-5)
            assert found.values.sum(dtype=np.float64) == pytest.approx(float(z), rel=1e-4)
            assert abs(found.details["conservation_gap"]) < 1e-4
            assert np.abs(found.values).max() > 0


@pytest.mark.parametrize(
    "rule",
    [
        partial(rules.epsilon, share=0.25),
        partial(rules.gamma, share=0.25),
        partial(rules.alpha_beta, alpha=2.0, beta=1.0),
        rules.z_plus,
    ],
    ids=["epsilon", "gamma", "alpha_beta", "z_plus"],
)
def test_a_bias_has_the_relevance_of_an_input_that_is_one(rule: rules.Rule) -> None:
    torch.manual_seed(0)
    x, w, b, r = torch.randn(3, 5), torch.randn(4, 5), torch.randn(4), torch.randn(3, 4)
    linear = nn.functional.linear
    own, biases = rule(rules.Affine(linear, w, b, (-1,)), x, r, None)
    more = torch.cat([x, torch.ones(3, 1)], 1), torch.cat([w, b[:, None]], 1)
    whole, none = rule(rules.Affine(linear, more[1], None, (-1,)), more[0], r, None)
    torch.testing.assert_close(own, whole[:, :5], rtol=1e-4, atol=1e-5)
    assert biases == pytest.approx(float(whole[:, 5].sum()), rel=1e-4)
    assert none == 0


@pytest.mark.parametrize("method", [m for name, m in RULES.items() if name != "passed"])
def test_with_biases_what_they_take_is_what_is_missing(method: LRP) -> None:
    torch.manual_seed(2)
    net = set_running_statistics(Mixed(bias=True), shift=True)
    model, clips = model_of(net, "conv1"), clips_of(1)
    found = method(model, clips[0], 1)
    missing = found.details["start"] - found.values.sum(dtype=np.float64)
    assert found.details["constants"] == pytest.approx(missing, rel=1e-3, abs=1e-4 * abs(found.details["start"]))
    assert abs(missing) > 0.01 * abs(found.details["start"])


@pytest.mark.parametrize("name", ["r3d", "i3d"])
def test_the_large_networks_conserve_too(name: str) -> None:
    torch.manual_seed(0)
    model = model_of(set_running_statistics(build_net(name, 3)), NETS[name].feature_layer, (8, 32, 32))
    found = LRP(input_rule="z_box")(model, clips_of(1, model.grid)[0], 1)
    assert abs(found.details["conservation_gap"]) < 1e-4


# ---- an independent computation: every layer a matrix, every rule its definition, one unit at a time


def _matrix(layer: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a linear map, column by column."""
    columns = torch.eye(int(np.prod(shape))).view(-1, *shape)
    return layer(columns).flatten(1).T.double().numpy()


def _share(w: np.ndarray, b: np.ndarray, x: np.ndarray, r: np.ndarray, rule: str, **k: Any) -> np.ndarray:
    found = np.zeros_like(x)
    y = w @ x + b
    eps = k.get("epsilon", 0.0) * np.sqrt(np.mean(y**2))
    for i in range(len(w)):
        c = w[i] * x
        up, down = c.clip(min=0), c.clip(max=0)
        if rule == "epsilon":
            found += c / (y[i] + (eps if y[i] >= 0 else -eps)) * r[i]
        elif rule == "gamma":
            favoured, bias = (up, max(b[i], 0)) if y[i] >= 0 else (down, min(b[i], 0))
            part = c + k["gamma"] * favoured
            found += part / (c.sum() + b[i] + k["gamma"] * (favoured.sum() + bias)) * r[i]
        elif rule == "z_plus":
            total = up.sum() + max(b[i], 0)
            found += up / total * r[i] if total > 0 else 0
        elif rule == "alpha_beta":
            p, n = up.sum() + max(b[i], 0), down.sum() + min(b[i], 0)
            alpha, beta = (2, 1) if p > 0 > n else (1, -1)
            found += (alpha * up / p * r[i] if p > 0 else 0) - (beta * down / n * r[i] if n < 0 else 0)
        elif rule == "flat":
            seen = w[i] != 0
            found += seen / seen.sum() * r[i]
        elif rule == "w_square":
            found += w[i] ** 2 / (w[i] ** 2).sum() * r[i]
        elif rule == "z_box":
            part = c - k["low"] * w[i].clip(min=0) - k["high"] * w[i].clip(max=0)
            found += part / part.sum() * r[i]
    return found


def _by_hand(net: Plain, x: torch.Tensor, target: int, first: str, conv: str, dense: str, **k: Any) -> np.ndarray:
    with torch.no_grad():
        a0 = x[None]
        a1 = net.conv(a0).relu()
        a2, a3 = net.pool(a1), net.hidden(net.flatten(net.pool(a1))).relu()
        no_bias = partial(
            nn.functional.conv3d, weight=net.conv.weight, stride=net.conv.stride, padding=net.conv.padding
        )
        shape = tuple(a1.shape[1:])
        steps = [
            (_matrix(no_bias, (3, *GRID)), net.conv.bias.repeat_interleave(int(np.prod(shape[1:]))), a0, first),
            (_matrix(net.pool, shape), torch.zeros(48), a1, "z_plus"),
            (net.hidden.weight, net.hidden.bias, a2, dense),
            (net.head.weight, net.head.bias, a3, "lrp_0"),
        ]
        r = np.zeros(3)
        r[target] = float(net(a0)[0, target])
    for w, b, a, rule in reversed(steps):
        args = [np.asarray(v.detach() if isinstance(v, torch.Tensor) else v, dtype=np.float64) for v in (w, b)]
        own = {**k, "epsilon": 0.0} if rule == "lrp_0" else k
        r = _share(*args, a.flatten().double().numpy(), r, "epsilon" if rule == "lrp_0" else rule, **own)
    return r.reshape(3, *GRID).sum(0)


@pytest.mark.parametrize(
    ("method", "first", "conv", "dense"),
    [
        (LRP("epsilon", epsilon=0.1), "epsilon", "epsilon", "epsilon"),
        (LRP("gamma", gamma=0.4), "gamma", "gamma", "gamma"),
        (LRP("alpha_beta"), "alpha_beta", "alpha_beta", "alpha_beta"),
        (LRP("z_plus"), "z_plus", "z_plus", "z_plus"),
        (LRP(epsilon=0.1), "flat", "z_plus", "epsilon"),
        (LRP(epsilon=0.1, input_rule="w_square"), "w_square", "z_plus", "epsilon"),
        (LRP(epsilon=0.1, input_rule="z_box"), "z_box", "z_plus", "epsilon"),
        (LRP("epsilon_plus", epsilon=0.1), "z_plus", "z_plus", "epsilon"),
        (LRP("epsilon_gamma_box", epsilon=0.1, gamma=0.4), "z_box", "gamma", "epsilon"),
        (LRP("epsilon_alpha2_beta1", epsilon=0.1, alpha=1.5, beta=0.5), "alpha_beta", "alpha_beta", "epsilon"),
        (LRP("epsilon_alpha2_beta1_flat", epsilon=0.1), "flat", "alpha_beta", "epsilon"),
    ],
    ids=lambda v: f"{v.rule}-{v.input_rule}" if isinstance(v, LRP) else "",
)
def test_equal_to_explicit_matrices(method: LRP, first: str, conv: str, dense: str) -> None:
    torch.manual_seed(3)
    net = Plain().eval()
    model = model_of(net, "pool")
    clips = clips_of(2)
    for clip, x in zip(clips, to_input(model, stack(clips)), strict=True):
        for target in range(3):
            want = _by_hand(net, x, target, first, conv, dense, gamma=0.4, epsilon=0.1, low=-2.0, high=2.0)
            got = method(model, clip, target).values
            np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-4 * np.abs(want).max())


# ---- identities


@pytest.mark.parametrize("inplace", [False, True])
def test_lrp_0_is_input_times_gradient_without_bias(inplace: bool) -> None:
    torch.manual_seed(2)
    model, clips = model_of(set_running_statistics(Mixed(inplace=inplace)), "conv1"), clips_of(2)
    other = InputXGradient(channels="signed")(model, clips, 1)
    for got, want in zip(LRP("epsilon", epsilon=1e-7)(model, clips, 1), other, strict=True):
        np.testing.assert_allclose(got.values, want.values, rtol=1e-3, atol=1e-4 * np.abs(want.values).max())


@pytest.mark.parametrize("name", [name for name in RULES if name != "passed"])
def test_in_place_operations_and_folded_batch_norm_change_nothing(name: str) -> None:
    method = RULES[name]
    torch.manual_seed(4)
    net, clips = set_running_statistics(Mixed(bias=True), shift=True).eval(), clips_of(2)
    folded = Mixed(bias=True).eval()
    folded.load_state_dict(net.state_dict())
    for conv, bn in (("conv1", "bn1"), ("conv2", "bn2")):
        setattr(folded, conv, nn.utils.fuse_conv_bn_eval(getattr(folded, conv), getattr(folded, bn)))
        setattr(folded, bn, nn.Identity())
    written = Mixed(bias=True, inplace=True).eval()
    written.load_state_dict(net.state_dict())
    maps = [method(model_of(n, "conv1"), clips, 3) for n in (net, folded, written)]
    for a, b, c in zip(*maps, strict=True):
        scale = np.abs(a.values).max()
        np.testing.assert_allclose(b.values, a.values, rtol=1e-3, atol=1e-4 * scale)
        np.testing.assert_array_equal(c.values, a.values)


def test_passing_over_batch_norm_differs_from_folding_it() -> None:
    model, clip = model_of(set_running_statistics(Mixed(), shift=True), "conv1"), clips_of(1)[0]
    a, b = LRP("z_plus")(model, clip, 0).values, LRP("z_plus", batch_norm="pass")(model, clip, 0).values
    assert not np.allclose(a, b, rtol=1e-2, atol=1e-3 * np.abs(a).max())


@pytest.mark.parametrize("kind", ["relu", "tanh", "gru", "lstm"])
@pytest.mark.parametrize("both", [False, True])
def test_relevance_goes_through_recurrent_layers(kind: str, both: bool) -> None:
    torch.manual_seed(5)
    net = FramesRNN(kind, both=both, layers=2 if both else 1)
    model = model_of(net, "head", layout="BTCHW")
    found = LRP("epsilon", epsilon=1e-7)(model, clips_of(3), [0, 1, 2])
    assert all(abs(a.details["conservation_gap"]) < 1e-3 for a in found)
    alone = LRP("epsilon", epsilon=1e-7)(model, clips_of(3)[1], 1)
    np.testing.assert_allclose(alone.values, found[1].values, rtol=1e-3, atol=1e-5 * np.abs(alone.values).max())


def test_relevance_goes_through_recurrent_cells() -> None:
    torch.manual_seed(6)
    found = LRP("epsilon", epsilon=1e-7)(model_of(Cells(), "head", layout="BTCHW"), clips_of(1)[0], 0)
    assert abs(found.details["conservation_gap"]) < 1e-3
    assert (np.abs(found.values).sum((1, 2)) > 0).all()


@pytest.mark.parametrize("method", [m for name, m in RULES.items() if name != "alpha_beta_mild"])
def test_relevance_goes_through_shifted_frames(method: LRP) -> None:
    torch.manual_seed(9)
    model, clips = model_of(Shifts(), "head", layout="BTCHW"), clips_of(2)
    for i, found in enumerate(method(model, clips, [0, 1])):
        assert abs(found.details["conservation_gap"]) < 1e-3
        alone = method(model, clips[i], i).values
        np.testing.assert_allclose(alone, found.values, rtol=1e-3, atol=1e-5 * np.abs(alone).max())


def test_input_rules_need_the_clip_as_the_model_gives_it() -> None:
    """flat and w² need no colours; z^B needs to know what black and white have become."""

    class Own(Mixed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward((x - 0.1) / 0.7)

    model, clip = model_of(set_running_statistics(Own()), "conv1"), clips_of(1)[0]
    with pytest.raises(ModelError, match="as the model normalises it"):
        LRP(input_rule="z_box")(model, clip, 1)
    flat, same = (LRP(input_rule=rule)(model, clip, 1).values for rule in ("flat", "same"))
    assert not np.allclose(flat, same, rtol=0.1, atol=1e-3 * np.abs(flat).max())


def test_start_follows_the_objective() -> None:
    torch.manual_seed(8)
    model, clip = model_of(set_running_statistics(Mixed()), "conv1"), clips_of(1)[0]
    z = logits(model, to_input(model, stack([clip])))[0].requires_grad_()
    z.softmax(0)[2].backward()
    want = z.detach() * z.grad
    maps = [LRP("epsilon", epsilon=1e-7)(model, clip, k) for k in range(4)]
    mixed = sum(m.values / m.details["start"] * float(r) for m, r in zip(maps, want, strict=True))
    got = LRP("epsilon", epsilon=1e-7, objective="probability")(model, clip, 2)
    assert got.details["start"] == pytest.approx(float(want.sum()), rel=1e-4, abs=1e-7)
    np.testing.assert_allclose(got.values, mixed, rtol=1e-3, atol=1e-4 * np.abs(mixed).max())


@pytest.mark.parametrize(
    "wrong",
    [{"rule": "zennit"}, {"alpha": 3.0}, {"epsilon": -1.0}, {"input_rule": "box"}, {"head": "x"}, {"batch_norm": "x"}],
)
def test_refuses_parameters(wrong: dict) -> None:
    with pytest.raises(DataError, match="expected"):
        LRP(**wrong)


def test_the_earlier_name_of_the_combined_rule() -> None:
    with pytest.raises(DataError, match="composite is now epsilon_plus_flat"):
        LRP("composite")
    assert ALIASES["lrp_composite"] == "lrp_epsilon_plus_flat"
    assert ATTRIBUTIONS["lrp_epsilon_plus_flat"]() == LRP()
    assert set(ALIASES.values()) <= set(ATTRIBUTIONS)
    assert not set(ALIASES) & set(ATTRIBUTIONS)
