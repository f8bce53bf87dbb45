"""VideoModel over every kind of input and output: layouts, number types, tuples, objects, tokens, transformers."""

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from small_nets import GRID, ConvNet, LinearNet, TokenNet, Wrapped, clips
from voxplain.errors import ModelError
from voxplain.model import VideoModel, log_odds
from voxplain.model.layers import first_tensor, replace_first
from voxplain.model.token_pool import find_pool
from voxplain.video import Geometry, Middle, Uniform
from voxplain.zoo.libraries import import_library


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
    yield
    torch.set_num_threads(threads)


def model(net: nn.Module, layer: str, **options) -> VideoModel:
    return VideoModel(net=net.eval(), layer=layer, **{"grid": GRID, **options})


# --- what goes in ---


@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_prepare_normalises_and_orders_the_axes(layout, channels_last):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.75)
    m = model(LinearNet(), "feature", layout=layout, mean=mean, std=std, channels_last=channels_last)
    frames = clips(2)
    x = m.prepare(frames).numpy()
    for n, t, y, column, c in [(0, 0, 0, 0, 0), (1, 3, 2, 5, 1), (1, 2, 7, 1, 2)]:
        truth = (int(frames[n, t, y, column, c]) / 255 - mean[c]) / std[c]
        at = (n, c, t, y, column) if layout == "BCTHW" else (n, t, c, y, column)
        assert x[at] == pytest.approx(truth, abs=1e-5)
    assert m.mean_colour.tolist() == [26, 51, 76]


def test_mirrored_and_read_only_arrays_are_read():
    m = model(ConvNet(), "pool")
    frames = clips(2).numpy()
    mirrored = frames[:, :, :, ::-1]
    assert torch.equal(m.logits(mirrored), m.logits(mirrored.copy()))
    frames.flags.writeable = False
    assert torch.equal(m.logits(frames), m.logits(frames.copy()))


def test_input_is_contiguous_so_that_networks_may_use_view():
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4 * 4 * 8 * 8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x).view(len(x), -1))

    assert model(Viewing(), "conv").embed(clips(2)).shape == (2, 4)


def test_input_has_the_weights_number_type():
    frames = clips(2)
    net = ConvNet().eval()
    full = model(net, "pool").logits(frames)
    half = model(copy.deepcopy(net).bfloat16(), "pool").outputs(frames)
    assert half.logits.dtype == half.features.dtype == torch.float32
    torch.testing.assert_close(half.logits, full, rtol=0.1, atol=0.1)
    torch.testing.assert_close(model(net.double(), "pool").logits(frames), full, rtol=1e-5, atol=1e-6)


def test_reader_gives_the_papers_proportions_or_the_own_geometry():
    reader = model(LinearNet(), "feature", grid=(16, 112, 112)).reader()
    assert (reader.geometry.resize, reader.geometry.crop) == ((128, 171), (112, 112))
    assert reader.sampler == Middle(16)
    reader = model(LinearNet(), "feature", grid=(8, 224, 224)).reader(Uniform(8))
    assert (reader.geometry.resize, reader.geometry.crop, reader.sampler) == ((256, 342), (224, 224), Uniform(8))
    squash = Geometry.squash(8, 8)
    assert model(LinearNet(), "feature", geometry=squash).reader().geometry == squash
    with pytest.raises(ModelError, match=r"geometry that gives the grid's \(8, 8\), got \(112, 112\)"):
        model(LinearNet(), "feature", geometry=Geometry())


# --- what comes out ---


class Named(NamedTuple):
    note: str
    scores: Tensor


@pytest.mark.parametrize(
    "change",
    [
        lambda z: z,
        lambda z: (z, "more"),
        lambda z: [None, z],
        lambda z: {"loss": None, "logits": z},
        lambda z: {"scores": z},
        lambda z: SimpleNamespace(logits=z),
        lambda z: Named("first", z),
        lambda z: torch.stack([z - 1, z + 1], dim=2),  # [N,K,T']: mean over T'
    ],
)
def test_every_kind_of_output_gives_the_same_logits_and_gradient(change):
    net, frames = ConvNet(), clips(3)
    plain = model(net, "pool")
    wrapped = model(Wrapped(net, change), "net.pool")
    torch.testing.assert_close(wrapped.logits(frames), plain.logits(frames))
    torch.testing.assert_close(wrapped.gradient(frames, 1), plain.gradient(frames, 1))


@pytest.mark.parametrize("pack", [lambda a: (a, 1), lambda a: [a], lambda a: {"x": a}, lambda a: Named("n", a)])
def test_every_kind_of_layer_output(pack):
    """The layer packs its output, the network unpacks it: features and gradients as without packing."""

    class Unpacks(nn.Module):
        def __init__(self, net: LinearNet) -> None:
            super().__init__()
            self.inside, self.head = Wrapped(net.feature, pack), net.head

        def forward(self, x: Tensor) -> Tensor:
            out = self.inside(x.flatten(1))
            values = out.values() if isinstance(out, dict) else out
            a = next(v for v in values if isinstance(v, Tensor))
            return self.head(a.mul_(2))  # in place: must not show in the features

    net, frames = LinearNet(), clips(3)
    packed, plain = model(Unpacks(net), "inside"), model(net, "feature")
    torch.testing.assert_close(packed.embed(frames), plain.embed(frames))
    torch.testing.assert_close(packed.gradient(frames, 2, objective="logit"), 2 * net.head.weight[[2, 2, 2]])


