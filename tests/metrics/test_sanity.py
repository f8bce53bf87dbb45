"""Randomised weights, changed frames and controls: what must change changes, and what must not does not."""

import numpy as np
import pytest
import torch
from known_maps import TARGET, given, linear_model, noise
from torch import nn

from small_nets import ConvNet, TokenNet
from voxplain.attribution import CentrePrior, Gradient, MotionEnergy
from voxplain.attribution.passes import to_input
from voxplain.errors import DataError, ModelError
from voxplain.metrics import ControlAgreement, FrameChange, LabelRandomisation, ParameterRandomisation, similarity
from voxplain.metrics.randomise import copied, redraw, weight_layers
from voxplain.model import VideoModel, stack


def conv_model(seed: int = 0) -> VideoModel:
    torch.manual_seed(seed)
    return VideoModel(net=ConvNet(inplace=True), layer="conv1", grid=(4, 8, 8))


@pytest.mark.parametrize("order", ["cascading", "independent"])
def test_gradients_change_with_the_weights_and_controls_do_not(order):
    model, clip = conv_model(), noise()
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    state = torch.get_rng_state()
    metric = ParameterRandomisation(order)
    got = metric(model, clip, TARGET, Gradient())
    assert got.details["layers"] == ["head", "hidden", "conv2", "conv1"]
    assert all(s < 0.95 for s in got.details["similarity"])
    assert abs(got.details["similarity"][-1]) < 0.9
    assert got.value == pytest.approx(np.mean(got.details["similarity"]))
    control = metric(model, clip, TARGET, CentrePrior())
    assert control.details["similarity"] == pytest.approx([1.0] * 4)
    assert control.value == pytest.approx(1)
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())
    assert all(m.training for m in model.net.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert metric(model, clip, TARGET, Gradient()).details["similarity"] == got.details["similarity"]
    assert ParameterRandomisation(order, seed=1)(model, clip, TARGET, Gradient()).value != got.value


def test_cascading_keeps_what_it_has_drawn_and_independent_does_not():
    seen: list[dict[str, torch.Tensor]] = []

    def method(model, clip, target):
        seen.append({k: v.clone() for k, v in model.net.state_dict().items()})
        return given(np.arange(256).reshape(4, 8, 8))

    model = conv_model()
    own = model.net.state_dict()

    def changed() -> list[list[str]]:
        layers = ("head", "hidden", "conv2", "conv1")
        return [[n for n in layers if not torch.equal(s[f"{n}.weight"], own[f"{n}.weight"])] for s in seen]

    ParameterRandomisation()(model, noise(), TARGET, method)
    assert changed() == [
        [],
        ["head"],
        ["head", "hidden"],
        ["head", "hidden", "conv2"],
        ["head", "hidden", "conv2", "conv1"],
    ]
    assert all(torch.equal(s["bn.running_mean"], own["bn.running_mean"]) for s in seen)
    seen.clear()
    ParameterRandomisation("independent")(model, noise(), TARGET, method)
    assert changed() == [[], ["head"], ["hidden"], ["conv2"], ["conv1"]]
    seen.clear()
    ParameterRandomisation(maps=2)(model, noise(), TARGET, method)
    assert changed() == [[], ["head", "hidden"], ["head", "hidden", "conv2", "conv1"]]


def test_layers_of_a_transformer_go_from_the_head_to_the_embedding():
    model = VideoModel(net=TokenNet().eval(), layer="norm", layout="BTCHW", grid=(4, 8, 8))
    layers = weight_layers(model, to_input(model, stack([noise()])))
    assert layers == ["head", "blocks.1.mlp", "blocks.0.mlp", "embed"]
    got = ParameterRandomisation()(model, noise(), TARGET, Gradient())
    assert len(got.details["similarity"]) == 4


class Own(nn.Module):
    """Weights that PyTorch has no initialisation for, in the network itself and in a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(4, 8, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x.mean(1) * self.place).mean(2)
        return self.head(self.attention(x, x, x)[0].mean(1))


def test_every_weight_is_drawn_anew_whatever_holds_it():
    torch.manual_seed(0)
    model = VideoModel(net=Own().eval(), layer="attention", grid=(4, 8, 8))
    trial = copied(model)
    layers = weight_layers(trial, to_input(trial, stack([noise()])))
    assert layers[0].startswith("head")
    assert layers[-1] == ""
    for i, name in enumerate(layers):
        redraw(trial.net, name, i)
    for (name, a), b in zip(trial.net.named_parameters(), model.net.parameters(), strict=True):
        if "bias" not in name or "attention" not in name:  # attention's biases start at 0 and are drawn as 0
            assert not torch.equal(a, b), name
    assert torch.equal(trial.net.place.flatten().sort()[0], model.net.place.flatten().sort()[0])


def test_inside_inference_mode():
    model = conv_model()
    with torch.inference_mode():
        got = ParameterRandomisation(maps=1)(model, noise(), TARGET, Gradient())
    assert np.isfinite(got.value)


def test_networks_without_weights_and_wrong_options_are_refused():
    net = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    model = VideoModel(net=net, layer="0", grid=(4, 8, 8))
    with pytest.raises(ModelError, match="layers with weights"):
        ParameterRandomisation()(model, noise(), 0, CentrePrior())
    for options in ({"order": "up"}, {"maps": 0}):
        with pytest.raises(DataError, match="cascading or independent"):
            ParameterRandomisation(**options)


def test_twins():
    same = LabelRandomisation()(conv_model(), conv_model(), noise(), TARGET, Gradient())
    other = LabelRandomisation()(conv_model(), conv_model(1), noise(), TARGET, Gradient())
    assert same.value == pytest.approx(1)
    assert other.value < 0.9


class Bag(nn.Module):
    """Sees every frame by itself: the order says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 5, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).relu().flatten(2).mean(2)


