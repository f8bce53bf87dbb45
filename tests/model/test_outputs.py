"""Which tensor holds the scores, in every path, and how frames, layouts and several inputs reach the network."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from small_nets import GRID, ConvNet, clips
from voxplain.attribution.passes import gradient, to_input
from voxplain.concepts.feature_maps import feature_maps
from voxplain.doctor import examine
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.fingerprint import fingerprint
from voxplain.train import Recipe, TrainingVideos, train
from voxplain.video import Geometry

FRAMES = clips(3)


class TwoHeads(nn.Module):
    """Features and logits, in an output of any form; the features come first."""

    def __init__(self, pack: object = lambda a, z: (a, z)) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.pack = ConvNet(), pack

    def forward(self, x: Tensor) -> object:
        a = self.net.relu2(self.net.conv2(self.net.relu1(self.net.bn(self.net.conv1(x)))))
        pooled = self.net.pool(a).flatten(1)
        return self.pack(pooled, self.net.head(self.net.act(self.net.hidden(pooled))))  # type: ignore[operator]


@dataclass
class Found:
    features: Tensor
    scores: Tensor


def model(net: nn.Module, layer: str = "net.pool", **options) -> VideoModel:
    return VideoModel(net.eval(), layer=layer, **{"grid": GRID, **options})


SEVERAL = r"one tensor of scores in the network's output, got several: '.*' \(\d, 6\), '.*' \(\d, 5\); name the one"
PATHS = {
    "logits": lambda m: m.logits(FRAMES),
    "outputs": lambda m: m.outputs(FRAMES),
    "gradient": lambda m: m.gradient(FRAMES, 0),
    "predict": lambda m: m.predict(FRAMES[0]),
    "fingerprint": fingerprint,
    "doctor": examine,
    "concept maps": lambda m: feature_maps(m, FRAMES.numpy(), gradient_of=(0, "logit")),
    "training": lambda m: train(
        m,
        TrainingVideos([np.zeros((4, 8, 8, 3), np.uint8)] * 4, np.zeros(4, np.int64)),
        geometry=Geometry((8, 8), (8, 8)),
        recipe=Recipe(epochs=1, batch=2),
    ),
    **{
        name: lambda m, name=name: vx.ATTRIBUTIONS[name]()(m, FRAMES[0], 0)
        for name in ("gradient", "grad_cam", "cam", "rise", "lrp_epsilon", "deep_lift", "class_feature_pyramid")
        if name in vx.ATTRIBUTIONS
    },
    "insertion": lambda m: vx.Insertion(steps=2)(m, FRAMES[0], np.ones(GRID), 0),
}


@pytest.mark.parametrize("name", PATHS)
def test_several_tensors_and_no_hint_are_one_error_in_every_path(name):
    with pytest.raises(ModelError, match=SEVERAL):
        PATHS[name](model(TwoHeads()))


def test_bare_networks_with_several_tensors_say_so_when_they_are_wrapped():
    with pytest.raises(ModelError, match=SEVERAL):
        VideoModel(TwoHeads(), grid=GRID)
    assert VideoModel(TwoHeads(), grid=GRID, output=1).layer == "net.act"


@pytest.mark.parametrize(
    ("pack", "output"),
    [
        (lambda a, z: (a, z), 1),
        (lambda a, z: [a, {"scores": z, "more": a}], "1.scores"),
        (lambda a, z: {"features": a, "out": z}, "out"),
        (lambda a, z: Found(a, z), "scores"),
        (lambda a, z: Found(a, z), lambda found: found.scores),
        (lambda a, z: {"features": a, "logits": z}, None),
    ],
)
def test_the_named_tensor_is_explained_by_every_path(pack, output):
    plain, named = model(TwoHeads(lambda a, z: z)), model(TwoHeads(pack), output=output)
    assert torch.equal(named.logits(FRAMES), plain.logits(FRAMES))
    assert torch.equal(named.gradient(FRAMES, 2), plain.gradient(FRAMES, 2))
    for method in (vx.GradCAM(), vx.Gradient(), vx.RISE(samples=8, cells=(2, 2, 2))):
        assert np.array_equal(method(named, FRAMES[0], 2).values, method(plain, FRAMES[0], 2).values)


def test_with_classes_known_the_only_tensor_of_that_width_is_taken():
    plain = model(TwoHeads(lambda a, z: z))
    assert torch.equal(model(TwoHeads(), classes=tuple("abcde")).logits(FRAMES), plain.logits(FRAMES))
    with pytest.raises(ModelError, match="got several"):
        model(TwoHeads(lambda a, z: (z, z + 1)), classes=tuple("abcde")).logits(FRAMES)


def test_wrong_names_list_what_there_is():
    with pytest.raises(ModelError, match=r"expected output 'scores' in .*'0' \(1, 6\), '1' \(1, 5\); name one"):
        model(TwoHeads(), output="scores").logits(FRAMES)
    with pytest.raises(ModelError, match="a function that gives a tensor with one row a clip, got tuple"):
        model(TwoHeads(), output=lambda raw: raw).logits(FRAMES)


# --- what goes in ---


@pytest.mark.parametrize(
    ("layout", "order"),
    [("BCTHW", (0, 1, 2, 3, 4)), ("BTCHW", (0, 2, 1, 3, 4)), ("TBCHW", (2, 0, 1, 3, 4)), ("BTHWC", (0, 2, 3, 4, 1))],
)
def test_every_layout_gives_the_same_logits_and_gradients(layout, order):
    torch.manual_seed(0)
    net = ConvNet()
    back = tuple(int(i) for i in np.argsort(order))
    plain, other = model(net, "pool"), model(Ordered(net, back), "net.pool", layout=layout)
    assert other.prepare(FRAMES).shape == tuple(plain.prepare(FRAMES).shape[i] for i in order)
    torch.testing.assert_close(other.logits(FRAMES), plain.logits(FRAMES))
    x = to_input(plain, FRAMES)
    torch.testing.assert_close(to_input(other, FRAMES), x)
    y = [0, 1, 2]
    torch.testing.assert_close(gradient(other, x, y, "logit"), gradient(plain, x, y, "logit"))


class Ordered(nn.Module):
    """A network that takes its input with the axes in another order."""

    def __init__(self, net: nn.Module, back: tuple[int, ...]) -> None:
        super().__init__()
        self.net, self.back = net, back

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(self.back)
        if x.shape[1] != 3:
            raise ValueError("the colours are elsewhere")
        return self.net(x)


@pytest.mark.parametrize("layout", ["TBCHW", "BTHWC"])
def test_the_other_layouts_are_found(layout):
    back = {"TBCHW": (1, 2, 0, 3, 4), "BTHWC": (0, 4, 1, 2, 3)}[layout]
    assert VideoModel(Ordered(ConvNet(), back), grid=(5, 8, 8)).layout == layout


class Frames2D(nn.Module):
    """A network of pictures; the logits of [M,3,H,W]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act, self.head = nn.Conv2d(3, 6, 3, stride=2), nn.Tanh(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv(x)).mean((2, 3)))


