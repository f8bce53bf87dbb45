"""`Inference`: what it does, what it leaves out and says so, and that it never harms the network it was given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_nets import GRID, ConvNet, LinearNet, TokenNet, Wrapped, clips
from voxplain.errors import ModelError
from voxplain.inference import Fidelity, Inference, bfloat16_hardware, fast
from voxplain.inference.fidelity import SampleOutputs, fidelity, lowest_cosine, sample_outputs
from voxplain.model import ModelOutput, VideoModel
from voxplain.nets import NETS, build_net

SMALL = (8, 32, 48)  # not square, half as long


@pytest.fixture
def every_size(monkeypatch):
    """Hardware and size always allow bfloat16; the check remains."""
    monkeypatch.setattr(fast, "LARGE", 0)
    monkeypatch.setattr(fast, "bfloat16_hardware", lambda device: None)


def model(net: nn.Module, layer: str, **options) -> VideoModel:
    return VideoModel(net=net.eval(), layer=layer, **{"grid": GRID, **options})


def varied(n: int, grid: tuple[int, int, int] = GRID) -> Tensor:
    """Clips whose colours and light differ, as those of real videos do."""
    torch.manual_seed(1)
    return (clips(n, grid=grid) * torch.rand(n, 1, 1, 1, 3)).to(torch.uint8)


def named(name: str, grid: tuple[int, int, int] = SMALL) -> tuple[VideoModel, Tensor]:
    """A network of ours whose batch norms have seen the clips, as after training."""
    spec, frames = NETS[name], varied(8, grid)
    net = build_net(name, 4)
    m = model(net, spec.feature_layer, mean=spec.mean, std=spec.std, grid=grid, batch_size=4)
    norms = [p for p in net.modules() if isinstance(p, nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = None
    if norms:
        with torch.no_grad():
            net.train()(m.prepare(frames))
    net.eval()
    return m, frames


@pytest.mark.parametrize(("name", "precision"), [("tiny", "bf16"), ("compact", "bf16"), ("tiny", "fp32")])
def test_our_nets_in_both_precisions(name, precision):
    m, frames = named(name)
    before = {k: v.clone() for k, v in m.net.state_dict().items()}
    made = Inference(precision=precision, min_cosine=0.99)(m, frames)
    assert made.precision == precision, made.reason
    assert made.model.dtype == {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    assert made.channels_last
    assert made.folded
    seen = made.model.outputs(frames)
    assert seen.features.dtype == seen.logits.dtype == torch.float32
    truth = sample_outputs(m, frames)
    assert made.fidelity == fidelity(truth, sample_outputs(made.model, frames, truth.target))
    assert made.fidelity.clips == 8
    assert made.fidelity.centred_cosine > (0.99 if precision == "bf16" else 1 - 1e-9)
    assert made.fidelity.gradient_cosine > (0.99 if precision == "bf16" else 1 - 1e-9)
    assert 0 < made.fidelity.relative_gap < (0.1 if precision == "bf16" else 1e-4)
    # The network given is as it was, and nothing of it is in the copy.
    assert all(torch.equal(v, before[k]) for k, v in m.net.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in m.net.parameters())
    assert not {p.data_ptr() for p in m.net.parameters()} & {p.data_ptr() for p in made.model.net.parameters()}
    assert not any(p.requires_grad for p in made.model.net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d", "c3d", "i3d"])
def test_large_nets(name):
    grid = (16, 112, 112) if name == "c3d" else (8, 64, 48)
    m, frames = named(name, grid)
    made = Inference(precision="bf16", min_cosine=0.9)(m, frames)
    assert made.precision == "bf16", made.reason
    exact = Inference(precision="fp32")(m, frames)
    assert exact.channels_last
    assert exact.fidelity.relative_gap < 1e-3  # I3D on noise is itself 1e-4 from its float64 outputs
    assert bool(exact.folded) == (name != "c3d")


def test_the_same_again():
    m, frames = named("tiny")
    first, second = (Inference(precision="bf16", min_cosine=0)(m, frames) for _ in range(2))
    assert first.reason == second.reason
    assert first.fidelity == second.fidelity
    assert torch.equal(first.model.embed(frames), second.model.embed(frames))


# --- bfloat16: when, and when not ---


def test_auto_takes_bf16_where_all_agrees(every_size):
    m, frames = named("tiny")
    made = Inference(min_cosine=0.99)(m, frames)
    assert made.precision == "bf16"
    assert made.reason.startswith("bf16: lowest centred cosine of the features of 8 clips 0.99")


def test_auto_refuses_a_low_cosine(every_size):
    m, frames = named("tiny")
    made = Inference(min_cosine=1)(m, frames)
    assert made.precision == "fp32"
    assert made.reason.endswith("below 1")
    assert made.model.dtype == torch.float32


def test_auto_asks_for_size_and_hardware(monkeypatch):
    monkeypatch.setattr(fast, "bfloat16_hardware", lambda device: None)
    m, frames = model(ConvNet(), "pool"), varied(6)
    assert "fp32: a clip takes 0.000 GFLOP, too few to gain from bf16 (from 0.1 on)" in Inference()(m, frames).reason
    monkeypatch.setattr(fast, "bfloat16_hardware", lambda device: "this processor has none")
    assert Inference()(m, frames).reason.startswith("fp32: this processor has none")
    assert Inference(precision="bf16", min_cosine=-1)(m, frames).precision == "bf16"


@pytest.mark.parametrize("frames", [varied(3), varied(1).repeat(8, 1, 1, 1, 1)])
def test_bf16_needs_four_clips_that_differ(frames):
    made = Inference(precision="bf16", min_cosine=-1)(model(ConvNet(), "pool"), frames)
    assert made.precision == "fp32"
    assert "a check on 4 different clips or more, and there are" in made.reason


def test_clips_that_are_nearly_alike_are_named(every_size):
    frames = varied(1).repeat(8, 1, 1, 1, 1)
    frames[:, 0, 0, 0, 0] = torch.arange(8)
    made = Inference()(model(ConvNet(), "pool"), frames)
    assert made.precision == "fp32"
    assert "of their size: try clips that differ more)" in made.reason


def test_features_that_overflow_are_no_pass(every_size, monkeypatch):
    nan = Fidelity(float("nan"), float("nan"), 0.0, 0.0, None, 8)
    monkeypatch.setattr(fast, "fidelity", lambda *_: nan)
    assert Inference(min_cosine=-1)(model(ConvNet(), "pool"), varied(6)).precision == "fp32"


def test_bad_gradients_refuse_bf16(every_size, monkeypatch):
    bad = Fidelity(1.0, 1.0, 0.0, 0.0, 0.5, 8)
    monkeypatch.setattr(fast, "fidelity", lambda *_: bad)
    assert "gradients of cosine 0.5000" in Inference()(model(ConvNet(), "pool"), varied(6)).reason


class Mixes(ConvNet):
    """Makes float32 numbers on the way, which do not go with bfloat16 weights."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.zeros(1, dtype=torch.float32))


