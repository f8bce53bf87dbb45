"""XRAI and SWAG-V: regions in the right order, with the right values."""

import numpy as np
import pytest
import torch
from torch import nn

from region_clips import SIX, make_clips, make_model
from small_nets import GRID, LinearNet
from voxplain.attribution import SWAG, XRAI, Gradient, IntegratedGradients
from voxplain.attribution.gradients.xrai import grown
from voxplain.errors import DataError
from voxplain.segment import SLIC, Grid


class Patch(nn.Module):
    """Class 0 is the mean of one cuboid, frames 0–1 of rows 0–3, columns 4–7, and a tenth of the rest's."""

    def __init__(self) -> None:
        super().__init__()
        self.feature = nn.Identity()
        w = torch.full((3, *GRID), 0.1)
        w[:, :2, :4, 4:] = 1.0
        self.w = nn.Parameter(w)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = (x * self.w).mean((1, 2, 3, 4))
        return self.feature(torch.stack([z, -z], 1))


LEVELS = Grid(cells=((1, 1, 2), (2, 2, 2)))


def test_xrai_takes_the_planted_region_first():
    found = XRAI(segmenter=LEVELS, min_voxels=1)(make_model(Patch()), make_clips(1)[0], 0)
    planted = np.zeros(GRID, bool)
    planted[:2, :4, 4:] = True
    assert found.values[planted].min() > found.values[~planted].max()
    assert len(np.unique(found.values[planted])) == 1
    assert found.details == {"regions": 10, "taken": 8}


def test_xrai_gives_the_mean_of_both_integrated_gradients():
    torch.manual_seed(0)
    model, clip = make_model(LinearNet()), make_clips(1)[0]
    black = IntegratedGradients(baseline="black", steps=3)(model, clip, 1).values
    w = (model.net.head.weight[1] @ model.net.feature.weight).detach().reshape(3, *GRID).numpy()
    x, white = ((v / 255 - 0.5) / 0.25 for v in (clip.frames.astype(np.float64), 255.0))
    own = (black + np.abs(w * (x.transpose(3, 0, 1, 2) - white)).mean(0)) / 2
    one = XRAI(segmenter=Grid(cells=(GRID,)), min_voxels=1, objective="logit", steps=3)(model, clip, 1)
    np.testing.assert_allclose(one.values, own, rtol=1e-4)


def test_regions_grow_by_the_mean_of_their_new_voxels():
    own = np.array([[[9.0, 9.0, 1.0, 1.0, 5.0, 5.0]]])
    levels = [np.array([[[0, 0, 0, 0, 1, 1]]]), np.array([[[0, 0, 1, 1, 1, 1]]])]
    values, taken = grown(own, levels, 2)
    # {0,1} has mean 9; then {4,5} 5 beats {2..5} 3; of {0..3} and {2..5} only the voxels 2, 3 are new.
    assert taken == [(1, 0), (0, 1), (0, 0)]
    np.testing.assert_array_equal(values, [[[9, 9, 1, 1, 5, 5]]])


def test_small_additions_are_passed_over_and_the_rest_gets_its_mean():
    own = np.array([[[9.0, 8.0, 2.0, 4.0, 1.0, 1.0]]])
    values, taken = grown(own, [np.array([[[0, 0, 1, 2, 3, 3]]])], 2)
    assert taken == [(0, 0), (0, 3)]
    np.testing.assert_array_equal(values, [[[8.5, 8.5, 3, 3, 1, 1]]])


def test_xrai_candidates_are_the_studys():
    slic = XRAI().segmenter
    assert isinstance(slic, SLIC)
    assert (slic.segments, slic.sigma, slic.slico) == ((10, 20, 50, 60, 80, 100), 0.8, True)
    frames = make_clips(1, grid=(8, 32, 32))[0]
    assert len(np.unique(slic(frames).labels)) != len(np.unique(SLIC(segments=slic.segments, sigma=0.8)(frames).labels))


@pytest.mark.parametrize("channels", ["absolute", "signed"])
def test_swag_is_the_mean_gradient_of_each_region(channels):
    torch.manual_seed(0)
    model, clip = make_model(LinearNet()), make_clips(1)[0]
    g = Gradient(channels=channels)(model, clip, 1).values
    found = SWAG(segmenter=SIX, sigma=(0, 0, 0), channels=channels)(model, clip, 1).values
    labels = SIX(clip).labels[0]
    for i in range(6):
        np.testing.assert_allclose(found[labels == i], g[labels == i].mean(), rtol=1e-5)
    assert len(np.unique(found)) == 6


def test_swag_smooths_as_much_as_asked_and_keeps_the_mean():
    model, clip = make_model(Patch()), make_clips(1)[0]
    rough = SWAG(segmenter=LEVELS, sigma=(0, 0, 0))(model, clip, 0).values
    smooth = SWAG(segmenter=LEVELS, sigma=(0, 0, 0.2))(model, clip, 0).values
    assert smooth.std() < 0.9 * rough.std()
    np.testing.assert_allclose(smooth.mean(2), rough.mean(2), rtol=1e-5)  # along x only


def test_numbers_that_mean_nothing_are_refused():
    for make in (lambda: XRAI(steps=0), lambda: XRAI(min_voxels=0), lambda: SWAG(sigma=(0, -1, 0))):
        with pytest.raises(DataError, match="expected"):
            make()