class Last2D(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.movedim(-1, 1))


def test_frames_in_the_batch_are_averaged_over_each_clip():
    net = Frames2D()
    m = VideoModel(net.eval(), grid=GRID)
    assert (m.frames_in_batch, m.layout, m.layer) == (True, "BTCHW", "act")
    with torch.no_grad():
        x = m.prepare(FRAMES)
        truth = torch.stack([net(own).mean(0) for own in x])
        features = torch.stack([net.act(net.conv(own)).mean((0, 2, 3)) for own in x])
    found = m.outputs(FRAMES)
    torch.testing.assert_close(found.logits, truth)
    torch.testing.assert_close(found.features, features)
    g = m.gradient(FRAMES, 1, objective="logit")  # along a change that is the same everywhere: the head's row
    torch.testing.assert_close(g, net.head.weight[1].expand(3, -1).detach())
    heat = vx.GradCAM()(m, FRAMES[0], 1)
    assert heat.shape == GRID
    assert len({float(frame.sum()) for frame in heat.values}) > 1, "a map for each frame"
    colours_last = VideoModel(Last2D(net).eval(), layer="net.act", grid=GRID, layout="BTHWC", frames_in_batch=True)
    torch.testing.assert_close(colours_last.logits(FRAMES), truth)


def test_maps_of_frames_are_those_of_the_clip():
    """Concepts are found in a network of pictures as in one of clips: a row a frame is a position in time."""
    net = Frames2D().eval()
    m = VideoModel(net, grid=GRID)
    found = feature_maps(m, FRAMES.numpy(), gradient_of=(1, "logit"))
    with torch.no_grad():
        truth = torch.stack([net.act(net.conv(own)).transpose(0, 1) for own in m.prepare(FRAMES)])
    (values,) = [v for v in found.maps.values() if torch.equal(v, truth)]
    assert values.shape == (3, 6, GRID[0], 3, 3)
    torch.testing.assert_close(found.feature, truth)
    torch.testing.assert_close(found.gradient, m.gradient(FRAMES, 1, objective="logit"))


