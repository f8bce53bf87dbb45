"""Class feature pyramids: the selection by hand, and the networks whose kernels cannot be followed."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from region_clips import Quadrants, make_clips, make_model
from small_nets import GRID, ConvNet, TokenNet, Wrapped
from voxplain.attribution import ClassFeaturePyramid
from voxplain.attribution.passes import to_input
from voxplain.errors import DataError, ModelError
from voxplain.model import stack


class Three(nn.Module):
    """Three convolutions, averaged, one linear head; ``how`` the ReLU is called."""

    def __init__(self, how: str = "module") -> None:
        super().__init__()
        self.how = how
        self.conv1, self.conv2 = nn.Conv3d(3, 5, 3, padding=1), nn.Conv3d(5, 6, (1, 3, 3), padding=(0, 1, 1))
        self.bn, self.act, self.drop = nn.BatchNorm3d(5), nn.ReLU(inplace=how == "in place"), nn.Dropout(0.5)
        self.conv3 = nn.Conv3d(6, 7, 3, stride=2, padding=1)
        self.feature, self.head = nn.AdaptiveAvgPool3d(1), nn.Linear(7, 4)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.how == "functional" else self.act(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv1(x)))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(F.max_pool3d(x, (1, 2, 2))))
        return self.head(self.drop(self.feature(x).flatten(1)))


def picked(values: Tensor, theta: float) -> list[int]:
    scaled = (values - values.min()) / (values.max() - values.min())
    return [i for i, v in enumerate(scaled.tolist()) if v >= theta]


@pytest.mark.parametrize("how", ["module", "in place", "functional"])
def test_the_selection_by_hand(how):
    torch.manual_seed(0)
    net = Three(how).eval()
    model, clips = make_model(net), make_clips(2)
    theta = 0.55
    found = ClassFeaturePyramid(theta=theta)(model, clips, [1, 3])
    for clip, y, one in zip(clips, (1, 3), found, strict=True):
        with torch.no_grad():
            a1 = F.relu(net.bn(net.conv1(to_input(model, stack([clip])))))
            a2 = F.max_pool3d(F.relu(net.conv2(a1)), (1, 2, 2))
            a3 = F.relu(net.conv3(a2))
        third = picked(net.head.weight[y], theta)
        second = {j for k in third for j in picked(net.conv3.weight[k].mean((1, 2, 3)) * a2[0].mean((1, 2, 3)), theta)}
        first = {j for k in second for j in picked(net.conv2.weight[k].mean((1, 2, 3)) * a1[0].mean((1, 2, 3)), theta)}
        assert one.details["channels"] == [third, sorted(second), sorted(first)]
        expected = torch.zeros(GRID)
        for a, chosen in ((a3, third), (a2, second), (a1, first)):
            tube = F.interpolate(a[:, sorted(chosen)].sum(1, keepdim=True), GRID, mode="trilinear")[0, 0]
            expected += tube / tube.max()
        np.testing.assert_allclose(one.values, expected.detach().numpy(), atol=1e-5)
    assert len(found[0].details["channels"][0]) < 7  # something is left out, or nothing is shown


def test_it_stops_where_the_convolutions_end_and_at_its_depth():
    model, clip = make_model(Three().eval()), make_clips(1)[0]
    assert [len(ClassFeaturePyramid(depth=d)(model, clip, 0).details["channels"]) for d in (1, 2, 3, 9)] == [1, 2, 3, 3]


def test_theta_zero_takes_all_and_one_takes_the_best():
    model, clip = make_model(Three().eval()), make_clips(1)[0]
    everything = ClassFeaturePyramid(theta=0)(model, clip, 0).details["channels"]
    assert [len(c) for c in everything] == [7, 6, 5]
    assert len(ClassFeaturePyramid(theta=1)(model, clip, 0).details["channels"][0]) == 1


class ConvHead(Three):
    """A head that is a convolution over one position, averaged after it."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Conv3d(7, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv3(self.relu(self.conv2(self.relu(self.conv1(x))))))
        return self.logits(self.drop(F.avg_pool3d(x, (1, 2, 2)))).mean((2, 3, 4))


def test_a_head_of_one_position_is_followed_too():
    torch.manual_seed(0)
    net = ConvHead().eval()
    found = ClassFeaturePyramid()(make_model(net), make_clips(1)[0], 2)
    assert len(found.details["channels"]) == 3
    assert found.details["channels"][0] == picked(net.logits.weight[2].flatten(), 0.6)


class Residual(Three):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.conv3(self.conv2(x) + F.pad(x, (0, 0, 0, 0, 0, 0, 0, 1)))
        return self.head(self.feature(x).flatten(1))


class Grouped(Three):
    def __init__(self) -> None:
        super().__init__()
        self.conv3 = nn.Conv3d(6, 7 * 6, 3, groups=6)
        self.head = nn.Linear(42, 4)


class Mixed(Three):
    """Channels are shuffled on the way."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3(self.conv2(self.conv1(x)).flip(1))
        return self.head(self.feature(x).flatten(1))


class MaxHead(Three):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv3(self.conv2(self.conv1(x))).amax((2, 3, 4)))


class Overwritten(Three):
    """The second convolution's input is changed after it was used."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(x := self.conv1(x))
        x += 1
        return self.head(self.feature(self.conv3(y)).flatten(1))


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (Residual(), "got add before layer 2 from the end; give a network without branches, or depth=2"),
        (Grouped(), "a grouped convolution before layer 1"),
        (Mixed(), "got flip before layer 2"),
        (MaxHead(), "not the mean over positions|one linear layer"),
        (Overwritten(), "overwritten"),
        (ConvNet(), "one linear layer"),
        (Quadrants(), "one linear layer"),
    ],
)
def test_what_cannot_be_followed_is_refused(net, said):
    layer = "hidden" if isinstance(net, ConvNet) else "feature"
    with pytest.raises(ModelError, match=said):
        ClassFeaturePyramid()(make_model(net.eval(), layer=layer), make_clips(1)[0], 0)


def test_a_branch_below_the_depth_does_not_matter():
    found = ClassFeaturePyramid(depth=2)(make_model(Residual().eval()), make_clips(1)[0], 0)
    assert len(found.details["channels"]) == 2


def test_tokens_are_refused_and_a_tuple_of_outputs_is_not():
    clip = make_clips(1)[0]
    with pytest.raises(ModelError, match="one linear layer"):
        ClassFeaturePyramid()(make_model(TokenNet().eval(), layer="norm", layout="BTCHW"), clip, 0)
    plain, wrapped = Three().eval(), None
    wrapped = Wrapped(plain, lambda z: (z, "more"))
    one = ClassFeaturePyramid()(make_model(plain), clip, 0)
    two = ClassFeaturePyramid()(make_model(wrapped, layer="net.feature"), clip, 0)
    np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"theta": 1.2}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(DataError, match="expected a depth"):
        ClassFeaturePyramid(**wrong)
