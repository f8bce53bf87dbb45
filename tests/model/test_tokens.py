"""Positions of tokens and maps are those that the network gives them, and features leave out what has none."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_nets import TokenStem
from voxplain.attribution import GradCAM
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.map_choice import last_map
from voxplain.model.tokens import Tokens, channel_axis, token_layout
from voxplain.model.trace import trace

GRID = (4, 8, 12)
PLACES = (2, 2, 3)


class Patches(nn.Module):
    """Patches 2×4×4 as tokens in one of two orders after some tokens of no place, self-attention, a linear head."""

    def __init__(self, order: str = "thw", prefix: int = 1, pool: str = "class", convolution: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order, self.pool, self.convolution = order, pool, convolution
        self.patches = nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4)) if convolution else nn.Linear(96, 8)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 8))
        self.first, self.mix = nn.Identity(), nn.MultiheadAttention(8, 2, batch_first=True)
        self.add, self.norm, self.head = nn.Upsample(scale_factor=1), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        t, h, w = PLACES
        if self.convolution:
            maps = self.patches(x)
        else:
            cubes = x.unflatten(2, (t, 2)).unflatten(4, (h, 4)).unflatten(6, (w, 4))
            maps = self.patches(cubes.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)).permute(0, 4, 1, 2, 3)
        maps = maps if self.order == "thw" else maps.permute(0, 1, 3, 4, 2)
        tokens = self.first(torch.cat([self.prefix.expand(len(x), -1, -1), maps.flatten(2).transpose(1, 2)], 1))
        tokens = self.norm(tokens + self.mix(tokens, tokens, tokens, need_weights=False)[0])
        return self.head(tokens[:, 0] if self.pool == "class" else tokens.mean(1))


def model(net: nn.Module, layer: str = "norm", **options: object) -> VideoModel:
    return VideoModel(net.eval(), layer=layer, grid=GRID, **options)  # type: ignore[arg-type]


def noise(n: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, *GRID, 3), dtype=np.uint8)


@pytest.mark.parametrize("convolution", [True, False])
@pytest.mark.parametrize("prefix", [0, 1])
@pytest.mark.parametrize("order", ["thw", "hwt"])
def test_the_positions_of_tokens_are_found(order: str, prefix: int, convolution: bool) -> None:
    m = model(Patches(order, prefix, "mean", convolution))
    found = token_layout(m, 12 + prefix)
    assert found == Tokens(PLACES, prefix, order)  # type: ignore[arg-type]
    tokens = torch.randn(1, 12 + prefix, 8)
    for t, h, w in np.ndindex(PLACES):
        place = (t * 2 + h) * 3 + w if order == "thw" else (h * 3 + w) * 2 + t
        assert torch.equal(found.map_of(tokens)[0, :, t, h, w], tokens[0, prefix + place])
    assert token_layout(m, 5) is None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("order", ["thw", "hwt"])
def test_tokens_of_a_convolutional_stem_change_beside_the_corner_too(order: str, seed: int) -> None:
    torch.manual_seed(seed)
    net = TokenStem(order).eval()
    m = VideoModel(net, layer="norm", grid=(8, 32, 32))
    assert token_layout(m, 4 * 8 * 8) == Tokens((4, 8, 8), 0, order)  # type: ignore[arg-type]


def test_an_order_that_is_none_of_the_two_is_not_taken_for_one() -> None:
    torch.manual_seed(0)
    assert token_layout(VideoModel(TokenStem("twh").eval(), layer="norm", grid=(8, 32, 32)), 256) is None


def test_registers_before_many_tokens() -> None:
    class Registers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.prefix = nn.Conv3d(3, 4, (1, 2, 2), (1, 2, 2)), nn.Parameter(torch.randn(1, 5, 4))
            self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            tokens = torch.cat([self.prefix.expand(len(x), -1, -1), self.patches(x).flatten(2).transpose(1, 2)], 1)
            return self.head(self.norm(tokens).mean(1))

    assert token_layout(model(Registers()), 5 + 96) == Tokens((4, 4, 6), 5)


def test_given_positions_count_before_inferred_ones() -> None:
    own = Tokens(grid=(1, 4, 3), prefix=1)
    assert token_layout(model(Patches(), tokens=own), 13) == own
    with pytest.raises(ModelError, match=r"expected a grid \(t, h, w\) of 1 or more"):
        Tokens(grid=(0, 2, 2))


@pytest.mark.parametrize(
    ("pool", "truth"),
    [
        (True, lambda a: a[:, 1:].mean(1)),
        ("class_token", lambda a: a[:, 0]),
        ("last", lambda a: a[:, -1]),
        (False, lambda a: a.flatten(1)),
    ],
)
def test_features_of_tokens(pool: object, truth: object) -> None:
    net, frames = Patches(pool="mean"), noise(2)
    m, seen = model(net, pool=pool), []
    handle = net.norm.register_forward_hook(lambda _, __, out: seen.append(out))
    features = m.embed(frames)
    handle.remove()
    torch.testing.assert_close(features, truth(next(a for a in reversed(seen) if len(a) == 2)).detach())  # type: ignore[operator]
    # The head is linear and takes the mean of 13 tokens, of which the feature's positions are k.
    weights = net.head.weight[1].detach()
    expected = {True: 12, "class_token": 1, "last": 1}.get(pool)  # type: ignore[call-overload]
    g = m.gradient(frames, 1, objective="logit")
    if expected is not None:
        torch.testing.assert_close(g, (weights * expected / 13).expand(2, -1))
    with pytest.raises(ModelError, match="expected pool as True, False, 'class_token' or 'last', got 'cls'"):
        model(net, pool="cls")


def test_a_found_layer_is_pooled_by_what_reaches_the_logits() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x.mean((3, 4)).transpose(1, 2))[0][:, -1])

    for net, layer, pool in (
        (Patches(), "norm", "class_token"),
        (Patches(pool="mean"), "norm", True),
        (Steps(), "rnn", "last"),
    ):
        found = VideoModel(net.eval(), grid=GRID, layout="BCTHW")
        assert (found.layer, found.pool) == (layer, pool)


class WindowsNet(nn.Module):
    """Maps [N,T,H,W,C] as in Swin: a norm and a linear layer on the last axis; 7 features on 3 or more places."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, 7, (2, 4, 4), (2, 4, 4))
        self.block = nn.Sequential(nn.LayerNorm(7), nn.Linear(7, 7), nn.GELU())
        self.norm, self.head = nn.LayerNorm(7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.block(self.patches(x).movedim(1, -1))).mean((1, 2, 3)))


