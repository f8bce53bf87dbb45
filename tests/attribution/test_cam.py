"""The family of class activation mapping: exact on a pooled linear head, by hand elsewhere, captum."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from map_nets import FlatNet, GapNet, clip, inputs, model
from small_nets import ConvNet, TokenNet
from voxplain.attribution import CAM, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM, XGradCAM
from voxplain.errors import DataError, ModelError
from voxplain.model.tokens import Tokens

VOXELS = 4 * 8 * 8


def up(coarse) -> np.ndarray:
    """Maps [t,h,w] on the small grid."""
    return F.interpolate(coarse[None, None], size=(4, 8, 8), mode="trilinear")[0, 0].detach().numpy()


def map_and_gradient(m, c, y):
    """A and ∂logit/∂A [C,t,h,w] of a FlatNet, by autograd alone."""
    a = m.net.act(m.net.conv(inputs(m, c))).detach().requires_grad_()
    z = m.net.head(m.net.bend(m.net.hidden(m.net.flatten(a))))
    return a.detach()[0], torch.autograd.grad(z[0, y], a)[0][0]


# --- CAM ---


@pytest.mark.parametrize("conv_head", [False, True])
def test_the_mean_of_cam_is_the_logit_less_its_bias(conv_head):
    m, c = model(GapNet(conv_head=conv_head)), clip(1)
    for y in (0, 3):
        found = CAM()(m, c, y)
        logit = (m.net(inputs(m, c))[0, y] - m.net.head.bias[y]).item()
        assert found.values.mean() == pytest.approx(logit, rel=1e-4)
        assert found.details == {"layer": "act", "positions": (4, 8, 8), "head": "head"}
    np.testing.assert_allclose(CAM(rectify=True)(m, c, 3).values, found.values.clip(min=0))


def test_on_a_pooled_linear_head_the_family_is_one_map():
    m, c = model(GapNet()), clip(2)
    cam = CAM()(m, c, 1).values
    assert cam.min() < 0 < cam.max()
    truth = cam.clip(min=0) / VOXELS
    for method in (GradCAM(), GradCAM(pooling="per_frame"), HiResCAM(), XGradCAM()):
        np.testing.assert_allclose(method(m, c, 1).values, truth, rtol=1e-3, atol=1e-8)
    signed = HiResCAM(rectify=False)(m, c, 1).values
    np.testing.assert_allclose(signed, cam / VOXELS, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    ("net", "options"), [(ConvNet(), {}), (FlatNet(), {}), (GapNet(functional=True), {}), (GapNet(), {"layer": "conv"})]
)
def test_cam_refuses_other_heads_and_maps(net, options):
    m = model(net)
    with pytest.raises(ModelError, match="CAM needs a global average pool"):
        CAM(**options)(m, clip(), 0)
    assert not any(mod._forward_hooks or mod._forward_pre_hooks for mod in net.modules())


def test_cam_refuses_a_network_without_a_head():
    net = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 3), torch.nn.ReLU())
    with pytest.raises(ModelError, match="got none"):
        CAM()(model(torch.nn.Sequential(net, torch.nn.AdaptiveMaxPool3d(1), torch.nn.Flatten(), Two())), clip(), 0)


class Two(torch.nn.Module):
    """Two logits from four values, without a layer."""

    def forward(self, x):
        return torch.stack([x[:, :2].sum(1), x[:, 2:].sum(1)], 1)


# --- weighted by gradients ---


def test_grad_cam_agrees_with_captum():
    from captum.attr import LayerGradCam

    m, c = model(ConvNet(inplace=True)), clip(3)
    twin = ConvNet()
    twin.load_state_dict(m.net.state_dict())
    twin.eval()
    for layer in ("relu2", "conv1"):
        other = LayerGradCam(twin, getattr(twin, layer)).attribute(inputs(m, c), target=2, relu_attributions=True)
        found = GradCAM(layer=layer)(m, c, 2)
        np.testing.assert_allclose(found.values, up(other[0, 0]), rtol=1e-3, atol=1e-8)
        assert found.values.any()
    assert GradCAM()(m, c, 2).details["layer"] == "relu2"


def test_each_formula_by_hand():
    m, c, y = model(FlatNet()), clip(1), 2
    a, g = map_and_gradient(m, c, y)
    positions = a[0].numel()
    alpha = g.sum((1, 2, 3)) / positions
    frame = g.sum((2, 3), keepdim=True) / a[0, 0].numel()
    mass = a.sum((1, 2, 3))
    x_alpha = torch.where(mass > 0, (a * g).sum((1, 2, 3)) / mass, 0)
    for method, coarse in (
        (GradCAM(), torch.einsum("c,cthw->thw", alpha, a)),
        (GradCAM(pooling="per_frame"), (frame * a).sum(0)),
        (LayerCAM(), (g.clamp(min=0) * a).sum(0)),
        (HiResCAM(), (g * a).sum(0)),
        (XGradCAM(), torch.einsum("c,cthw->thw", x_alpha, a)),
    ):
        found = method(m, c, y).values
        assert found.any()
        np.testing.assert_allclose(found, up(coarse.clamp(min=0)), rtol=1e-3, atol=1e-7)
    assert not np.allclose(GradCAM()(m, c, y).values, GradCAM(pooling="per_frame")(m, c, y).values)


def test_grad_cam_plus_plus_has_the_second_and_third_derivatives_of_the_exponential():
    m, c, y = model(GapNet(stride=4), grid=(4, 8, 8)), clip(1), 1
    a = m.net.act(m.net.conv(inputs(m, c))).detach()[0].double().requires_grad_()
    w, b = m.net.head.weight.detach().double(), m.net.head.bias.detach().double()
    top = torch.exp(w[y] @ a.mean((1, 2, 3)) + b[y])
    (first,) = torch.autograd.grad(top, a, create_graph=True)
    weights = torch.zeros(len(a), dtype=torch.float64)
    for k, p in np.ndindex(len(a), a[0].numel()):
        (second,) = torch.autograd.grad(first.flatten(1)[k, p], a, create_graph=True)
        (third,) = torch.autograd.grad(second.flatten(1)[k, p], a, retain_graph=True)
        d2, d3 = second.flatten(1)[k, p], third.flatten(1)[k, p]
        alpha = d2 / (2 * d2 + a[k].sum() * d3)
        weights[k] += (alpha * first.flatten(1)[k, p].clamp(min=0)).item()
    coarse = torch.einsum("c,cthw->thw", weights, a.detach()).clamp(min=0) / top.detach()
    found = GradCAMPlusPlus()(m, c, y).values
    assert found.any()
    np.testing.assert_allclose(found, up(coarse.float()), rtol=1e-3, atol=1e-9)


def test_grad_cam_plus_plus_per_frame_sums_within_frames():
    m, c, y = model(FlatNet()), clip(1), 2
    a, g = map_and_gradient(m, c, y)
    alpha = g**2 / (2 * g**2 + g**3 * a.sum((2, 3), keepdim=True))
    weights = (alpha.nan_to_num() * g.clamp(min=0)).sum((2, 3), keepdim=True)
    found = GradCAMPlusPlus(pooling="per_frame")(m, c, y).values
    np.testing.assert_allclose(found, up((weights * a).sum(0).clamp(min=0)), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", [GradCAM, XGradCAM, GradCAMPlusPlus])
def test_an_unknown_pooling_is_refused(method):
    with pytest.raises(DataError, match="per_frame"):
        method(pooling="time")(model(GapNet()), clip(), 0)


# --- without gradients ---


def unit(a):
    return (a - a.min()) / (a.max() - a.min())


@pytest.mark.parametrize("weighting", ["softmax", "score"])
def test_score_cam_by_hand(weighting):
    m, c, y = model(FlatNet()), clip(1), 2
    with torch.no_grad():
        m.net.conv.weight[3], m.net.conv.bias[3] = 0, 1  # a channel that is the same everywhere
        a = m.net.act(m.net.conv(inputs(m, c)))[0]
        total, rises, used = 0, [], [k for k in range(6) if k != 3]
        for k in used:
            mask = unit(torch.from_numpy(up(a[k])))
            rises.append(m.net(inputs(m, c) * mask)[0, y])
        base = m.net(torch.zeros_like(inputs(m, c)))[0, y]  # the paper's baseline, which the softmax cancels
        weights = torch.stack(rises) if weighting == "score" else (torch.stack(rises) - base).softmax(0)
        total = sum(w * (unit(a[k]) if weighting == "score" else a[k]) for w, k in zip(weights, used, strict=True))
    found = ScoreCAM(weighting=weighting)(m, c, y)
    np.testing.assert_allclose(found.values, up(total.clamp(min=0)), rtol=1e-3, atol=1e-6)
    assert found.details["channels"] == 5
    assert ScoreCAM(top_channels=2)(m, c, y).details["channels"] == 2


def test_score_cam_of_maps_without_any_structure_is_zero():
    m = model(GapNet())
    with torch.no_grad():
        m.net.conv.weight.zero_()
    found = ScoreCAM()(m, clip(), 0)
    assert not found.values.any()
    assert found.details["channels"] == 0


@pytest.mark.parametrize("wrong", [{"weighting": "probability"}, {"top_channels": 0}])
def test_score_cam_refuses_wrong_options(wrong):
    with pytest.raises(DataError):
        ScoreCAM(**wrong)(model(GapNet()), clip(), 0)


@pytest.mark.parametrize("stride", [1, 4])  # more positions than channels, and fewer
def test_eigen_cam_is_the_first_principal_direction(stride):
    m, c = model(GapNet(stride=stride)), clip(1)
    a = m.net.act(m.net.conv(inputs(m, c))).detach()[0]
    _, s, vt = np.linalg.svd(a.flatten(1).double().numpy(), full_matrices=False)
    line = torch.from_numpy(s[0] * vt[0] * np.sign(vt[0].sum())).float().view(a.shape[1:])
    found = EigenCAM()(m, c, 0)
    np.testing.assert_allclose(found.values, up(line), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(found.values, EigenCAM()(m, c, 4).values)


# --- all ---

METHODS = [CAM, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM, XGradCAM]


@pytest.mark.parametrize("method", METHODS)
def test_batches_bound_memory_and_change_nothing_and_the_network_stays_as_found(method):
    net, some, most = GapNet(stride=2).train(), [clip(i) for i in range(3)], []
    net.requires_grad_(False)
    hook = net.register_forward_hook(lambda _, args, __: most.append(len(args[0])))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    m = model(net, batch_size=2)
    net.train()
    with torch.inference_mode():
        several = method()(m, some, [0, 1, 2])
    assert max(most) <= 2
    alone = method()(m, some[2], 2)
    np.testing.assert_allclose(several[2].values, alone.values, rtol=1e-3, atol=1e-7)
    hook.remove()
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(mod._forward_hooks or mod._forward_pre_hooks for mod in net.modules())
    assert "layer" in alone.parameters
    assert alone.details["layer"] == "act"


@pytest.mark.parametrize("method", METHODS)
def test_tokens_give_the_maps_of_a_twin_whose_layer_is_a_map(method):
    class Twin(nn.Module):
        """The same network, whose norm's output goes through a layer as [N,C,t,h,w]."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.folded = TokenNet(), nn.Upsample(scale_factor=1)

        def forward(self, x):
            body = self.body
            x = body.embed(x.transpose(1, 2)).flatten(2).transpose(1, 2)
            for block in body.blocks:
                x = block(x)
            return body.head(self.folded(body.norm(x).transpose(1, 2).unflatten(2, (2, 2, 2))).mean((2, 3, 4)))

    twin = Twin()
    found = method()(model(twin.body, layout="BTCHW"), clip(1), 2)
    assert (found.details["layer"], found.details["positions"]) == ("norm", (2, 2, 2))
    truth = method(layer="folded")(model(twin, layout="BTCHW"), clip(1), 2)
    np.testing.assert_allclose(found.values, truth.values, rtol=1e-4, atol=1e-7)


def test_tokens_without_known_positions_are_refused():
    class Mixed(TokenNet):
        def forward(self, x):
            tokens = self.embed(x.transpose(1, 2)).flatten(2).transpose(1, 2)[:, [3, 0, 6, 1, 2, 7, 5, 4]]
            return self.head(self.norm(tokens).mean(1))

    with pytest.raises(ModelError, match="tokens whose positions are not known"):
        GradCAM(layer="norm")(model(Mixed(), layout="BTCHW"), clip(), 0)
    known = model(Mixed(), layout="BTCHW", tokens=Tokens(grid=(2, 2, 2)))
    assert GradCAM(layer="norm")(known, clip(), 0).details["positions"] == (2, 2, 2)
