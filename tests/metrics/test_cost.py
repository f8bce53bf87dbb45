"""Clips counted on their way through a network, against counts in closed form."""

import copy

import pytest
import torch
from known_maps import linear_model, noise
from torch import nn

from small_nets import LinearNet
from voxplain.attribution import ATTRIBUTIONS, RISE, Gradient, IntegratedGradients, Occlusion, SmoothGrad
from voxplain.model.cost import counted

DRAWS = 7


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize(
    ("method", "forwards", "backwards"),
    [
        (Gradient(), 1, 1),
        (SmoothGrad(samples=DRAWS), DRAWS, DRAWS),
        (ATTRIBUTIONS["random"](), 0, 0),
        # 4×8×8 in boxes of 2×4×4 side by side: 2·2·2 hidden clips and the clip itself.
        (Occlusion(window=(0.5, 0.5, 0.5), stride=(0.5, 0.5, 0.5)), 9, 0),
        (RISE(samples=DRAWS, cells=(2, 2, 2)), DRAWS, 0),
    ],
)
def test_counts_are_those_of_the_method(method, forwards, backwards, batch_size):
    model = linear_model(batch_size=batch_size)
    with counted(model.net) as cost:
        method(model, noise(), 2)
    assert (cost.forwards, cost.backwards) == (forwards, backwards)
    assert cost.seconds > 0


def test_integrated_gradients_take_the_ends_of_the_path_too():
    model = linear_model(batch_size=4)
    with counted(model.net) as cost:
        IntegratedGradients(steps=6)(model, noise(), 2)
    assert cost.backwards == 6
    assert 6 <= cost.forwards <= 8, "the steps, and the clip and its baseline for the completeness gap"


def test_clips_of_a_call_add_up():
    model = linear_model()
    with counted(model.net) as cost:
        Gradient()(model, [noise(0), noise(1), noise(2)], 2)
    assert (cost.forwards, cost.backwards) == (3, 3)


def test_outputs_hooks_and_gradients_are_as_without_counting():
    net = LinearNet().eval()
    x = torch.randn(2, 3, 4, 8, 8)
    plain = net(x)
    with counted(net) as cost:
        same = net(x)
        same[:, 0].sum().backward()
        inner = len(net._forward_hooks)
    assert torch.equal(plain, same)
    assert (cost.forwards, cost.backwards) == (2, 2)
    assert (inner, len(net._forward_hooks)) == (1, 0)
    net(x)
    assert cost.forwards == 2, "not counted after the block"


def test_the_hook_goes_also_after_an_error():
    net = LinearNet().eval()
    with pytest.raises(RuntimeError), counted(net) as cost:
        net(torch.cat([net(torch.zeros(5, 3, 4, 8, 8))]))  # logits are no clips
    assert (cost.forwards, len(net._forward_hooks)) == (5, 0)
    assert cost.seconds > 0


def test_copies_are_not_counted():
    net = LinearNet().eval()
    with counted(net) as cost:
        twin = copy.deepcopy(net)
        twin(torch.zeros(5, 3, 4, 8, 8)).sum().backward()
    assert (cost.forwards, cost.backwards) == (0, 0)


def test_outputs_of_other_kinds():
    class Odd(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.net, self.wrap = LinearNet(), wrap

        def forward(self, x):
            return self.wrap(self.net(x))

    for wrap, expected in ((lambda z: ("name", z), 3), (lambda z: {"logits": z}, 3), (lambda z: "nothing", 0)):
        odd = Odd(wrap)
        with counted(odd) as cost:
            odd(torch.zeros(3, 3, 4, 8, 8))
        assert cost.forwards == expected
