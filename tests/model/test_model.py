"""VideoModel against closed forms and finite differences; nothing is left behind; every error."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_nets import GRID, ConvNet, LinearNet, Wrapped, clips
from voxplain.errors import ModelError
from voxplain.model import OBJECTIVES, VideoModel


def model(net: nn.Module, layer: str, **options) -> VideoModel:
    return VideoModel(net=net.eval(), layer=layer, **{"grid": GRID, **options})


# --- gradients ---


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_closed_forms_above_a_linear_head(scale):
    """∇z_y = W_y; ∇log odds = W_y − Σ_{k≠y} p_k/(1−p_y) W_k; ∇log p_y = (1−p_y) ∇log odds. 100 saturates."""
    net, frames = LinearNet(scale=scale), clips(8)
    m = model(net, "feature")
    z, w = m.logits(frames).double(), net.head.weight.detach().double()
    y = int(z[0].argmax())
    others = z.clone()
    others[:, y] = -torch.inf
    q = torch.softmax(others, 1)  # p_k / (1 − p_y)
    odds = w[y] - q @ w
    miss = torch.sigmoid(torch.logsumexp(others, 1) - z[:, y])  # 1 − p_y without cancellation
    p = torch.sigmoid(z[:, y] - torch.logsumexp(others, 1))
    truth = {
        "logit": w[y].expand(8, 6),
        "log_odds": odds,
        "log_probability": miss[:, None] * odds,
        "probability": (p * miss)[:, None] * odds,
    }
    if scale > 1:
        assert bool(((miss > 1e-30) & (miss < 1e-9)).any())  # where float32 rounds 1 − p_y to 0
    assert set(truth) == set(OBJECTIVES)
    for objective, expected in truth.items():
        got = m.gradient(frames, y, objective=objective).double()
        for row, wanted in zip(got, expected, strict=True):  # relative to each clip's own, often tiny, size
            close = 1e-4 * float(wanted.abs().max()) + 1e-37  # below that float32 ends
            torch.testing.assert_close(row, wanted, rtol=1e-3, atol=close)


def test_log_probability_matches_the_cross_entropy():
    z = torch.randn(6, 4, dtype=torch.float64) * 5
    truth = -nn.functional.cross_entropy(z, torch.full((6,), 2), reduction="none")
    torch.testing.assert_close(OBJECTIVES["log_probability"](z, 2), truth)
    p = torch.softmax(z, 1)[:, 2]
    torch.testing.assert_close(OBJECTIVES["log_odds"](z, 2), torch.log(p / (1 - p)))


def shifted(net: nn.Module, layer: str, channel: int, step: float, m: VideoModel, frames: Tensor) -> Tensor:
    """Logits when ``step`` is added to one channel of the layer at every position."""

    def add(_: nn.Module, __: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, channel] += step
        return output

    handle = net.get_submodule(layer).register_forward_hook(add)
    try:
        return m.logits(frames).double()
    finally:
        handle.remove()


@pytest.mark.parametrize("layer", ["conv1", "bn", "relu1", "conv2", "relu2", "pool", "hidden"])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_finite_differences_along_a_uniform_shift(layer, objective):
    net, frames, step = ConvNet(inplace=True).double().eval(), clips(3), 1e-3
    m = model(net, layer)
    got = m.gradient(frames, 3, objective=objective)
    for channel in range(got.shape[1]):
        up, down = (OBJECTIVES[objective](shifted(net, layer, channel, s, m, frames), 3) for s in (step, -step))
        slope = ((up - down) / (2 * step)).float()
        torch.testing.assert_close(got[:, channel], slope, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("layer", ["conv1", "bn", "conv2"])
def test_an_in_place_relu_after_the_layer_changes_nothing(layer):
    torch.manual_seed(1)
    calm, hasty = ConvNet(inplace=False).eval(), ConvNet(inplace=True).eval()
    hasty.load_state_dict(calm.state_dict())
    frames = clips(3)
    a, b = model(calm, layer), model(hasty, layer)
    assert float(a.embed(frames).min()) < 0 or layer == "conv2"
    torch.testing.assert_close(b.embed(frames), a.embed(frames))
    torch.testing.assert_close(b.logits(frames), a.logits(frames))
    torch.testing.assert_close(b.gradient(frames, 0), a.gradient(frames, 0))


def test_writing_into_a_tensor_that_shares_the_layers_memory_changes_nothing():
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.feature, self.same, self.head = nn.Linear(768, 6), nn.Identity(), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            a = self.feature(x.flatten(1))
            b = self.same(a)
            a.zero_()
            return self.head(b)

    net, frames = Shares(), clips(2)
    assert float(model(net, "same").embed(frames).abs().min()) > 0


@pytest.mark.parametrize("layer", ["conv1", "pool"])
def test_seen_and_derived_in_one_pass_are_what_two_passes_give(layer):
    m, frames, passes = model(ConvNet(), layer), clips(3), []
    apart = m.outputs(frames), m.gradient(frames, 2)
    m.net.register_forward_hook(lambda *_: passes.append(1))
    y, seen, gradient = m.outputs_and_gradient(frames, 2)
    assert (y, len(passes)) == (2, 1)
    assert torch.equal(seen.logits, apart[0].logits)
    assert torch.equal(seen.features, apart[0].features)
    assert torch.equal(gradient, apart[1])
    assert m.outputs_and_gradient(frames)[0] == int(seen.logits[0].argmax())
    with pytest.raises(ModelError, match="expected at least one clip, got none"):
        m.outputs_and_gradient(frames[:0])


def test_frozen_parameters_still_give_gradients():
    net, frames = ConvNet(), clips(3)
    truth = model(net, "conv1").gradient(frames, 2)
    net.requires_grad_(False)
    torch.testing.assert_close(model(net, "conv1").gradient(frames, 2), truth)
    with torch.no_grad():
        torch.testing.assert_close(model(net, "conv1").gradient(frames, 2), truth)
    with torch.inference_mode():
        torch.testing.assert_close(model(net, "conv1").gradient(frames, 2), truth)
    assert torch.is_grad_enabled()


def test_results_can_take_part_in_a_later_gradient():
    features = model(ConvNet(), "pool").embed(clips(4))
    exploration = nn.Linear(features.shape[1], 1)
    exploration(features).sum().backward()
    torch.testing.assert_close(exploration.weight.grad, features.sum(0, keepdim=True))


# --- nothing left behind ---


def state(net: nn.Module) -> list[object]:
    """Everything of a network that a pass could change."""
    return [
        [(n, m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in net.named_modules()],
        [(len(m._backward_hooks), len(m._backward_pre_hooks)) for m in net.modules()],
        [(n, p.requires_grad, p.grad) for n, p in net.named_parameters()],
        [(k, v.numpy().tobytes()) for k, v in net.state_dict().items()],
    ]


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("broken inside")


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_found(fails):
    net = ConvNet(inplace=True).train()
    net.bn.eval()
    net.relu2.eval()
    net.conv2.weight.requires_grad_(False)
    kept = net.pool.register_forward_hook(lambda *_: None)
    if fails:
        net.head = Fails()
    before, random = state(net), torch.get_rng_state()
    m = VideoModel(net=net, layer="conv1", grid=GRID)
    for call in (m.outputs, m.logits, m.embed, lambda f: m.gradient(f, 1)):
        if fails:
            with pytest.raises(RuntimeError, match="broken inside"):
                call(clips(2))
        else:
            call(clips(2))
        assert state(net) == before
        assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random)
    kept.remove()


def test_evaluates_also_when_found_in_training_mode():
    net, frames = ConvNet(), clips(4)
    truth = model(net, "pool").outputs(frames)
    got = VideoModel(net=net.train(), layer="pool", grid=GRID).outputs(frames)
    assert torch.equal(got.logits, truth.logits)
    assert torch.equal(got.features, truth.features)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batch_size_changes_memory_not_results(size):
    net, frames = ConvNet().eval(), clips(7)
    whole, parts = model(net, "relu2"), model(net, "relu2", batch_size=size)
    seen = []
    net.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    found = parts.logits(frames)
    assert max(seen) == parts.pass_size == min(size, 4), "on a processor 4 at most"
    torch.testing.assert_close(found, whole.logits(frames), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parts.embed(frames), whole.embed(frames), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parts.gradient(frames, 4), whole.gradient(frames, 4), rtol=1e-5, atol=1e-6)


# --- errors ---


def test_errors_of_construction():
    with pytest.raises(ModelError, match="did you mean 'conv1'"):
        model(ConvNet(), "conf1")
    with pytest.raises(ModelError, match="layout BCTHW, BTCHW, TBCHW, BTHWC, got 'CBTHW'"):
        model(ConvNet(), "pool", layout="CBTHW")
    with pytest.raises(ModelError, match="batch_size and stride of 1 or more"):
        model(ConvNet(), "pool", batch_size=0)
    with pytest.raises(ModelError, match="std above 0"):
        model(ConvNet(), "pool", std=(1, 0, 1))


@pytest.mark.parametrize(
    ("frames", "got"),
    [
        (clips(2).permute(0, 4, 1, 2, 3), r"uint8 \(2, 3, 4, 8, 8\)"),
        (clips(2, grid=(4, 8, 9)), r"\(2, 4, 8, 9, 3\)"),
        (clips(2).float(), "float32"),
        (clips(2).numpy().astype(np.int64), "int64"),
        ([1, 2], "list"),
    ],
)
def test_wrong_frames(frames, got):
    m = model(ConvNet(), "pool", batch_size=1)
    for call in (m.logits, lambda f: m.gradient(f, 0), m.prepare):
        with pytest.raises(ModelError, match=rf"uint8 \[N,4,8,8,3\], got .*{got}"):
            call(frames)


def test_no_clips():
    with pytest.raises(ModelError, match="at least one clip"):
        model(ConvNet(), "pool").embed(clips(2)[:0])


def test_classes_by_name_and_index():
    names = ("bend", "jump", "run", "sit", "walk")
    m = model(ConvNet(), "pool", classes=names)
    assert [m.class_index(n) for n in names] == list(range(5))
    assert m.class_index(np.int64(3)) == 3
    torch.testing.assert_close(m.gradient(clips(1), "run"), m.gradient(clips(1), 2))
    with pytest.raises(ModelError, match="did you mean jump"):
        m.gradient(clips(1), "jmup")
    for index in (5, -1):
        with pytest.raises(ModelError, match="from 0 to 4"):
            m.gradient(clips(1), index)
    unnamed = model(ConvNet(), "pool")
    for index in (5, -1):
        with pytest.raises(ModelError, match="class index from 0"):
            unnamed.gradient(clips(1), index)
    with pytest.raises(ModelError, match="no class names, got 'run'"):
        unnamed.gradient(clips(1), "run")
    with pytest.raises(ModelError, match=r"logits \[1,2\], got \(1, 5\)"):
        model(ConvNet(), "pool", classes=("a", "b")).logits(clips(1))
    with pytest.raises(ModelError, match="objective of logit, log_probability, log_odds, probability, got 'loss'"):
        m.gradient(clips(1), 0, objective="loss")


def test_networks_that_cannot_be_used():
    frames = clips(2)
    broken = ConvNet()
    with torch.no_grad():
        broken.conv1.weight[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match="finite logits, got NaN"):
        model(broken, "pool").logits(frames)
    idle = ConvNet()
    idle.idle = nn.Linear(2, 2)
    with pytest.raises(ModelError, match="layer 'idle' to run"):
        model(idle, "idle").embed(frames)
    with pytest.raises(ModelError, match="an output with a tensor of logits, got str"):
        model(Wrapped(ConvNet(), lambda z: "no"), "net.pool").logits(frames)
    with pytest.raises(ModelError, match=r"logits \[2,classes\], got \(5,\)"):
        model(Wrapped(ConvNet(), lambda z: z.sum(0)), "net.pool").logits(frames)
    detached = model(Wrapped(ConvNet(), lambda z: z.detach()), "net.pool")
    with pytest.raises(ModelError, match=r"logits that depend on layer 'net.pool'"):
        detached.gradient(frames, 0)

    class EverySecondFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x[:, ::2].flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, 2)).mean(1)

    with pytest.raises(ModelError, match=r"a row a clip or a frame, \[2,…\] or \[8,…\], from layer 'conv', got \(4, 5"):
        model(EverySecondFrame(), "conv", layout="BTCHW").embed(frames)


def test_repr_names_the_layer_and_holds_no_weights():
    assert (
        repr(model(ConvNet(), "pool", name="mine"))
        == "VideoModel(mine, layer='pool', grid=(4, 8, 8), layout='BCTHW', classes=0)"
    )
