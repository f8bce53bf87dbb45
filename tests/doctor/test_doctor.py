"""The doctor: suggestions known beforehand, one network per warning, and none for a clean network."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_nets import GRID, ConvNet, LinearNet, TokenNet, TokenStem, Wrapped, clips
from voxplain.doctor import Diagnosis, examine
from voxplain.errors import ModelError
from voxplain.model import Tokens, VideoModel
from voxplain.nets import NETS, build_net
from voxplain.video import Clip


def clean() -> nn.Module:
    return ConvNet().eval()


def check(net: nn.Module, layer: str = "pool", grid=GRID, **options) -> Diagnosis:
    """Examine at a layer below a head that is not linear."""
    return examine(VideoModel(net=net, layer=layer, grid=grid, **options))


def only(found: Diagnosis, pattern: str) -> None:
    """One warning, and that one."""
    assert len(found.warnings) == 1, found.warnings
    assert re.search(pattern, found.warnings[0]), found.warnings[0]


def test_a_clean_network_has_no_warnings():
    found = check(clean())
    assert found.warnings == ()
    assert found.logits == (3, 5)
    assert "no warnings" in found.text()


def test_the_table_lists_every_module():
    net = clean()
    found = check(net)
    rows = {row.name: row for row in found.layers}
    assert list(rows) == [name for name, _ in net.named_modules() if name]
    conv = rows["conv2"]
    assert (conv.type, conv.shape, conv.parameters, conv.calls) == ("Conv3d", (3, 6, 2, 4, 4), 4 * 6 * 27 + 6, 1)
    for row in found.layers:
        line = next(li for li in found.text().splitlines() if li.startswith(row.name + " "))
        assert row.type in line
        assert "×".join(map(str, row.shape)) in line
    assert repr(found) == "Diagnosis(layers=10, feature_layer='act', cam_layer='relu2', warnings=0)"


@pytest.mark.parametrize("name", ["tiny", "i3d"])
def test_suggests_what_the_networks_here_are_known_for(name):
    spec = NETS[name]
    grid = (16, 64, 64) if name == "tiny" else (8, 64, 64)
    found = examine(build_net(name, 4).eval(), grid=grid)
    assert (found.feature_layer, found.cam_layer) == (spec.feature_layer, spec.cam_layer)
    only(found, "everything above .* is linear")


@pytest.mark.parametrize("as_tuple", [False, True])
def test_suggests_the_last_norm_of_a_network_of_tokens(as_tuple):
    found = examine(TokenNet(as_tuple).eval(), grid=GRID, layout="BTCHW")
    assert (found.feature_layer, found.cam_layer, found.pool) == ("norm", "norm", True)


def test_tokens_without_positions_are_told_and_given_ones_are_not():
    torch.manual_seed(0)
    transposed = TokenStem("twh").eval()
    only(check(transposed, "norm", grid=(8, 32, 32)), "the 256 tokens of 'norm' have no positions .* tokens=Tokens")
    assert check(transposed, "norm", grid=(8, 32, 32), tokens=Tokens((4, 8, 8))).warnings == ()
    assert check(TokenStem().eval(), "norm", grid=(8, 32, 32)).warnings == ()


def test_suggests_the_outermost_name_and_what_the_head_really_takes():
    """Pooling outside of modules: the map itself has the head's width; the container is the shorter name."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(nn.Conv3d(3, 6, 3), nn.Sequential(nn.ReLU(), nn.Dropout()))
            self.head = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.head(self.trunk(x).mean((2, 3, 4))), 1)

    found = examine(Functional().eval(), grid=GRID)
    assert (found.feature_layer, found.cam_layer) == ("trunk", "trunk")


def test_warns_of_training_mode():
    net = ConvNet().train()
    dropout, norm = check(net).warnings
    assert dropout.startswith("1 dropout modules are in training mode, in which its outputs are random")
    assert norm.startswith("1 batch-norm modules are in training mode, in which they change with the batch")
    assert net.training