@pytest.mark.parametrize("layer", ["norm", "block", "patches"])
def test_maps_with_channels_last_are_recognised(layer: str) -> None:
    m = model(WindowsNet(), layer)
    assert m.embed(noise(2)).shape == (2, 7)
    assert m.gradient(noise(2), 1).shape == (2, 7)
    found = GradCAM(layer=layer)(m, noise()[0], 1)
    assert found.details["positions"] == PLACES
    assert GradCAM()(m, noise()[0], 1).details["layer"] == "norm"


def test_convolutions_keep_their_channels_where_sizes_coincide() -> None:
    """A gate of linear layers in a block whose maps are as wide as the gate."""
    block = nn.Sequential(nn.Conv3d(3, 8, 1), nn.BatchNorm3d(8), nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 8)))
    assert channel_axis(block, (1, 8, 4, 6, 4)) == 1
    assert channel_axis(block, (1, 8, 4, 6, 8)) == 1
    assert channel_axis(nn.LayerNorm(8), (1, 4, 6, 6, 8)) == 4


def test_one_stream_of_two_is_no_layer_for_cams() -> None:
    class Streams(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(3, 4, 3, padding=1)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat([self.slow(x[:, :, ::2]).mean((2, 3, 4)), self.fast(x).mean((2, 3, 4))], 1))

    m = model(Streams(), "head")
    assert last_map(m, trace(m.net, m.prepare(noise()))) is None
    with pytest.raises(ModelError, match="several streams"):
        GradCAM()(m, noise()[0], 1)
    assert GradCAM(layer="slow")(m, noise()[0], 1).details["layer"] == "slow"


def test_the_map_of_logits_is_no_layer_for_cams() -> None:
    class LogitMaps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x).movedim(1, -1)).movedim(-1, 1).mean((2, 3, 4))

    m = model(LogitMaps(), "body")
    found = last_map(m, trace(m.net, m.prepare(noise())))
    assert found is not None
    assert found.name == "body"


def test_tokens_that_reach_the_logits_are_taken() -> None:
    """With a class token the last layer in which half of the tokens still count is the one before the attention."""
    m = model(Patches(), "norm")
    m.net.first = nn.Upsample(scale_factor=1)  # a layer of tokens
    found = last_map(m, trace(m.net, m.prepare(noise())))
    assert found is not None
    assert (found.name, found.tokens) == ("first", Tokens(PLACES, 1))
    values = GradCAM()(m, noise()[0], 1)
    assert values.details["positions"] == PLACES
    assert values.values.std() > 0


class Block(nn.Module):
    """Attention and MLP beside shortcuts, a module for each step, as in the ViT of Hugging Face."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.query, self.key, self.value = nn.LayerNorm(8), *(nn.Linear(8, 8) for _ in range(3))
        self.output, self.norm2, self.up, self.act = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU()
        self.down, self.scale, self.end = nn.Linear(16, 8), nn.Softsign(), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm1(x)
        weights = (self.query(n) @ self.key(n).transpose(1, 2)).softmax(2)
        x = x + self.output(weights @ self.value(n))
        return self.end(x + self.scale(self.down(self.act(self.up(self.norm2(x))))))


class Deep(Patches):
    """Two such blocks, and a head on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.first(torch.cat([self.prefix.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], 1))
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def test_the_map_lies_before_the_block_after_which_only_the_class_token_counts() -> None:
    """However many modules that block has: none of them, but the output of the block before it."""
    m = model(Deep())
    found = last_map(m, trace(m.net, m.prepare(noise()), m.raw))
    assert found is not None
    assert (found.name, found.tokens) == ("blocks.0", Tokens(PLACES, 1))
    assert GradCAM()(m, noise()[0], 0).details["positions"] == PLACES