def test_frames_are_given_clip_by_clip_so_that_a_network_may_shift_them():
    class Shift(Frames2D):
        """TSM in little: a part of the channels comes from the frame before."""

        def forward(self, x: Tensor) -> Tensor:
            a = self.act(self.conv(x)).unflatten(0, (-1, GRID[0]))
            shifted = torch.cat([torch.zeros_like(a[:, :1, :3]), a[:, :-1, :3]], 1)
            return self.head(torch.cat([shifted, a[:, :, 3:]], 2).mean((1, 3, 4)))

    m = VideoModel(Shift().eval(), grid=GRID, layer="act", layout="TBCHW", frames_in_batch=True)
    one_by_one = torch.cat([m.logits(clip) for clip in FRAMES])
    torch.testing.assert_close(m.logits(FRAMES), one_by_one)
    plain = fingerprint(VideoModel(ConvNet().eval(), grid=GRID, layer="pool"))
    assert fingerprint(m).structure != plain.structure


class SlowFast(nn.Module):
    """Two rates of one clip, as a list."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.slow, self.fast, self.head = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 1), nn.Linear(8, 5)

    def forward(self, both: list[Tensor]) -> Tensor:
        slow, fast = self.slow(both[0]).tanh(), self.fast(both[1]).tanh()
        return self.head(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


def rates(x: Tensor) -> list[Tensor]:
    return [x[:, :, ::2], x]


def test_pathways_are_inside_the_graph():
    net = SlowFast().eval()
    m = VideoModel(net, grid=GRID, layout="BCTHW", pathways=rates)
    x = to_input(m, FRAMES[:1]).requires_grad_(True)
    truth = torch.autograd.grad(net(rates(x))[0, 3], x)[0]
    torch.testing.assert_close(gradient(m, x.detach(), [3], "logit"), truth, rtol=1e-5, atol=1e-8)
    assert vx.RISE(samples=8, cells=(2, 2, 2))(m, FRAMES[0], 3).shape == GRID
    assert fingerprint(m).structure != fingerprint(replace(m, pathways=lambda x: [x[:, :, 1::2], x])).structure


def test_pathways_as_arguments_and_names():
    class Named(SlowFast):
        def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
            return super().forward([slow, fast])

    plain = VideoModel(SlowFast().eval(), grid=GRID, layout="BCTHW", pathways=rates)
    for pathways in (lambda x: tuple(rates(x)), lambda x: dict(zip(("slow", "fast"), rates(x), strict=True))):
        named = VideoModel(Named().eval(), grid=GRID, layout="BCTHW", pathways=pathways)
        assert torch.equal(named.logits(FRAMES), plain.logits(FRAMES))