@pytest.mark.parametrize("as_tuple", [False, True])
def test_tokens_are_averaged_over_the_sequence(as_tuple):
    net, frames = TokenNet(as_tuple).eval(), clips(3)
    m = model(net, "blocks.1", layout="BTCHW")
    with torch.no_grad():
        x = net.embed(m.prepare(frames).transpose(1, 2)).flatten(2).transpose(1, 2)
        for block in net.blocks:
            x = block(x)[0] if as_tuple else block(x)
    torch.testing.assert_close(m.embed(frames), x.mean(1))
    flat = model(net, "blocks.1", layout="BTCHW", pool=False)
    torch.testing.assert_close(flat.embed(frames), x.flatten(1))
    torch.testing.assert_close(
        flat.gradient(frames, 0).view(3, 8, 6).sum(1), m.gradient(frames, 0), rtol=1e-4, atol=1e-6
    )


def test_channel_axis_names_the_channels_of_maps_that_hold_them_last():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.per_position, self.head = nn.Linear(3, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.per_position(x.movedim(1, -1))).mean((1, 2, 3)))

    net, frames = Last(), clips(2)
    m = model(net, "per_position", channel_axis=4)
    truth = net.per_position(m.prepare(frames).movedim(1, -1)).mean((1, 2, 3))
    torch.testing.assert_close(m.embed(frames), truth.detach())
    assert m.gradient(frames, 0).shape == (2, 6)
    with pytest.raises(ModelError, match="channel_axis"):
        model(net, "per_position", channel_axis=7).embed(frames)


# --- video transformers, where transformers is installed ---


def transformer(name: str) -> nn.Module:
    pytest.importorskip("transformers", reason="transformers is not installed")
    hub = import_library("transformers", "huggingface")
    config, build, size = {
        "VideoMAE": (hub.VideoMAEConfig, hub.VideoMAEForVideoClassification, {"patch_size": 8, "tubelet_size": 2}),
        "ViViT": (hub.VivitConfig, hub.VivitForVideoClassification, {"tubelet_size": [2, 8, 8]}),
        "TimeSformer": (hub.TimesformerConfig, hub.TimesformerForVideoClassification, {"patch_size": 8}),
    }[name]
    size |= {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 17}
    return build(config(num_labels=5, image_size=32, num_frames=4, **size)).eval()


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("VideoMAE", ["videomae", "videomae.encoder.layer.0", "fc_norm"]),
        ("ViViT", ["vivit", "vivit.layers.0", "vivit.layernorm"]),
        ("TimeSformer", ["timesformer", "timesformer.encoder.layer.0", "timesformer.layernorm"]),
    ],
)
def test_video_transformers(name, layers):
    net, frames = transformer(name), clips(3, grid=(4, 32, 32))
    for layer in layers:
        m = model(net, layer, layout="BTCHW", grid=(4, 32, 32), batch_size=2)
        m = replace(m, pool=find_pool(m))  # of the last layers only the class token reaches the logits
        with torch.no_grad():
            truth = net(m.prepare(frames)).logits
        torch.testing.assert_close(m.logits(frames), truth, rtol=1e-4, atol=1e-5)
        assert m.embed(frames).shape == m.gradient(frames, 1).shape == (3, 16)
        # Along the gradient's direction the log odds rise by its length.
        wide = model(net.double(), layer, layout="BTCHW", grid=(4, 32, 32), pool=m.pool)
        g = wide.gradient(frames, 1)
        up, down = (shifted(wide, frames, sign * 1e-3 * g / g.norm(dim=1, keepdim=True)) for sign in (1, -1))
        torch.testing.assert_close((up - down) / 2e-3, g.norm(dim=1), rtol=0.02, atol=2e-3)
        net.float()


def shifted(m: VideoModel, frames: Tensor, change: Tensor) -> Tensor:
    """Log odds of class 1 when ``change`` [N,D] is added to the layer's output at every position of the feature."""

    def add(_: nn.Module, __: object, output: object) -> object:
        a = first_tensor(output)
        if a.ndim == 2:
            return replace_first(output, a + change)
        counted = torch.arange(a.shape[1]) >= m._axis_and_prefix(a)[1]  # a mean leaves the class token out
        return replace_first(output, a + counted[None, :, None] * change[:, None])

    handle = m.net.get_submodule(m.layer).register_forward_hook(add)
    try:
        return log_odds(m.logits(frames), 1)
    finally:
        handle.remove()