def test_dropout_that_is_always_on_is_told_as_random():
    class Random(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(nn.functional.dropout(x))

    found = check(Random().eval())
    assert any("so the network is random; look for dropout that is always on" in w for w in found.warnings)
    assert not any("batch norm" in w for w in found.warnings)


def test_warns_of_an_in_place_relu_after_the_layer():
    only(check(ConvNet(inplace=True).eval(), "conv2"), "'conv2' is overwritten in place by 'relu2'.*name 'relu2'")
    assert check(ConvNet(inplace=True).eval(), "relu2").warnings == ()
    assert check(clean(), "conv2").warnings == ()


def test_warns_of_code_that_overwrites_the_layer():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.rest = nn.Conv3d(3, 3, 3, padding=1), nn.ReLU(), ConvNet()

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            y += x
            return self.rest(self.relu(y))

    only(check(Residual().eval(), "conv"), "'conv' is overwritten in place by the code after it")


def test_warns_of_reused_modules():
    class Reuses(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            x = self.relu1(self.conv2(self.relu1(self.bn(self.conv1(x)))))
            return self.head(self.drop(self.act(self.hidden(self.drop(self.pool(x).flatten(1))))))

    found = check(Reuses().eval())
    only(found, "^'relu1' run more than once")
    assert {row.name: row.calls for row in found.layers}["relu1"] == 2


def test_warns_of_a_linear_head():
    only(examine(LinearNet().eval(), grid=GRID), "above 'feature' is linear.*log_odds")
    only(check(clean(), "act"), "above 'act' is linear")


def test_warns_of_a_wrong_input_range():
    found = check(clean(), mean=(99.9, 92.1, 82.6), std=(65.8, 62.3, 60.3))  # given for 0–255
    assert any("far from 0 and 1" in w and "not 0–255" in w for w in found.warnings)
    found = check(clean(), mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))
    assert any("far from 0 and 1" in w for w in found.warnings)
    assert check(clean(), mean=(0, 0, 0), std=(1, 1, 1)).warnings == ()


def test_warns_of_a_network_that_normalises_by_itself():
    class Own(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            dims = (1, 2, 3, 4)
            return super().forward((x - x.mean(dims, keepdim=True)) / x.std(dims, keepdim=True))

    only(check(Own().eval()), "seems to normalise by itself")


def test_warns_of_softmax_at_the_output():
    found = check(Wrapped(ConvNet(), nn.Softmax(1)).eval(), "net.pool")
    assert (found.warnings, found.task, found.probabilities) == ((), "classification", True)
    assert "the outputs are probabilities, and are used as such" in found.text()


def test_warns_of_values_that_are_not_finite_and_where_they_begin():
    net = clean()
    with torch.no_grad():
        net.conv2.weight[0, 0, 0, 0, 0] = torch.inf
    only(check(net), "NaN or infinity; the first layer to give such values is 'conv2'")


def test_warns_of_logits_that_depend_on_the_batch():
    net = ConvNet().eval()
    net.bn = nn.BatchNorm3d(4, track_running_stats=False).eval()
    found = check(net)
    assert any("other clips in its batch" in w for w in found.warnings)


def test_warns_of_a_network_that_ignores_its_input():
    net = clean()
    with torch.no_grad():
        net.hidden.weight.zero_()
    found = check(net)
    assert any("different clips give the same logits" in w for w in found.warnings)


def test_channels_last_are_recognised_and_frames_as_rows_are_told():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.hidden, self.head = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.hidden(torch.tanh(self.mix(x.movedim(1, -1))).mean((1, 2, 3)))))

    assert check(Last().eval(), "mix").warnings == ()
    assert check(Last().eval(), "mix", channel_axis=4).warnings == ()
    joins = Wrapped(nn.Conv2d(3, 4, 3), lambda a: a.mean((2, 3)).unflatten(0, (-1, 4)).tanh().mean(1))
    frames = Wrapped(nn.Flatten(0, 1), joins).eval()
    by_frame = check(frames, "change.net", layout="BTCHW")
    assert by_frame.warnings == ()  # a row a frame is folded to clips


