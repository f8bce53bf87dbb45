"""Occlusion by cuboids and supervoxels: closed forms of a linear network, and captum's."""

import numpy as np
import pytest
import torch

from region_clips import FOUR, Quadrants, make_clips, make_model
from small_nets import ConvNet, LinearNet
from voxplain.attribution import Occlusion, SupervoxelOcclusion
from voxplain.attribution.passes import base_input, to_input
from voxplain.attribution.perturbation.masked_clips import cuboids
from voxplain.errors import DataError
from voxplain.model import stack
from voxplain.segment import Grid, Supervoxels


def linear_shares(model, clip, target: int, fill: str) -> np.ndarray:
    """w·(x−b) of each voxel, summed over colours, float64 [T,H,W]."""
    net = model.net
    w = (net.head.weight[target] @ net.feature.weight).detach().double().reshape(3, *model.grid)
    x, b = to_input(model, stack([clip]))[0], base_input(model, stack([clip]), fill)[0]
    return (w * (x - b).double()).sum(0).numpy()


def boxes_mean(shares: np.ndarray, size: tuple[int, int, int], corners) -> np.ndarray:
    total, seen = np.zeros(shares.shape), np.zeros(shares.shape)
    for t, y, x in corners:
        place = np.s_[t : t + size[0], y : y + size[1], x : x + size[2]]
        total[place] += shares[place].sum()
        seen[place] += 1
    return total / seen


@pytest.mark.parametrize("fill", ["mean", "grey", "black", "blur"])
@pytest.mark.parametrize(
    ("window", "stride"), [((2, 4, 4), (2, 4, 4)), ((2, 3, 5), (1, 2, 3)), ((0.5, 1.0, 0.5), None)]
)
def test_on_a_linear_network_a_window_is_worth_the_sum_of_its_terms(fill, window, stride):
    torch.manual_seed(0)
    model, clip = make_model(LinearNet(), batch_size=5), make_clips(1)[0]
    found = Occlusion(window=window, stride=stride, fill=fill, objective="logit")(model, clip, 3).values
    size, corners = cuboids(model.grid, window, stride)
    np.testing.assert_allclose(found, boxes_mean(linear_shares(model, clip, 3, fill), size, corners), atol=2e-6)


def test_windows_end_flush_with_the_clip_and_shares_are_rounded():
    size, corners = cuboids((8, 20, 30), (3, 0.25, 1.0), (2, 5, 1))
    assert size == (3, 5, 30)
    assert sorted({c[0] for c in corners}) == [0, 2, 4, 5]
    assert sorted({c[1] for c in corners}) == [0, 5, 10, 15]
    assert {c[2] for c in corners} == {0}


@pytest.mark.parametrize(
    ("window", "stride"), [((2, 2), None), ((0, 2, 2), None), ((2, 1.5, 2), None), ((1, 2, 2), (2, 2, 2))]
)
def test_sides_that_mean_nothing_are_refused(window, stride):
    with pytest.raises(DataError, match="expected"):
        Occlusion(window=window, stride=stride)(make_model(LinearNet()), make_clips(1)[0], 0)


def test_as_captums_occlusion():
    from captum.attr import Occlusion as Reference

    torch.manual_seed(1)
    model, clip = make_model(ConvNet().eval(), layer="hidden"), make_clips(1)[0]
    x, b = to_input(model, stack([clip])), base_input(model, stack([clip]), "grey")
    theirs = Reference(model.net).attribute(x, (3, 2, 4, 4), strides=(3, 2, 2, 2), baselines=b, target=2)
    ours = Occlusion(window=(2, 4, 4), stride=(2, 2, 2), fill="grey", objective="logit")(model, clip, 2).values
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=1e-6)
    assert np.abs(ours).max() > 1e-4


def test_as_captums_feature_ablation_with_the_same_regions():
    from captum.attr import FeatureAblation

    torch.manual_seed(1)
    model, clip = make_model(ConvNet().eval(), layer="hidden"), make_clips(1)[0]
    segmenter = Grid(cells=((2, 2, 3),))
    x, b = to_input(model, stack([clip])), base_input(model, stack([clip]), "black")
    labels = torch.from_numpy(segmenter(clip).labels[0].astype(np.int64))
    theirs = FeatureAblation(model.net).attribute(x, baselines=b, target=2, feature_mask=labels[None, None])
    ours = SupervoxelOcclusion(segmenter=segmenter, fill="black", objective="logit")(model, clip, 2).values
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=1e-6)
    assert np.abs(ours).max() > 1e-4


def test_levels_are_averaged_and_dropped_voxels_are_one_region():
    model, clip = make_model(Quadrants()), make_clips(1)[0]
    plane = FOUR(clip).labels[0].copy()
    halves = plane // 2
    plane[plane == 3] = -1
    two = Supervoxels.from_levels([plane, halves])
    found = SupervoxelOcclusion(segmenter=lambda _: two, fill="mean", objective="logit")(model, clip, 1)
    x, b = to_input(model, stack([clip]))[0], base_input(model, stack([clip]), "mean")[0]
    terms = [k * float((x - b)[:, torch.from_numpy(FOUR(clip).mask(i))].mean()) for i, k in enumerate((1, 2, 3, 4))]
    expected = [(terms[i] + sum(terms[2 * (i // 2) : 2 * (i // 2) + 2])) / 2 for i in range(4)]
    np.testing.assert_allclose(found.values, np.array(expected)[FOUR(clip).labels[0]], atol=2e-6)
    assert found.details["regions"] == 6
