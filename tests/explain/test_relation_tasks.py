"""Clips of two squares and networks that tell only how these stand to each other: which change of a clip matters."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.audits.relations import AXES
from voxplain.explain.audit_tasks import AddedToClip, RelationsInClip

T, SIDE = 10, 32
GRID = (T, SIDE, SIDE)


class Order(nn.Module):
    """Logits (−d, d), d the mean place of red along an axis of the clip less that of green."""

    def __init__(self, axis: int, size: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("place", torch.linspace(-1, 1, size))
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: Tensor) -> Tensor:
        red, green = torch.relu(x[:, 0] - x[:, 1] - 0.3), torch.relu(x[:, 1] - x[:, 0] - 0.3)
        other = [d for d in (1, 2, 3) if d != self.axis]
        at = [(c.sum(other) * self.place).sum(1) / (c.sum((1, 2, 3)) + 1e-6) for c in (red, green)]
        d = self.scale * (at[0] - at[1])
        return torch.stack([-d, d], 1)


def model(axis: str) -> vx.VideoModel:
    n = {"time": 1, "vertical": 2, "horizontal": 3}[axis]
    return vx.VideoModel(
        Order(n, GRID[n - 1]).eval(), layer="", grid=GRID, classes=("after", "before"), mean=(0.0,) * 3, std=(1.0,) * 3
    )


def planted(seed: int) -> tuple[vx.Clip, np.ndarray]:
    """Two squares, apart in time, height and width, and their labels [1,T,H,W]: 0 red, 1 green, 2 the rest."""
    rng = np.random.default_rng(seed)
    frames, labels = np.full((*GRID, 3), 100, np.uint8), np.full((1, *GRID), 2, np.int16)
    y, x = rng.permutation([4, 20]), rng.permutation([4, 20])
    times = [slice(0, 4), slice(5, 9)]
    order = rng.permutation(2)
    for k, colour in enumerate([(220, 40, 40), (40, 220, 40)]):
        place = (times[order[k]], slice(y[k], y[k] + 6), slice(x[k], x[k] + 6))
        frames[place], labels[(0, *place)] = colour, k
    return vx.Clip.from_array(frames), labels


@pytest.mark.parametrize("axis", AXES)
def test_only_the_axis_that_decides_changes_the_class(axis: str) -> None:
    network = model(axis)
    for seed in range(4):
        clip, labels = planted(seed)
        z = RelationsInClip(clip, labels, np.array([0, 1, -1]), ((0, 1),), "median").compute(network)["logits"]
        base = network.logits(clip.frames[None])[0].cpu().numpy()
        assert z.shape == (1, 3, 2, 2)
        for n, name in enumerate(AXES):
            against, together = z[0, n]
            if np.isnan(against).any():
                assert name != axis, "there is space along every axis"
                continue
            assert together.argmax() == base.argmax(), "both together keep their relation"
            turned = against.argmax() != base.argmax()
            assert turned == (name == axis), f"{name} of a class of {axis}, seed {seed}"


def test_without_one_of_the_two_nothing_is_measured() -> None:
    clip, labels = planted(0)
    z = RelationsInClip(clip, labels, np.array([0, -1, -1]), ((0, 1),), "median").compute(model("time"))["logits"]
    assert np.isnan(z).all()


def test_added_voxels_are_those_of_the_donor_with_their_rim() -> None:
    class Red(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x: Tensor) -> Tensor:
            red = self.scale * (x[:, 0] > 0.8).double().mean((1, 2, 3)).float()
            return torch.stack([red, -red], 1)

    network = vx.VideoModel(Red().eval(), layer="", grid=GRID, classes=("red", "not"), mean=(0.0,) * 3, std=(1.0,) * 3)
    donor, labels = planted(1)
    grey = vx.Clip.from_array(np.full((*GRID, 3), 100, np.uint8))
    red, green = labels[0] == 0, labels[0] == 1
    z = AddedToClip(grey, donor, red, green).compute(network)["logits"]
    assert z[:, 0] == pytest.approx([red.mean(), 0.0])
