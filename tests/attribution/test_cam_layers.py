"""Which layer is chosen, and how its output becomes [N,C,t,h,w]."""

from collections import OrderedDict

import numpy as np
import pytest
from torch import nn

from map_nets import FlatNet, FrameNet, GapNet, LastNet, clip, inputs, model
from small_nets import ConvNet
from voxplain.attribution import CAM, GradCAM, HiResCAM, ScoreCAM
from voxplain.errors import ModelError
from voxplain.zoo.load import load_model


@pytest.mark.parametrize(("net", "layer"), [(ConvNet(), "relu2"), (FlatNet(), "act"), (GapNet(conv_head=True), "act")])
def test_the_last_map_before_the_head_is_chosen(net, layer):
    assert GradCAM()(model(net), clip(), 0).details["layer"] == layer


def test_the_packages_networks_look_at_the_layer_that_their_list_names():
    m = load_model("planted")
    found = GradCAM()(m, clip(0, m.grid), 0)
    assert found.details == {"layer": "block4", "positions": (4, 8, 8)}


def test_pools_and_modules_that_run_twice_are_passed_over():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.act = nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1), nn.ReLU()
            self.pool, self.head = nn.MaxPool3d(2), nn.Linear(4, 5)

        def forward(self, x):
            return self.head(self.pool(self.act(self.two(self.act(self.one(x))))).mean((2, 3, 4)))

    m = model(Twice())
    assert GradCAM()(m, clip(), 0).details["layer"] == "two"
    with pytest.raises(ModelError, match="2 calls"):
        GradCAM(layer="act")(m, clip(), 0)
    m.net.act2, m.net.act.inplace = m.net.act, True
    assert GradCAM(layer="pool")(m, clip(), 0).details["positions"] == (2, 4, 4)


@pytest.mark.parametrize("way", ["folded", "loop", "unfolded"])
@pytest.mark.parametrize("method", [GradCAM(), HiResCAM(rectify=False), CAM(), ScoreCAM()])
def test_networks_on_frames_give_the_maps_of_their_twin_in_3d(way, method):
    net = FrameNet(way)
    some = [clip(i) for i in range(3)]
    found = method(model(net, layout="BTCHW", batch_size=2), some, [0, 1, 2])
    truth = method(model(net.as_3d(), batch_size=2), some, [0, 1, 2])
    for one, other in zip(found, truth, strict=True):
        assert one.details["positions"] == (4, 4, 4)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-3, atol=1e-7)
    assert found[0].details["layer"] == ("unfold" if way == "unfolded" else "act")


@pytest.mark.parametrize("options", [{}, {"layer": "block", "channel_axis": 4}, {"layer": "block", "channel_axis": -1}])
def test_channels_last_are_moved(options):
    m, c = model(LastNet(), **options), clip(1)
    found = CAM()(m, c, 2)
    truth = (m.net.block(inputs(m, c).movedim(1, 4)) @ m.net.head.weight[2])[0]
    np.testing.assert_allclose(found.values, truth.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_a_picture_of_all_frames_is_a_map_without_time():
    net = nn.Sequential(
        OrderedDict(
            fold=nn.Flatten(1, 2),
            conv=nn.Conv2d(12, 6, 3, padding=1),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(6, 5),
        )
    )
    found = CAM()(model(net), clip(1), 2)
    assert found.details["positions"] == (1, 8, 8)
    np.testing.assert_allclose(found.values, np.broadcast_to(found.values[:1], (4, 8, 8)), rtol=1e-5)


@pytest.mark.parametrize(
    ("net", "layer", "said"),
    [
        (ConvNet(), "pool", "more than one position"),
        (ConvNet(), "hidden", "expected a map"),
        (ConvNet(), "rleu2", "did you mean 'relu2'"),
        (FlatNet(), "bend", "expected a map"),
    ],
)
def test_layers_without_a_map_are_refused(net, layer, said):
    m = model(net)
    with pytest.raises(ModelError, match=said):
        GradCAM(layer=layer)(m, clip(), 0)
    assert not any(mod._forward_hooks or mod._forward_pre_hooks for mod in net.modules())


def test_a_layer_that_the_logits_do_not_depend_on_is_refused():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.aside, self.main = nn.Conv3d(3, 4, 3), GapNet()

        def forward(self, x):
            self.aside(x)
            return self.main(x)

    net = Aside()
    with pytest.raises(ModelError, match="depend on layer 'aside'"):
        GradCAM(layer="aside")(model(net), clip(), 0)
    net.idle = nn.Conv3d(3, 4, 3)
    with pytest.raises(ModelError, match="no call of it"):
        GradCAM(layer="idle")(model(net), clip(), 0)


def test_networks_that_give_tuples_and_layers_that_give_tuples():
    class Tuples(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = GapNet()
            self.pair = Pair()

        def forward(self, x):
            a, _ = self.pair(self.body.act(self.body.conv(x)))
            return self.body.head(a.mean((2, 3, 4))), "more"

    class Pair(nn.Module):
        def forward(self, x):
            return x * 1, "more"

    net = Tuples()
    found = GradCAM(layer="pair")(model(net), clip(), 1)
    np.testing.assert_allclose(found.values, GradCAM()(model(net.body), clip(), 1).values, rtol=1e-4, atol=1e-8)
