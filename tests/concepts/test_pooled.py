"""Pooled features against maps and overlaps worked out by hand, and every embedder of the registry."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from voxplain.concepts.pooled import PooledFeatures, place_weights

from known_nets import MEAN, STD, colour_model, conv_model, noise, two_levels
from voxplain.concepts.embedders import EMBEDDERS
from voxplain.concepts.feature_maps import feature_maps
from voxplain.errors import DataError, ModelError, VideoError
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.segment import Supervoxels

PLAIN = {"centre": False, "normalise": False}


def mosaic_model(**options) -> VideoModel:
    """Mean colours of 2×2×2 blocks (layer ``fine``), of 4×4×4 blocks (``coarse``), of the clip (``colour``)."""
    layers = {"fine": nn.AvgPool3d(2), "coarse": nn.AvgPool3d(2), "mean": nn.AdaptiveAvgPool3d(1)}
    net = nn.Sequential(OrderedDict(**layers, colour=nn.Flatten(), head=nn.Linear(3, 4))).eval()
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


@pytest.mark.parametrize("layers", [("coarse", "fine"), ("fine", "coarse")])  # places of the second from the first's
def test_rows_are_means_of_the_map_over_a_supervoxels_voxels(layers):
    clip, parts = noise(), ragged()
    got = PooledFeatures(layers=layers, **PLAIN)(mosaic_model(), clip, parts)
    assert got.shape == (parts.count, 6)
    assert got.dtype == np.float32
    values = np.concatenate([blocks(clip.frames, {"coarse": 4, "fine": 2}[name]) for name in layers], axis=3)
    for i, row in enumerate(got):
        np.testing.assert_allclose(row, values[parts.mask(i)].mean(0), atol=1e-4)


@pytest.mark.parametrize("ids", [np.array([3, 0]), np.array([], int)])
def test_chosen_supervoxels_have_the_rows_of_all(ids):
    clip, parts = noise(), ragged()
    whole = PooledFeatures()(mosaic_model(), clip, parts)
    assert np.array_equal(PooledFeatures()(mosaic_model(), clip, parts, ids=ids), whole[ids])


def test_centre_and_normalise_act_on_each_layer():
    clip, parts, layers = noise(), ragged(), ("coarse", "fine")
    plain = PooledFeatures(layers=layers, **PLAIN)(mosaic_model(), clip, parts).reshape(-1, 2, 3)
    centred = plain - blocks(clip.frames, 4).mean((0, 1, 2))
    for options, expected in (
        ({"normalise": False}, centred),
        ({"centre": False}, plain / np.linalg.norm(plain, axis=2, keepdims=True)),
        ({}, centred / np.linalg.norm(centred, axis=2, keepdims=True)),
    ):
        got = PooledFeatures(layers=layers, **options)(mosaic_model(), clip, parts)
        np.testing.assert_allclose(got.reshape(-1, 2, 3), expected, atol=1e-4)


def test_a_clip_of_one_colour_has_no_direction_and_no_nan():
    clip = noise()
    clip.frames[:] = 90
    assert np.abs(PooledFeatures()(mosaic_model(), clip, ragged())).max() <= 1


@pytest.mark.parametrize(("step", "starts"), [(8, (0, 6)), (3, (0, 3, 6))])
def test_long_clips_are_averaged_over_the_windows_in_which_a_supervoxel_is(step, starts):
    clip = noise(3, frames=10)
    parts = Supervoxels.from_levels([np.indices((10, 8, 8))[0] // 4, ragged(10).labels[0]])
    got = PooledFeatures(layers=("fine",), window_step=step, **PLAIN)(mosaic_model(), clip, parts)
    for i, row in enumerate(got):
        seen = [blocks(clip.frames[s : s + 4], 2)[parts.mask(i)[s : s + 4]] for s in starts]
        np.testing.assert_allclose(row, np.concatenate(seen).mean(0), atol=1e-4)


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


def test_both_gives_what_a_call_gives_and_rows_beside_the_models_own_features():
    model, clip, parts = conv_model(), noise(), two_levels()
    whole = Supervoxels.from_levels([np.zeros((4, 8, 8), int)])
    for model_ in (model, replace(model, layer="1")):  # the pooled vector, and the map itself
        both = PooledFeatures().embed(model_, clip, parts)
        rows, own = both.values, both.layer_values
        assert np.array_equal(rows, PooledFeatures()(model_, clip, parts))
        assert own.shape == (parts.count, 8)
        everything = PooledFeatures().embed(model_, clip, whole).layer_values
        np.testing.assert_allclose(everything, model_.embed(clip.frames[None]).numpy(), atol=1e-5)
        np.testing.assert_allclose(own[:2].mean(0), everything[0], atol=1e-5)  # two halves make the whole


def test_a_feature_that_is_no_mean_of_a_map_has_no_rows_beside_it():
    model = conv_model()
    with pytest.raises(ModelError, match="the mean of a map, got another at '4'; name the pooling"):
        PooledFeatures().embed(replace(model, layer="4"), noise(), two_levels())
    assert PooledFeatures()(replace(model, layer="4"), noise(), two_levels()).shape == (5, 8)


STAGES = {
    "tiny": (["block2", "block4"], "block4"),
    "compact": (["layer1", "layer3"], "layer3"),
    "r3d": (["layer2", "layer3", "layer4"], "layer4"),
    "i3d": (["Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c"], "Mixed_5c"),
}


@pytest.mark.parametrize("name", STAGES)
def test_the_ends_of_the_stages_of_networks_here_are_found(name):
    stages, last = STAGES[name]
    torch.manual_seed(0)
    model = VideoModel(net=build_net(name, 2).eval(), layer=NETS[name].feature_layer, grid=(16, 64, 64))
    frames = noise(1, frames=16, size=64).frames[None]
    seen = feature_maps(model, frames)
    assert list(seen.maps) == stages
    assert seen.feature is not None
    assert torch.equal(seen.feature, feature_maps(model, frames, (last,)).maps[last])
    assert torch.equal(seen.maps[last], seen.feature)


class Tokens(nn.Module):
    """Patches of the clip as tokens [N,S,D], as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.Linear(3, 5), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x.flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize(
    ("model", "layers", "told"),
    [
        (
            mosaic_model(),
            ("colour",),
            r"map over time and space .* 'colour', got \(1, 3\); .* such as 'fine', 'coarse'",
        ),
        (mosaic_model(), ("mean",), r"from layer 'mean', got \(1, 3, 1, 1, 1\)"),
        (mosaic_model(), ("finest",), "expected the dotted name of a layer, got 'finest'; did you mean 'fine'"),
        (colour_model(), (), "found none in net; tokens of transformers cannot be pooled, take crops"),
        (VideoModel(net=Tokens(), layer="block", grid=(4, 8, 8)), (), "tokens of transformers cannot be pooled"),
        (VideoModel(net=Tokens(), layer="block", grid=(4, 8, 8)), ("block",), r"'block', got \(1, 256, 5\); name a"),
    ],
)
def test_layers_without_a_map_are_refused(model, layers, told):
    with pytest.raises(ModelError, match=told):
        PooledFeatures(layers=layers)(model, noise(), two_levels())


