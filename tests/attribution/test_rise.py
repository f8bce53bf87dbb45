"""RISE: masks as the paper makes them, and convergence to the expectation over all of them."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from region_clips import Quadrants, make_clips, make_model
from small_nets import GRID, LinearNet
from voxplain.attribution import RISE
from voxplain.attribution.passes import base_input, scores, to_input
from voxplain.attribution.perturbation.rise import masks
from voxplain.errors import DataError
from voxplain.model import stack


def every_mask(grid: tuple[int, int, int], cells: tuple[int, int, int]) -> torch.Tensor:
    """All masks of a few cells at all shifts, written down without the method's code."""
    side = [-(-n // c) for n, c in zip(grid, cells, strict=True)]
    found = []
    for bits in product((0.0, 1.0), repeat=int(np.prod(cells))):
        small = torch.tensor(bits).reshape(1, 1, *cells)
        size = [(c + 1) * s for c, s in zip(cells, side, strict=True)]
        large = F.interpolate(small, size=size, mode="trilinear", align_corners=False)[0, 0]
        for t, y, x in product(*map(range, side)):
            found.append(large[t : t + grid[0], y : y + grid[1], x : x + grid[2]])
    return torch.stack(found)


@pytest.mark.parametrize("net", [Quadrants, LinearNet])
def test_converges_to_the_expectation_over_every_mask(net):
    torch.manual_seed(0)
    model, clip = make_model(net(), batch_size=512), make_clips(1)[0]
    x, b = to_input(model, stack([clip])), base_input(model, stack([clip]), "black")
    m = every_mask(GRID, (1, 2, 2))  # 16 masks at 64 shifts, all of one chance since p is a half
    s = scores(model, b + m[:, None] * (x - b), [0] * len(m), "logit").double()
    exact = (torch.einsum("s,sthw->thw", s, m.double()) / m.sum(0, dtype=torch.float64)).numpy()
    gaps = []
    for samples in (100, 6400):
        found = RISE(cells=(1, 2, 2), samples=samples, fill="black", objective="logit")(model, clip, 0).values
        gaps.append(np.abs(found - exact).max() / exact.std())
    assert gaps[1] < 0.15
    assert gaps[1] < gaps[0] / 3  # as one over the root of the number of masks


def test_a_voxel_of_no_consequence_gets_the_mean_score():
    class Constant(Quadrants):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0 * super().forward(x) + torch.tensor([1.0, 4.0])

    found = RISE(samples=7, objective="logit")(make_model(Constant()), make_clips(1)[0], 1).values
    np.testing.assert_allclose(found, 4.0, rtol=1e-5)


def test_masks_have_the_chance_p_and_change_along_time():
    draw = masks((8, 14, 21), (4, 7, 7), 0.3, np.random.default_rng(0))
    m = torch.stack([next(draw) for _ in range(400)])
    assert m.shape[1:] == (8, 14, 21)
    assert m.min() >= 0
    assert m.max() <= 1
    assert abs(float(m.mean()) - 0.3) < 0.02
    assert abs(m.mean(0) - 0.3).max() < 0.12
    assert float((m[:, 1:] - m[:, :-1]).abs().mean()) > 0.05


@pytest.mark.parametrize("wrong", [{"p": 1.0}, {"samples": 0}, {"cells": (0, 7, 7)}, {"cells": (7, 7)}, {"seed": -1}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(DataError, match="expected cells"):
        RISE(**wrong)
