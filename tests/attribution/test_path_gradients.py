"""Integrated gradients, along light, along blur and guided: closed forms, completeness, captum."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from map_nets import clip, inputs, model
from small_nets import GRID, ConvNet, LinearNet
from voxplain.attribution import BlurIntegratedGradients, GuidedIG, IntegratedGradients
from voxplain.attribution.gradients.blur_integrated_gradients import blurred
from voxplain.attribution.gradients.guided_integrated_gradients import _advance
from voxplain.attribution.gradients.path import RULES, nodes
from voxplain.attribution.passes import base_input
from voxplain.errors import DataError


def slope(net: LinearNet, y: int) -> Tensor:
    """∂ logit/∂x of the linear network, [3,T,H,W]."""
    return (net.head.weight[y] @ net.feature.weight).detach().view(3, *GRID)


def base_of(m, c, fill: str) -> Tensor:
    return base_input(m, c.frames[None], fill)


# --- rules ---


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_integrates_constants_and_converges_on_a_square(rule):
    at, weights = nodes(rule, 40)
    assert len(at) == len(weights) == 40
    assert weights.sum() == pytest.approx(1)
    assert 0 <= at.min() <= at.max() <= 1
    assert weights @ at**2 == pytest.approx(1 / 3, abs=0.02)


def test_rules_have_their_order_of_exactness():
    for rule, power in (("middle", 1), ("trapezoid", 1), ("gauss_legendre", 9)):
        at, weights = nodes(rule, 5)
        assert weights @ at**power == pytest.approx(1 / (power + 1), abs=1e-12)
    np.testing.assert_allclose(nodes("left", 4)[0], [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(nodes("right", 4)[0], [0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(("rule", "steps"), [("simpson", 4), ("middle", 0), ("trapezoid", 1)])
def test_unknown_rules_and_too_few_steps_are_refused(rule, steps):
    with pytest.raises(DataError):
        nodes(rule, steps)


# --- integrated gradients ---


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("fill", ["black", "mean", "grey", "blur"])
def test_on_a_linear_network_it_is_the_difference_times_the_weights(rule, fill):
    net = LinearNet()
    m, c = model(net), clip()
    found = IntegratedGradients(steps=3, rule=rule, baseline=fill, channels="signed")(m, c, 2)
    truth = ((inputs(m, c) - base_of(m, c, fill))[0] * slope(net, 2)).sum(0)
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-4, atol=1e-6)
    assert found.details["completeness_gap"] < 1e-4


def test_several_baselines_are_averaged():
    m, c = model(ConvNet()), clip()
    ways = [IntegratedGradients(baseline=b, channels="signed")(m, c, 1) for b in ("black", "blur", ("black", "blur"))]
    np.testing.assert_allclose(ways[2].values, (ways[0].values + ways[1].values) / 2, rtol=1e-4, atol=1e-7)
    assert np.abs(ways[0].values - ways[1].values).max() > 1e-4
    with pytest.raises(DataError, match="baseline"):
        IntegratedGradients(baseline=())(m, c, 1)
    with pytest.raises(DataError, match="fill"):
        IntegratedGradients(baseline="pink")(m, c, 1)


@pytest.mark.parametrize("fill", ["black", "mean", "blur"])
def test_it_is_complete_on_a_network_of_convolutions(fill):
    m = model(ConvNet())
    for seed in range(3):
        c = clip(seed)
        with torch.no_grad():
            rises = (m.net(inputs(m, c)) - m.net(base_of(m, c, fill)))[0]
        y = int(rises.abs().argmax())
        rise = float(rises[y])
        found = IntegratedGradients(steps=100, baseline=fill, channels="signed")(m, c, y)
        assert found.values.sum(dtype=np.float64) == pytest.approx(rise, rel=0.01)
        gap = abs(found.values.sum(dtype=np.float64) - rise) / abs(rise)
        assert found.details["completeness_gap"] == pytest.approx(gap, abs=1e-3)


def test_more_steps_close_the_gap_and_absolute_values_do_not_hide_it():
    m, c = model(ConvNet()), clip(3)
    few, many = (IntegratedGradients(steps=s, rule="left")(m, c, 0).details["completeness_gap"] for s in (2, 64))
    assert many < few / 4


def test_it_agrees_with_captum():
    from captum.attr import IntegratedGradients as Captum

    m, c = model(ConvNet()), clip(4)
    found = IntegratedGradients(steps=7, rule="gauss_legendre", baseline="black", channels="signed")(m, c, 3)
    x = inputs(m, c)
    other = Captum(m.net).attribute(x, base_of(m, c, "black"), target=3, n_steps=7, method="gausslegendre")
    np.testing.assert_allclose(found.values, other[0].detach().sum(0).numpy(), rtol=1e-3, atol=1e-6)


# --- blur ---


def test_blur_is_scipys_also_over_time():
    x = inputs(model(LinearNet()), clip(1))
    frame = gaussian_filter(x.numpy(), (0, 0, 0, 1.7, 1.7), mode="reflect")
    np.testing.assert_allclose(blurred(x, 1.7, "frame").numpy(), frame, atol=1e-5)
    volume = gaussian_filter(x.numpy(), (0, 0, 1.7 * 4 / 8, 1.7, 1.7), mode="reflect")
    np.testing.assert_allclose(blurred(x, 1.7, "volume").numpy(), volume, atol=1e-5)
    assert torch.equal(blurred(x, 0.0, "volume"), x)


@pytest.mark.parametrize("blur", ["frame", "volume"])
def test_blur_on_a_linear_network_is_the_lost_detail_times_the_weights(blur):
    net = LinearNet()
    m, c = model(net), clip(1)
    found = BlurIntegratedGradients(steps=4, blur=blur, channels="signed")(m, c, 0)
    x = inputs(m, c)
    truth = ((x - blurred(x, 50 * 8 / 112, blur))[0] * slope(net, 0)).sum(0)
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-3, atol=1e-5)
    assert found.details["completeness_gap"] < 1e-3


@pytest.mark.parametrize("blur", ["frame", "volume"])
def test_blur_is_complete_with_the_right_sign(blur):
    m, c = model(ConvNet()), clip(2)
    found = BlurIntegratedGradients(steps=40, blur=blur, channels="signed")(m, c, 2)
    x = inputs(m, c)
    with torch.no_grad():
        rise = float((m.net(x) - m.net(blurred(x, 50 * 8 / 112, blur)))[0, 2])
    assert found.values.sum(dtype=np.float64) == pytest.approx(rise, rel=0.02)
    assert found.details["completeness_gap"] < 0.02


def test_blur_by_the_studys_rule_is_the_studys_sum_with_the_sign_turned():
    m, c, steps = model(ConvNet()), clip(5), 6
    method = BlurIntegratedGradients(steps=steps, rule="left", spacing="linear", channels="signed")
    x, total, sigma = inputs(m, c).numpy(), 0.0, 50 * 8 / 112 / steps

    def at(s: float) -> np.ndarray:
        return gaussian_filter(x, (0, 0, 0, s, s), mode="reflect") if s else x

    for i in range(steps):
        leaf = torch.from_numpy(at(i * sigma)).clone().requires_grad_()
        (g,) = torch.autograd.grad(m.net(leaf)[0, 1], leaf)
        total = total + sigma * (at(i * sigma + 0.01) - at(i * sigma)) / 0.01 * g.numpy()
    np.testing.assert_allclose(method(m, c, 1).values, -total[0].sum(0), rtol=2e-2, atol=2e-4)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"max_sigma": 0}, {"blur": "time"}, {"rule": "right"}, {"spacing": "x"}]
)
def test_blur_refuses_wrong_options(wrong):
    with pytest.raises(DataError):
        BlurIntegratedGradients(**wrong)(model(ConvNet()), clip(), 0)


# --- guided ---


def test_guided_ig_on_a_linear_network_is_integrated_gradients():
    net = LinearNet()
    m, c = model(net), clip(1)
    found = GuidedIG(steps=5, baseline="black", channels="signed")(m, c, 1)
    truth = ((inputs(m, c) - base_of(m, c, "black"))[0] * slope(net, 1)).sum(0)
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-3, atol=1e-5)


def test_guided_ig_that_moves_everything_at_once_is_integrated_gradients():
    m, c = model(ConvNet()), clip(2)
    for guided_rule, steps in (("left", 9), ("trapezoid", 10)):
        guided = GuidedIG(steps=9, fraction=1.0, rule=guided_rule, baseline="black", channels="signed")(m, c, 1)
        straight = IntegratedGradients(steps=steps, rule=guided_rule, baseline="black", channels="signed")(m, c, 1)
        np.testing.assert_allclose(guided.values, straight.values, rtol=1e-3, atol=1e-5)


def test_guided_ig_takes_another_path_that_is_complete_too():
    m, c = model(ConvNet()), clip(2)
    guided = GuidedIG(steps=60, max_distance=0.2, baseline="black", channels="signed")(m, c, 4)
    straight = IntegratedGradients(steps=60, baseline="black", channels="signed")(m, c, 4)
    assert guided.details["completeness_gap"] < 0.05
    rise = float(np.diff([m.net(v).detach()[0, 4] for v in (base_of(m, c, "black"), inputs(m, c))])[0])
    assert guided.values.sum(dtype=np.float64) == pytest.approx(rise, rel=0.05)
    assert np.abs(guided.values - straight.values).max() > 0.01 * np.abs(straight.values).max()


def test_the_first_step_is_taken_by_the_smallest_gradients():
    net, seen = LinearNet(), []
    m, c = model(net).settled(), clip(1)
    net.register_forward_hook(lambda _, args, __: seen.append(args[0].detach().clone()))
    GuidedIG(steps=8, max_distance=1.0, baseline="black")(m, c, 1)
    moved, w = (seen[1] != seen[0])[0], slope(net, 1).abs()
    assert 0.02 < moved.float().mean() < 0.4
    still = ~moved & (inputs(m, c)[0] != seen[0][0])
    assert w[moved].max() <= w[still].min() * 1.001


def test_the_least_sensitive_values_move_first():
    size, distance = np.array([4.0, 1.0, 3.0, 2.0]), np.ones(4)
    options = {"low": 0.0, "high": 1.0, "fraction": 0.25}
    step = _advance(np.zeros(4), distance, size, left=2.5, **options)
    np.testing.assert_allclose(step, [0, 1, 0, 0.5])
    narrow = _advance(np.zeros(4), distance, size, low=0.1, high=0.6, left=2.5, fraction=0.25)
    np.testing.assert_allclose(narrow, [0.1, 0.6, 0.2, 0.6])
    np.testing.assert_allclose(_advance(step, distance, size, left=0.0, **options), 1)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"fraction": 0.0}, {"max_distance": 2.0}, {"rule": "middle"}])
def test_guided_ig_refuses_wrong_options(wrong):
    with pytest.raises(DataError):
        GuidedIG(**wrong)(model(ConvNet()), clip(), 0)


# --- all three ---

METHODS = [IntegratedGradients(steps=6), BlurIntegratedGradients(steps=6), GuidedIG(steps=6)]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_batch_size_bounds_memory_and_changes_nothing(method):
    torch.manual_seed(1)
    net, some, most = ConvNet(), [clip(i) for i in range(3)], []
    net.register_forward_hook(lambda _, args, __: most.append(len(args[0])))
    alone = method(model(net, batch_size=1), some, [0, 1, 2])
    assert max(most) == 1
    wide = method(model(net, batch_size=8), some, [0, 1, 2])
    assert max(most) <= 8
    for one, other in zip(alone, wide, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_they_run_where_nothing_is_recorded_and_on_frozen_networks_in_place(method):
    c = clip(2, (4, 8, 12))
    net = ConvNet(inplace=True)
    net.requires_grad_(False)
    m = model(net, grid=(4, 8, 12))
    plain = method(m, c, 1)
    with torch.inference_mode():
        np.testing.assert_array_equal(method(m, c, 1).values, plain.values)
    assert plain.values.shape == (4, 8, 12)
    assert all(p.grad is None for p in net.parameters())


def test_frames_first_and_colours_first_are_the_same():
    class FramesFirst(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.transpose(1, 2))

    net = ConvNet()
    for method in METHODS:
        one = method(model(net), clip(), 1)
        other = method(model(FramesFirst(net), layout="BTCHW"), clip(), 1)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-4, atol=1e-7)