def test_a_network_that_does_not_run_in_bf16(every_size):
    made = Inference(precision="bf16")(model(Mixes(), "pool"), varied(6))
    assert made.precision == "fp32"
    assert "does not run in bf16 (RuntimeError" in made.reason
    assert made.folded == ("bn",)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_number_types_stay(dtype):
    made = Inference()(model(ConvNet().to(dtype), "pool"), varied(6))
    assert made.model.dtype == dtype
    assert "only float32 weights are turned into bf16" in made.reason
    assert bool(made.folded) == (dtype == torch.float64)


def test_normalising_is_done_in_float32_before_the_cast():
    m, frames = named("tiny")
    made = Inference(precision="bf16", min_cosine=0)(m, frames)
    assert made.precision == "bf16"
    x = made.model.prepare(frames)
    assert x.dtype == torch.bfloat16
    assert torch.equal(x, m.prepare(frames).to(torch.bfloat16))


# --- networks of all kinds ---


class Viewing(nn.Module):
    """Uses ``view``, which channels-last maps refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.head = nn.Linear(4 * 4 * 8 * 8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bn(self.conv(x)).view(len(x), -1))


def test_a_network_that_uses_view_keeps_its_memory_order():
    made = Inference(precision="fp32")(model(Viewing(), "head"), varied(4))
    assert made.folded == ("bn",)
    assert not made.channels_last
    assert "channels last the network does not run (RuntimeError: view size" in made.reason


class Reads(ConvNet):
    """Reads a number of its batch norm, which Identity has not."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + self.bn.eps)