def test_a_layer_that_never_runs_is_refused():
    model = conv_model()
    model.net[0].add_module("idle", nn.Conv3d(1, 1, 1))
    with pytest.raises(ModelError, match=r"expected layer '0\.idle' to run, got no call"):
        PooledFeatures(layers=("0.idle",))(model, noise(), two_levels())


def test_wrong_options_are_refused_at_once():
    for options in ({"window_step": 0}, {"layers": ("a", "a")}):
        with pytest.raises(DataError, match="window_step of 1 or more and every layer once"):
            PooledFeatures(**options)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_every_embedder_keeps_the_protocol(name):
    model, clip, parts = conv_model(), noise(2, frames=9), ragged(9)
    before, embedder = clip.frames.copy(), EMBEDDERS[name]
    model.net.train()
    rows = embedder(model, clip, parts)
    assert rows.dtype == np.float32
    assert rows.shape == (parts.count, rows.shape[1])
    assert np.isfinite(rows).all()
    assert np.ptp(rows, axis=0).max() > 1e-3
    assert np.array_equal(embedder(model, clip, parts), rows)
    np.testing.assert_allclose(embedder(model, clip, parts, ids=np.array([4, 1])), rows[[4, 1]], atol=1e-6)
    assert embedder(model, clip, parts, ids=np.array([], int)).shape == (0, rows.shape[1])
    with pytest.raises(VideoError, match="at least 4 frames, got 3"):
        embedder(model, noise(2, frames=3), ragged(3))
    assert np.array_equal(clip.frames, before)
    assert all(m.training and not m._forward_hooks for m in model.net.modules())
    assert torch.is_grad_enabled()
