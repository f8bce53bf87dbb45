"""Batch norm is folded where nothing else meets what lies between, and nowhere else."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from small_nets import GRID, ConvNet, TokenNet, clips
from voxplain.errors import ModelError
from voxplain.inference import fold
from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net


def set_running_statistics(net: nn.Module) -> nn.Module:
    """Batch norms as after training: nothing is 0 or 1."""
    torch.manual_seed(1)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and m.running_mean is not None:
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 2)
            if m.affine:
                nn.init.uniform_(m.weight, 0.5, 1.5)
                nn.init.normal_(m.bias, 0, 0.3)
    return net.eval()


def folded(net: nn.Module, layer: str, **options) -> list[str]:
    """Names folded; on the way, that outputs stay and the network given is not touched."""
    model = VideoModel(net=set_running_statistics(net), layer=layer, **{"grid": GRID, **options})
    before = {k: v.clone() for k, v in net.state_dict().items()}
    frames = clips(3, grid=model.grid)
    truth = model.outputs(frames)
    twin, names = fold(model, frames)
    seen = replace(model, net=twin).outputs(frames)
    torch.testing.assert_close(seen.features, truth.features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.logits, truth.logits, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for n in (net, twin) for m in n.modules())
    assert all(isinstance(twin.get_submodule(n), nn.Identity) for n in names)
    return names


class Custom(nn.Module):
    """conv, bn and a head; ``body`` says how they are joined."""

    def __init__(self, body, conv: nn.Module | None = None, bn: nn.Module | None = None, after: int = 4) -> None:
        super().__init__()
        self.conv = conv or nn.Conv3d(3, 4, 3, padding=1)
        self.bn = bn or nn.BatchNorm3d(4)
        self.pool, self.head, self.body = nn.AdaptiveAvgPool3d(1), nn.Linear(after, 5), body

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.body(self, x)).flatten(1))


@pytest.mark.parametrize("inplace", [False, True])
def test_a_convolution_with_its_batch_norm(inplace):
    assert folded(ConvNet(inplace), "pool") == ["bn"]


@pytest.mark.parametrize(
    ("name", "count", "grid"),
    [("tiny", 4, (8, 32, 48)), ("compact", 10, (8, 32, 48)), ("r3d", 20, (8, 32, 32)), ("i3d", 57, (8, 32, 32))],
)
def test_every_batch_norm_of_the_nets_here(name, count, grid):
    torch.manual_seed(0)
    assert len(folded(build_net(name, 4), NETS[name].feature_layer, grid=grid)) == count


def test_groups_strides_and_no_affine():
    conv = nn.Conv3d(3, 6, 3, stride=2, groups=3, bias=False)
    net = Custom(lambda s, x: torch.relu(s.bn(s.conv(x))), conv, nn.BatchNorm3d(6, affine=False), after=6)
    assert folded(net, "pool") == ["bn"]


class Frame(nn.Module):
    """A 2D network over frames given as [B,T,C,H,W], with a batch norm after a linear layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.hidden, self.norm, self.head = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        y = torch.relu(self.bn(self.conv(x.flatten(0, 1)))).mean((2, 3)).unflatten(0, x.shape[:2]).mean(1)
        return self.head(torch.relu(self.norm(self.hidden(y)))), "and more"


def test_two_dimensions_linear_layers_frames_first_and_tuples():
    assert folded(Frame(), "head", layout="BTCHW") == ["bn", "norm"]


def test_a_linear_layers_last_axis_is_not_the_batch_norms():
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.bn, self.head = nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.bn(self.linear(x.flatten(2)[:, :, :8].repeat(1, 2, 1)[:, :4])).mean(1))

    assert folded(Tokens(), "head") == []


@pytest.mark.parametrize("watched", ["conv1", "bn"])
def test_the_watched_layer_stays(watched):
    assert folded(ConvNet(), watched) == []


def test_a_watched_block_that_ends_in_the_convolution():
    net = nn.Sequential(nn.Sequential(nn.Conv3d(3, 4, 3)), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    assert folded(net, "0") == []
    assert folded(net, "2") == ["1"]


def between(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.conv(x).mul_(2))


def residual(s: Custom, x: Tensor) -> Tensor:
    y = s.conv(x)
    return y + s.bn(y)


def shape_only(s: Custom, x: Tensor) -> Tensor:
    y = s.conv(x)
    return s.bn(y) * y.shape[1]


def twice(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.conv(x)) + s.bn(s.conv(x.flip(2)))


def norm_twice(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.bn(s.conv(x)))


def weight_elsewhere(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.conv(x)) + s.conv.weight.mean()


def norm_read(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.conv(x)) * s.bn.weight.sum()


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (between, []),
        (residual, []),
        (twice, []),
        (norm_twice, []),
        (weight_elsewhere, []),
        (norm_read, []),
        (shape_only, ["bn"]),
    ],
)
def test_what_is_used_elsewhere_is_left(body, names):
    assert folded(Custom(body), "pool") == names


def plain(s: Custom, x: Tensor) -> Tensor:
    return s.bn(s.conv(x))


def test_no_statistics_no_folding():
    assert folded(Custom(plain, bn=nn.BatchNorm3d(4, track_running_stats=False)), "pool") == []


def test_shared_weights_parametrisations_and_own_classes_are_left():
    class Own(nn.Conv3d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) ** 2

    net = Custom(plain)
    net.other = nn.Conv3d(3, 4, 3)
    net.other.weight = net.conv.weight
    assert folded(net, "pool") == []
    assert folded(Custom(plain, conv=Own(3, 4, 3)), "pool") == []
    normed = nn.utils.parametrizations.weight_norm(nn.Conv3d(3, 4, 3))
    assert folded(Custom(plain, conv=normed), "pool") == []


def test_a_layer_with_a_hook_is_left():
    net = set_running_statistics(Custom(plain))
    net.conv.register_forward_hook(lambda _, __, y: y * 2)
    model = VideoModel(net=net, layer="pool", grid=GRID)
    assert fold(model, clips(1))[1] == []


def test_one_module_under_two_names_becomes_one_identity():
    net = Custom(plain)
    net.also = net.bn
    assert sorted(folded(net, "pool")) == ["also", "bn"]


def test_networks_without_batch_norm():
    assert folded(TokenNet(), "norm", layout="BTCHW") == []


def test_folding_is_exact_in_float64():
    model = VideoModel(net=set_running_statistics(ConvNet()).double(), layer="pool", grid=GRID)
    x = model.prepare(clips(4))
    with torch.no_grad():
        torch.testing.assert_close(fold(model, clips(1))[0](x), model.net(x), rtol=1e-12, atol=1e-13)


def test_the_mode_of_the_network_stays_and_the_copy_is_frozen():
    net = set_running_statistics(ConvNet())
    net.train()
    twin, names = fold(VideoModel(net=net, layer="pool", grid=GRID), clips(1))
    assert names == ["bn"]
    assert all(m.training for m in net.modules())
    assert not any(m.training for m in twin.modules())
    assert not any(p.requires_grad for p in twin.parameters())
    assert all(p.requires_grad for p in net.parameters())


def test_what_cannot_be_copied_is_refused():
    net = ConvNet()
    net.source = (i for i in range(3))
    with pytest.raises(ModelError, match="network that can be copied, got TypeError"):
        fold(VideoModel(net=net, layer="pool", grid=GRID), clips(1))