@pytest.mark.parametrize("change", ["shuffle", "reverse"])
def test_frames_move_their_part_of_the_map_where_order_says_nothing(change):
    torch.manual_seed(0)
    bag = VideoModel(net=Bag().eval(), layer="conv", grid=(4, 8, 8))
    for seed in range(4):  # some shuffles are their own inverse
        got = FrameChange(change, seed=seed)(bag, noise(1), TARGET, Gradient())
        assert got.value == pytest.approx(1, abs=1e-3)  # up to ranks of nearly equal values
        assert got.details["drop"] == pytest.approx(0, abs=1e-6)
    ordered = FrameChange(change)(linear_model(), noise(1), TARGET, Gradient())
    assert ordered.value < 0.9  # its gradient does not move with the frames
    assert abs(ordered.details["drop"]) > 1e-4
    assert FrameChange.higher_is_better is None


def test_freezing_shows_one_frame_only():
    seen = []

    def method(model, clip, target):
        seen.append(clip.frames)
        return given(np.arange(256).reshape(4, 8, 8))

    got = FrameChange("freeze")(linear_model(), noise(2), TARGET, method)
    assert got.value == pytest.approx(1)
    assert all(np.array_equal(f, seen[0][2]) for f in seen[1])
    with pytest.raises(DataError, match="shuffle, reverse or freeze"):
        FrameChange("stop")(linear_model(), noise(), TARGET, method)


def test_a_control_agrees_with_itself_and_a_random_map_with_none():
    model, clip = linear_model(), noise(3)
    got = ControlAgreement()(model, clip, TARGET, MotionEnergy())
    assert got.value == pytest.approx(1)
    assert set(got.details) == {"centre_prior", "motion_energy"}
    against = ControlAgreement()(model, clip, TARGET, lambda m, c, t: given(-CentrePrior()(m, c, t).values))
    assert against.value == pytest.approx(1)
    assert against.details["centre_prior"] == pytest.approx(-1)
    rng = np.random.default_rng(0)
    assert ControlAgreement()(model, clip, TARGET, lambda *_: given(rng.normal(size=(4, 8, 8)))).value < 0.25


@pytest.mark.parametrize("how", ["spearman", "absolute_spearman", "kendall", "ssim"])
def test_similarities(how):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 16, 16))
    assert similarity(a, a, how) == pytest.approx(1)
    assert abs(similarity(a, b, how)) < 0.2
    assert similarity(a, 2 * a + 3, how) > 0.99 or how == "absolute_spearman"
    assert similarity(a, -a, how) == pytest.approx({"absolute_spearman": 1}.get(how, -1), abs=1e-6) or how == "ssim"
    assert np.isfinite(similarity(a, np.zeros_like(a), how))


def test_unlike_maps_are_refused():
    with pytest.raises(DataError, match="one grid"):
        similarity(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
    with pytest.raises(DataError, match="choose one"):
        similarity(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), "cosine")
    with pytest.raises(DataError, match="3×3"):
        similarity(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), "ssim")
