"""Contributions of voxels in networks whose integrals are known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxplain.concepts.contributions import contributions
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.perturb import base_clip


class Scores(nn.Module):
    """Class 0: the weighted sum of the input, or its square; class 1: 0."""

    def __init__(self, weights: Tensor, power: int, time_first: bool = False) -> None:
        super().__init__()
        self.weights, self.power, self.time_first = nn.Parameter(weights), power, time_first
        self.end = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N,2]."""
        x = x.transpose(1, 2) if self.time_first else x
        score = (x * self.weights).sum((1, 2, 3, 4)) ** self.power
        return self.end(torch.stack([score, torch.zeros_like(score)], 1))


def scores(power: int, layout: str = "BCTHW") -> VideoModel:
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 4, 8, 8)).astype(np.float32)) / 30
    return VideoModel(Scores(weights, power, layout == "BTCHW"), layer="end", grid=(4, 8, 8), layout=layout)


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("layout", ["BCTHW", "BTCHW"])
@pytest.mark.parametrize("fill", ["median", "black"])
def test_a_linear_score_gives_each_voxel_its_weight_times_its_change(layout, fill):
    model, clip = scores(1, layout), frames()
    change = np.stack([model.prepare(f[None]).numpy()[0] for f in (clip, base_clip(clip, fill, model.mean_colour))])
    change = change.swapaxes(1, 2) if layout == "BTCHW" else change
    expected = ((change[0] - change[1]) * model.net.weights.detach().numpy()).sum(0)
    got = contributions(model, clip, 0, fill=fill, steps=1, objective="logit")
    assert got.shape == (4, 8, 8)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    # Two classes: the log-odds are the difference of the logits.
    np.testing.assert_allclose(contributions(model, clip, 1, fill=fill), -expected, atol=1e-5)


def test_the_middle_of_two_intervals_is_exact_for_a_square():
    model, clip = scores(2), frames()
    ends = model.net(torch.cat([model.prepare(f[None]) for f in (clip, base_clip(clip, "median", model.mean_colour))]))
    rise = (ends[0, 0] - ends[1, 0]).item()
    assert contributions(model, clip, 0, steps=2).sum() == pytest.approx(rise, rel=1e-4)
    assert abs(rise) > 0.1


def test_the_network_is_left_as_it_was():
    model = scores(2)
    model.net.train()
    contributions(model, frames(), 0)
    assert model.net.training
    assert model.net.weights.grad is None


def test_logits_without_a_gradient_are_refused():
    model = scores(1)
    model.net.forward = lambda x: torch.zeros(len(x), 2)
    with pytest.raises(ModelError, match="expected logits that depend on the input, got no gradient there"):
        contributions(model, frames(), 0)
