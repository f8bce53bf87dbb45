"""Features in context against maps, gradients and overlaps worked out by hand, and every embedder of the registry."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from known_nets import MEAN, STD, colour_model, conv_model, noise, two_levels
from voxplain.concepts.context import ContextFeatures, place_weights
from voxplain.concepts.contributions import contributions
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.feature_maps import feature_maps, map_layers
from voxplain.concepts.features import MaskedCrops
from voxplain.errors import DataError, ModelError, VideoError
from voxplain.model import VideoModel
from voxplain.model.tokens import Tokens
from voxplain.nets import NETS, build_net
from voxplain.segment import Supervoxels

PLAIN = ContextFeatures(contribution=0.0)
HEAD = np.random.default_rng(4).normal(size=(4, 3))  # weights of the classes


def mosaic_model(**options) -> VideoModel:
    """Mean colours of 2×2×2 blocks (layer ``fine``), of 4×4×4 blocks (``coarse``), of the clip (``colour``)."""
    layers = {"fine": nn.AvgPool3d(2), "coarse": nn.AvgPool3d(2), "mean": nn.AdaptiveAvgPool3d(1)}
    head = nn.Linear(3, 4)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(HEAD))
        head.bias.zero_()
    net = nn.Sequential(OrderedDict(**layers, colour=nn.Flatten(), head=head)).eval()
    return VideoModel(**{"net": net, "layer": "colour", "mean": MEAN, "std": STD, "grid": (4, 8, 8), **options})


def blocks(frames: np.ndarray, side: int) -> np.ndarray:
    """Every voxel's value: the normalised mean colour of its block, float64 [T,H,W,3]."""
    t, h, w, _ = frames.shape
    x = ((frames / 255 - MEAN) / STD).reshape(t // side, side, h // side, side, w // side, side, 3)
    return np.kron(x.mean((1, 3, 5)), np.ones((side, side, side, 1)))


def ragged(frames: int = 4) -> Supervoxels:
    """Labels that keep to no block, a voxel alone among them."""
    labels = np.random.default_rng(2).integers(0, 5, (frames, 8, 8))
    labels[1, 3, 5] = 5
    return Supervoxels.from_levels([labels, np.indices((frames, 8, 8))[2] // 3])


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("layers", [("coarse", "fine"), ("fine", "coarse")])  # places of the second from the first's
def test_rows_are_directions_of_the_means_under_a_supervoxel_from_the_clips_mean(layers):
    clip, parts = noise(), ragged()
    got = replace(PLAIN, layers=layers).embed(mosaic_model(), clip, parts).values
    assert got.shape == (parts.count, 6)
    assert got.dtype == np.float32
    whole = blocks(clip.frames, 4).mean((0, 1, 2))
    values = np.stack([blocks(clip.frames, {"coarse": 4, "fine": 2}[name]) for name in layers], axis=3) - whole
    for i, row in enumerate(got.reshape(-1, 2, 3)):
        np.testing.assert_allclose(row, unit(values[parts.mask(i)].mean(0)), atol=1e-4)


def sums(voxels: np.ndarray, parts: Supervoxels) -> np.ndarray:
    """Of voxels in each part, over the root of their number."""
    masks = [parts.mask(i) for i in range(parts.count)]
    return np.array([voxels[m].sum() / np.sqrt(m.sum()) for m in masks])


@pytest.mark.parametrize("length", [2.0, 0.5])
@pytest.mark.parametrize("target", [0, 3])
def test_the_last_number_is_the_contribution_of_a_supervoxel(length, target):
    clip, parts, model = noise(), ragged(), mosaic_model()
    got = ContextFeatures(contribution=length, fill="blur", steps=3).embed(
        model, clip, parts, gradient_of=(target, "logit")
    )
    expected = sums(contributions(model, clip.frames, target, fill="blur", steps=3), parts)
    np.testing.assert_allclose(got.values[:, 3], expected * (length / np.abs(expected).max()), atol=1e-5)
    np.testing.assert_allclose(got.gradient, HEAD[target], atol=1e-5)
    np.testing.assert_allclose(got.values[:, :3], PLAIN.embed(model, clip, parts).values, atol=1e-6)


@pytest.mark.parametrize("gradient_of", [None, (2, "log_odds")])
@pytest.mark.parametrize(("frames", "step", "start"), [(4, 8, 0), (8, 2, 2), (8, 3, None), (9, 1, 2)])
def test_logits_are_those_of_the_central_window(frames, step, start, gradient_of):
    clip, model = noise(frames=frames), conv_model()
    parts = Supervoxels.from_levels([np.indices((frames, 8, 8))[2] // 3])
    features = replace(PLAIN if gradient_of is None else ContextFeatures(), window_step=step)
    got = features.embed(model, clip, parts, gradient_of=gradient_of)
    if start is None:  # the central window is not among those embedded
        assert got.logits is None
        assert got.gradient is None
        return
    window = clip.frames[None, start : start + 4]
    np.testing.assert_allclose(got.logits, model.logits(window)[0].numpy(), atol=1e-6)
    if gradient_of is not None:
        gradient = model.gradient(window, 2, objective="log_odds")[0].numpy()
        np.testing.assert_allclose(got.gradient, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("objective", ["logit", "log_odds"])
@pytest.mark.parametrize("layer", ["1", "2", "3"])  # the map, its mean, the same flat
def test_the_gradient_is_the_models(layer, objective):
    model, clip = conv_model(layer=layer), noise()
    got = ContextFeatures().embed(model, clip, two_levels(), gradient_of=(2, objective)).gradient
    expected = model.gradient(clip.frames[None], 2, objective=objective)[0].numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-7)
    assert np.abs(expected).max() > 0


def test_without_class_leaves_the_contribution_out_and_with_it_a_class_is_needed():
    clip, parts, features = noise(), two_levels(), ContextFeatures()
    assert features.without_class() == PLAIN
    assert PLAIN.embed(conv_model(), clip, parts).gradient is None
    for_class = PLAIN.embed(conv_model(), clip, parts, gradient_of=(0, "logit"))
    assert np.array_equal(for_class.values, PLAIN.embed(conv_model(), clip, parts).values)
    assert for_class.gradient is not None
    with pytest.raises(DataError, match=r"expected the class to which contributions .*; give gradient_of"):
        features.embed(conv_model(), clip, parts)


@pytest.mark.parametrize("ids", [np.array([3, 0]), np.array([], int)])
def test_chosen_supervoxels_have_the_rows_of_all(ids):
    clip, parts = noise(), ragged()
    wanted = {"gradient_of": (1, "logit")}
    whole = ContextFeatures().embed(mosaic_model(), clip, parts, **wanted)
    some = ContextFeatures().embed(mosaic_model(), clip, parts, ids=ids, **wanted)
    assert np.array_equal(some.values, whole.values[ids])
    assert np.array_equal(some.layer_values, whole.layer_values[ids])
    assert np.array_equal(some.gradient, whole.gradient)


def test_a_clip_of_one_colour_has_no_direction_and_no_nan():
    clip = noise()
    clip.frames[:] = 90
    got = ContextFeatures().embed(mosaic_model(), clip, ragged(), gradient_of=(1, "logit")).values
    assert np.abs(got).max() <= 1


@pytest.mark.parametrize(("step", "starts"), [(8, (0, 6)), (3, (0, 3, 6))])
def test_long_clips_are_averaged_over_the_windows_in_which_a_supervoxel_is(step, starts):
    clip = noise(3, frames=10)
    parts = Supervoxels.from_levels([np.indices((10, 8, 8))[0] // 4, ragged(10).labels[0]])
    features = ContextFeatures(layers=("fine",), window_step=step)
    got = features.embed(mosaic_model(), clip, parts, gradient_of=(1, "logit"))
    assert (got.gradient is None) is (3 not in starts)  # of the central window
    windows = [blocks(clip.frames[s : s + 4], 2) for s in starts]
    coarse = [blocks(clip.frames[s : s + 4], 4) for s in starts]
    shares = np.zeros((len(starts), 10, 8, 8))
    for share, s in zip(shares, starts, strict=True):
        share[s : s + 4] = contributions(mosaic_model(), clip.frames[s : s + 4], 1)
    seen = np.sum([(np.arange(10) >= s) & (np.arange(10) < s + 4) for s in starts], axis=0)
    expected = sums(shares.sum(0) / np.maximum(seen, 1)[:, None, None], parts)
    expected /= np.abs(expected).max()
    mean = np.mean([w.mean((0, 1, 2)) for w in windows], axis=0)

    def under(i, maps):
        return np.concatenate([w[parts.mask(i)[s : s + 4]] for s, w in zip(starts, maps, strict=True)]).mean(0)

    for i, row in enumerate(got.values):
        np.testing.assert_allclose(row[:3], unit(under(i, windows) - mean), atol=1e-4)
        np.testing.assert_allclose(row[3], expected[i], atol=1e-4)
        np.testing.assert_allclose(got.layer_values[i], under(i, coarse), atol=1e-4)


@pytest.mark.parametrize("grid", [(4, 8, 8), (2, 4, 2), (3, 5, 7), (1, 1, 1), (5, 9, 10)])
def test_every_voxel_counts_once_in_the_places_it_lies_in(grid):
    parts, span = ragged(6), (1, 5)
    got = place_weights(parts, np.arange(parts.count), grid, span).reshape(-1, *grid)
    fine = [4 * grid[0], 8 * grid[1], 8 * grid[2]]  # both voxels and places are whole numbers of these
    for i in range(parts.count):
        mask = parts.mask(i)[slice(*span)].astype(float)
        for axis, (n, whole) in enumerate(zip(mask.shape, fine, strict=True)):
            mask = mask.repeat(whole // n, axis) * n / whole
        shape = [part for size, whole in zip(grid, fine, strict=True) for part in (size, whole // size)]
        np.testing.assert_allclose(got[i], mask.reshape(shape).sum((1, 3, 5)), atol=1e-4)
        assert got[i].sum() == pytest.approx(parts.mask(i)[slice(*span)].sum())


def test_values_at_the_models_layer_are_its_features_of_the_parts():
    model, clip, parts = conv_model(), noise(), two_levels()
    whole = Supervoxels.from_levels([np.zeros((4, 8, 8), int)])
    for model_ in (model, replace(model, layer="1")):  # the pooled vector, and the map itself
        own = PLAIN.embed(model_, clip, parts).layer_values
        assert own.shape == (parts.count, 8)
        everything = PLAIN.embed(model_, clip, whole).layer_values
        np.testing.assert_allclose(everything, model_.embed(clip.frames[None]).numpy(), atol=1e-5)
        np.testing.assert_allclose(own[:2].mean(0), everything[0], atol=1e-5)  # two halves make the whole


@pytest.mark.parametrize("layer", ["4", "5"])  # behind the mean
def test_cavs_of_a_feature_that_is_no_mean_of_a_map_are_in_the_space_of_the_maps_mean(layer):
    model, clip, wanted = replace(conv_model(), layer=layer), noise(), (2, "log_odds")
    found = ContextFeatures().embed(model, clip, two_levels(), gradient_of=wanted)
    at_mean = ContextFeatures().embed(conv_model(), clip, two_levels(), gradient_of=wanted)
    np.testing.assert_array_equal(found.layer_values, at_mean.layer_values)
    np.testing.assert_allclose(found.gradient, at_mean.gradient, rtol=1e-4, atol=1e-7)


STAGES = {
    "tiny": ["block2", "block4"],
    "compact": ["layer1", "layer3"],
    "r3d": ["layer2", "layer3", "layer4"],
    "i3d": ["Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c"],
}


@pytest.mark.parametrize("name", STAGES)
def test_the_ends_of_the_stages_of_networks_here_are_found(name):
    torch.manual_seed(0)
    model = VideoModel(net=build_net(name, 2).eval(), layer=NETS[name].feature_layer, grid=(16, 64, 64))
    seen = feature_maps(model, noise(1, frames=16, size=64).frames[None])
    assert list(seen.maps) == STAGES[name]
    assert seen.feature is not None
    assert torch.equal(seen.maps[STAGES[name][-1]], seen.feature)


class Transformer(nn.Module):
    """Patches 2×4×4 of the clip as tokens [N,1+S,C] with a class token before them, one block, a head on their mean."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv3d(3, 5, (2, 4, 4), stride=(2, 4, 4))
        self.token = nn.Parameter(torch.randn(1, 1, 5))
        self.block, self.norm, self.head = nn.Linear(5, 5), nn.LayerNorm(5), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        return self.head(self.norm(torch.tanh(self.block(tokens))).mean(1))


def test_tokens_are_in_the_positions_of_the_map_before_them_without_the_class_token():
    net = Transformer().eval()
    model = VideoModel(net=net, layer="norm", grid=(4, 8, 8))
    found = map_layers(model)
    assert [(p.layer, p.tokens) for p in found] == [("norm", Tokens(grid=(2, 2, 2), prefix=1))]
    frames = noise().frames[None]
    seen = feature_maps(model, frames, ("block", "patches"), gradient_of=(1, "logit"))
    with torch.no_grad():
        patches = net.patches(model.prepare(frames))
        tokens = net.block(patches.flatten(2).transpose(1, 2))  # of the patches alone: a linear layer mixes none
    torch.testing.assert_close(seen.maps["patches"], patches)
    for place in range(8):
        t, y, x = np.unravel_index(place, (2, 2, 2))
        torch.testing.assert_close(seen.maps["block"][0, :, t, y, x], tokens[0, place])
    rows = ContextFeatures().embed(model, noise(), two_levels(), gradient_of=(1, "logit")).values
    assert rows.shape == (5, 6)


class Mixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(1, keepdim=True)


class First(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


class ClassToken(Transformer):
    """Its tokens are mixed once; then a module takes the class token alone, as in MViT of PyTorchVideo."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.first = Mixed(), First()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = self.mixed(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1))
        return self.head(self.first(self.norm(torch.tanh(self.block(tokens)))))


def test_tokens_that_do_not_reach_the_logits_are_left_out_also_where_the_layer_has_the_class_token_alone():
    model = VideoModel(net=ClassToken().eval(), layer="first", grid=(4, 8, 8))
    assert model.pool is True
    assert map_layers(model)[-1].layer == "patches"
    seen = feature_maps(model, noise().frames[None], gradient_of=(1, "logit"))
    assert seen.gradient is not None
    assert bool(seen.gradient.any())


class Patchless(nn.Module):
    """Voxels as tokens [N,S,D] without a map before them."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.Linear(3, 5), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x.flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize(
    ("model", "layers", "told"),
    [
        (mosaic_model(), ("colour",), r"positions in time and space .*, got 'colour'; name another, such as 'coarse'"),
        (mosaic_model(), ("mean",), "positions in time and space .*, got 'mean'"),
        (mosaic_model(), ("finest",), "expected the dotted name of a layer, got 'finest'; did you mean 'fine'"),
        (colour_model(), (), "before 'colour', found none in net; choose the embedder crops"),
        (VideoModel(net=Patchless(), layer="block", grid=(4, 8, 8)), (), "before 'block', found none in net; choose"),
        (
            VideoModel(net=Patchless(), layer="block", grid=(4, 8, 8)),
            ("block",),
            "found none in net; choose the embedder crops",
        ),
    ],
)
def test_layers_without_a_map_are_refused(model, layers, told):
    with pytest.raises(ModelError, match=told):
        replace(PLAIN, layers=layers).embed(model, noise(), two_levels())


def test_a_layer_that_never_runs_is_refused():
    model = conv_model()
    model.net[0].add_module("idle", nn.Conv3d(1, 1, 1))
    with pytest.raises(ModelError, match=r"positions in time and space .*, got '0\.idle'; name another"):
        replace(PLAIN, layers=("0.idle",)).embed(model, noise(), two_levels())


def test_logits_that_do_not_depend_on_the_layer_are_refused():
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bias = nn.Conv3d(3, 2, 3, stride=2, padding=1), nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.conv(x)
            return self.bias.expand(len(x), 4) * 1.0

    model = VideoModel(net=Blind(), layer="conv", grid=(4, 8, 8))
    with pytest.raises(ModelError, match="depend on layer 'conv'"):
        ContextFeatures().embed(model, noise(), two_levels(), gradient_of=(0, "logit"))


def test_wrong_options_are_refused_at_once():
    for options in ({"window_step": 0}, {"layers": ("a", "a")}, {"contribution": -1.0}, {"steps": 0}):
        with pytest.raises(DataError, match="window_step and steps of 1 or more, contribution of 0 or more and every"):
            ContextFeatures(**options)
    with pytest.raises(DataError, match=r"expected a fill of .*, got 'pink'; choose one"):
        ContextFeatures(fill="pink")


@pytest.mark.parametrize("name", EMBEDDERS)
def test_every_embedder_keeps_the_protocol(name):
    model, clip, parts = conv_model(), noise(2, frames=9), ragged(9)
    before, embedder = clip.frames.copy(), EMBEDDERS[name]
    wanted = (1, "logit") if embedder.one_pass else None

    def rows_of(clip, parts, ids=None):
        return embedder.embed(model, clip, parts, ids=ids, gradient_of=wanted).values

    model.net.train()
    rows = rows_of(clip, parts)
    assert rows.dtype == np.float32
    assert rows.shape == (parts.count, rows.shape[1])
    assert np.isfinite(rows).all()
    assert np.ptp(rows, axis=0).max() > 1e-3
    assert np.array_equal(rows_of(clip, parts), rows)
    np.testing.assert_allclose(rows_of(clip, parts, np.array([4, 1])), rows[[4, 1]], atol=1e-6)
    assert rows_of(clip, parts, np.array([], int)).shape == (0, rows.shape[1])
    found = embedder.without_class().embed(model, clip, parts)
    assert found.in_layer_space.shape == (parts.count, 8)
    assert embedder.layer_space == (found.layer_values is None)
    with pytest.raises(VideoError, match="at least 4 frames, got 3"):
        rows_of(noise(2, frames=3), ragged(3))
    assert np.array_equal(clip.frames, before)
    assert all(m.training and not m._forward_hooks for m in model.net.modules())
    assert all(p.grad is None for p in model.net.parameters())
    assert torch.is_grad_enabled()


def test_gradients_that_the_contribution_takes():
    assert ContextFeatures(steps=3).class_gradients == 3
    assert ContextFeatures(steps=3).without_class().class_gradients == 0
    assert MaskedCrops().class_gradients == 0