class Hides(nn.Module):
    """Calls its batch norm by a way that cannot be replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.pool = nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1)
        self.bn.running_mean += 3
        self.way = [self.bn]

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.way[0](self.conv(x))).flatten(1)


@pytest.mark.parametrize(("net", "said"), [(Reads(), "AttributeError"), (Hides(), "more than rounding")])
def test_a_network_that_folding_breaks_is_not_folded(net, said):
    m, frames = model(net, "pool"), varied(6)
    made = Inference(precision="fp32")(m, frames)
    assert made.folded == ()
    assert made.channels_last
    assert said in made.reason
    torch.testing.assert_close(made.model.logits(frames), m.logits(frames), rtol=1e-5, atol=1e-5)


def test_a_network_that_cannot_be_copied_runs_as_it_was(every_size):
    net = ConvNet()
    net.source = (i for i in range(3))
    m = model(net, "pool")
    made = Inference()(m, varied(6))
    assert made.model is m
    assert made.precision == "fp32"
    assert made.reason.endswith("the network runs as it was")
    assert made.fidelity.centred_cosine == pytest.approx(1)


@pytest.mark.parametrize("as_tuple", [False, True])
def test_tokens_frames_first_and_layers_that_give_tuples(every_size, as_tuple):
    m = model(TokenNet(as_tuple), "blocks.1", layout="BTCHW")
    made = Inference(min_cosine=0.9)(m, varied(6))
    assert made.precision == "bf16", made.reason
    assert made.model.layout == "BTCHW"


def test_outputs_in_tuples(every_size):
    made = Inference(min_cosine=0.9)(model(Wrapped(ConvNet(), tupled), "net.pool"), varied(6))
    assert made.precision == "bf16", made.reason
    assert made.folded == ("net.bn",)


def tupled(z: Tensor) -> tuple[Tensor, str]:
    return z, "more"


def test_a_layer_without_gradient_has_no_gradient_cosine(every_size):
    class Cut(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    made = Inference(min_cosine=0.9)(model(Cut(), "pool"), varied(6))
    assert made.precision == "bf16", made.reason
    assert made.fidelity.gradient_cosine is None


def test_a_linear_network_is_left():
    made = Inference(precision="fp32")(model(LinearNet(), "feature"), varied(4))
    assert made.reason == "fp32: fp32 was asked for; the network runs as it was"


# --- figures and inputs ---


def test_fidelity_of_known_numbers():
    a = ModelOutput(torch.tensor([[0.0, 2.0], [2.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    b = ModelOutput(torch.tensor([[0.0, 2.5], [2.0, 0.0]]), torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    found = fidelity(SampleOutputs(a, 0, torch.eye(2)), SampleOutputs(b, 0, torch.eye(2)))
    assert found.cosine == pytest.approx(0.5**0.5)
    assert found.centred_cosine == pytest.approx(0)  # (0, ±½) against (±½, 0)
    assert found.logit_gap == pytest.approx(0.5)
    assert found.relative_gap == pytest.approx(0.5)  # logits 0, 2, 2, 0: standard deviation 1
    assert found.gradient_cosine == 1


def test_cosine_of_zeros():
    zero, one = torch.zeros(2, 3), torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    assert lowest_cosine(zero, zero) == 1
    assert lowest_cosine(zero, one) == 0


def test_the_sample_is_spread_over_the_clips():
    class Counts(LinearNet):
        rows = 0

        def forward(self, x: Tensor) -> Tensor:
            Counts.rows = max(Counts.rows, len(x))
            return super().forward(x)

    made = Inference(precision="fp32", sample=5)(model(Counts(), "feature", batch_size=64), varied(30))
    assert made.fidelity.clips == 5
    assert Counts.rows == 3  # two were seen before, with a gradient


@pytest.mark.parametrize("options", [{"precision": "fp16"}, {"min_cosine": 2}, {"sample": 3}])
def test_settings_that_mean_nothing(options):
    with pytest.raises(ModelError, match="expected precision as one of auto, fp32, bf16, min_cosine from -1 to 1"):
        Inference(**options)


@pytest.mark.parametrize("frames", [[1, 2], np.zeros((4, 1, 8, 8, 3), np.uint8), np.zeros((0, *GRID, 3), np.uint8)])
def test_frames_that_are_none(frames):
    with pytest.raises(ModelError, match="expected"):
        Inference()(model(ConvNet(), "pool"), frames)


def test_hardware_is_a_sentence_or_none():
    assert bfloat16_hardware(torch.device("cpu")) == bfloat16_hardware(torch.device("cpu"))
    assert "mps" in bfloat16_hardware(torch.device("mps"))


def test_a_processor_without_the_instructions(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False}, raising=False)
    assert "no bfloat16 instructions" in bfloat16_hardware(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert bfloat16_hardware(torch.device("cpu")) is None


def test_arrays_and_tensors_are_the_same():
    m, frames = model(ConvNet(), "pool"), varied(6)
    a, b = (Inference(precision="fp32")(m, f) for f in (frames, frames.numpy()[:, :, :, ::-1][:, :, :, ::-1]))
    assert a.fidelity == b.fidelity
    assert replace(a, model=m) == replace(b, model=m)