def test_warns_of_a_network_without_gradients():
    class Writes(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            x = self.relu1(self.bn(self.conv1(x)))
            y = torch.exp(x)
            y *= 2  # the gradient of exp needs what this overwrites
            return self.head(self.act(self.hidden(self.pool(self.conv2(y)).flatten(1))))

    only(check(Writes().eval(), "relu1"), "no gradient .* at 'relu1'.*modified by an inplace operation")


def test_warns_of_a_class_token():
    class Token(TokenNet):
        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x.transpose(1, 2)).flatten(2).transpose(1, 2)
            return self.head(self.norm(self.blocks[0](x))[:, 0].tanh())

    only(check(Token().eval(), "norm", layout="BTCHW"), "only the first position of 'norm'.*pool='class_token'")
    found = examine(Token().eval(), grid=GRID, layout="BTCHW")
    assert (found.feature_layer, found.pool, found.cam_layer) == ("norm", "class_token", "embed")
    assert not any("position" in w for w in found.warnings)
    assert "norm, pool='class_token'" in found.text()
    assert not any("positions" in w for w in check(Token().eval(), "blocks.0.norm", layout="BTCHW").warnings[1:])


def test_sample_may_be_a_clip_or_arrays():
    frames = clips(2).numpy()
    for sample in (frames, frames[0], Clip.from_array(frames[0])):
        found = examine(VideoModel(net=clean(), layer="pool", grid=GRID), sample=sample)
        assert found.warnings == ()
    dark = np.full((*GRID, 3), 128, np.uint8)
    assert any("standard deviation" in w for w in examine(clean(), grid=GRID, sample=dark).warnings)
    with pytest.raises(ModelError, match=r"got uint8 \(2, 4, 8, 7, 3\)"):
        examine(clean(), grid=GRID, sample=frames[:, :, :, :7])


def test_an_input_that_runs_is_found_or_proposed():
    class Large(nn.Module):
        """Pools 2×7×7 positions, as S3D of torchvision, which needs 224 pixels; takes channels last."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 4, 1, stride=(8, 32, 32))
            self.pool, self.head = nn.AvgPool3d((2, 7, 7), 1), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.pool(self.conv(x.movedim(4, 1))).mean((2, 3, 4)))

    found = examine(Large().eval())
    assert (found.grid, found.layout) == ((16, 224, 224), "BTHWC")
    assert "input of the network:  16×224×224, BTHWC" in found.text()
    with pytest.raises(ModelError, match=r"it does run with grid \(16, 224, 224\) and layout BTHWC: set these"):
        examine(VideoModel(net=Large(), layer="pool", grid=(16, 112, 112), layout="BTHWC"))


@pytest.mark.parametrize(
    ("layout", "axes"), [("BTCHW", (0, 2, 1, 3, 4)), ("TBCHW", (1, 2, 0, 3, 4)), ("BTHWC", (0, 4, 1, 2, 3))]
)
def test_the_layout_is_found(layout: str, axes: tuple[int, ...]):
    class Ordered(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.permute(axes))

    found = examine(Ordered().eval(), grid=GRID)
    assert (found.layout, found.grid, found.frames_in_batch) == (layout, GRID, False)


def test_input_the_network_does_not_take():
    with pytest.raises(ModelError, match="it does run with layout BTCHW"):
        examine(TokenNet().eval(), grid=GRID, layout="BCTHW")
    with pytest.raises(ModelError, match="check grid and layout"):
        examine(LinearNet(), grid=(4, 8, 9))
    with pytest.raises(ModelError, match="named layers"):
        examine(nn.Flatten(), grid=GRID)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_found(fails):
    net = ConvNet(inplace=True).train()
    net.bn.eval()
    if fails:
        net.head = nn.Linear(3, 3)

    def state() -> list[object]:
        return [
            [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
            [(p.grad, p.requires_grad) for p in net.parameters()],
            [v.numpy().tobytes() for v in net.state_dict().values()],
        ]

    before = state()
    if fails:
        with pytest.raises(ModelError, match="shapes cannot be multiplied"):
            examine(net, grid=GRID)
    else:
        examine(net, grid=GRID)
    assert state() == before
    assert torch.is_grad_enabled()
