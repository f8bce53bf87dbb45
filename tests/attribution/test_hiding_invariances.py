"""What every method that hides, groups or ignores must keep: batches, seeds, axes, memory order, the network itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_class_feature_pyramid import Three
from torch import nn

from region_clips import make_clips, make_model
from small_nets import ConvNet, Wrapped
from voxplain.attribution import (
    LIME,
    RISE,
    SWAG,
    XRAI,
    CentrePrior,
    ClassFeaturePyramid,
    FrameConstant,
    KernelSHAP,
    MotionEnergy,
    Occlusion,
    PredictionDifference,
    RandomMap,
    SupervoxelOcclusion,
)
from voxplain.errors import ModelError
from voxplain.segment import SLIC, Grid

PARTS = Grid(cells=((2, 2, 2),))
NETWORK = {
    "occlusion": Occlusion(window=(2, 4, 4)),
    "supervoxel_occlusion": SupervoxelOcclusion(segmenter=SLIC(segments=(6, 12), compactness=1.0)),
    "rise": RISE(samples=25, cells=(2, 3, 3), seed=4),
    "lime": LIME(segmenter=PARTS, samples=30),
    "kernel_shap": KernelSHAP(segmenter=PARTS, samples=60),
    "prediction_difference": PredictionDifference(window=(1, 3, 3), stride=(1, 3, 3), samples=2),
    "xrai": XRAI(steps=3, min_voxels=5),
    "swag_v": SWAG(segmenter=SLIC(segments=(12,), compactness=1.0)),
    "class_feature_pyramid": ClassFeaturePyramid(),
}
CONTROLS = {
    "random": RandomMap(),
    "centre_prior": CentrePrior(),
    "motion_energy": MotionEnergy(),
    "frame_constant": FrameConstant(),
}
METHODS = {**NETWORK, **CONTROLS}
ODD = (8, 6, 10)


class Swapped(nn.Module):
    """A network that takes [B,T,C,H,W]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.transpose(1, 2))


def net() -> nn.Module:
    torch.manual_seed(0)
    built = Three("in place").eval()
    for p in built.parameters():
        p.requires_grad_(False)  # frozen
    return built


@pytest.mark.parametrize("name", METHODS)
def test_batches_and_neighbours_change_nothing(name):
    clips, method = make_clips(3, grid=ODD), METHODS[name]
    by_batch = [method(make_model(net(), grid=ODD, batch_size=b), clips, [0, 3, 1]) for b in (1, 2, 64)]
    alone = method(make_model(net(), grid=ODD), clips[1], 3)
    assert alone.method == name
    assert alone.values.shape == ODD
    scale = np.abs(alone.values).max()
    for found in by_batch:
        np.testing.assert_allclose(found[1].values, alone.values, atol=1e-4 * scale)
    np.testing.assert_array_equal(method(make_model(net(), grid=ODD), clips[1], 3).values, alone.values)
    if name != "centre_prior":
        assert np.abs(by_batch[0][0].values - alone.values).max() > 0.01 * scale


@pytest.mark.parametrize("name", NETWORK)
def test_the_axes_and_the_output_of_the_network_do_not_matter(name):
    clip, method = make_clips(1, grid=ODD)[0], METHODS[name]
    plain = method(make_model(net(), grid=ODD), clip, 1).values
    swapped = make_model(Swapped(net()), layer="net.feature", layout="BTCHW", grid=ODD)
    tupled = make_model(Wrapped(net(), lambda z: (z, None)), layer="net.feature", grid=ODD)
    wide = make_model(net(), grid=ODD, channels_last=True)
    for other in (swapped, tupled, wide):
        np.testing.assert_allclose(method(other, clip, 1).values, plain, atol=1e-4 * np.abs(plain).max())


@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter_and_the_network_stays(name, mode):
    clip, built = make_clips(1, grid=ODD)[0], net()
    built.bn.train()
    model, expected = make_model(built, grid=ODD), METHODS[name](make_model(net(), grid=ODD), clip, 2).values
    before = {k: v.clone() for k, v in built.state_dict().items()}
    with mode():
        found = METHODS[name](model, clip, 2).values
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert built.bn.training
    assert not built.training
    assert all(torch.equal(v, before[k]) for k, v in built.state_dict().items())
    assert all(p.grad is None for p in built.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in built.modules())


@pytest.mark.parametrize("name", NETWORK)
def test_errors_are_plain_and_leave_the_network(name):
    class Broken(Three):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * float("nan")

    built, clip = Broken(), make_clips(1, grid=ODD)[0]
    with pytest.raises(ModelError, match="finite"):
        METHODS[name](make_model(built, grid=ODD), clip, 0)
    assert built.training
    with pytest.raises(ModelError, match="class index from 0 to 3, got 9"):
        METHODS[name](make_model(net(), grid=ODD), clip, 9)


@pytest.mark.parametrize("name", ["rise", "lime", "kernel_shap", "prediction_difference", "random"])
def test_another_seed_gives_another_map(name):
    clip, model, method = make_clips(1, grid=ODD)[0], make_model(net(), grid=ODD), METHODS[name]
    assert (replace(method, seed=11)(model, clip, 0).values != method(model, clip, 0).values).any()


@pytest.mark.parametrize("name", NETWORK)
def test_no_more_inputs_than_the_batch_size_at_once(name):
    widest = []

    class Counting(Three):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            widest.append(len(x))
            return super().forward(x)

    METHODS[name](make_model(Counting().eval(), grid=ODD, batch_size=2), make_clips(3, grid=ODD), 0)
    assert max(widest) <= 2


@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_number_types_work(name, dtype):
    clip, method = make_clips(1, grid=ODD)[0], METHODS[name]
    found = method(make_model(net().to(dtype), grid=ODD), clip, 1).values
    plain = method(make_model(net(), grid=ODD), clip, 1).values
    if dtype is torch.float64:
        np.testing.assert_allclose(found, plain, atol=1e-3 * np.abs(plain).max())
    assert np.isfinite(found).all()


def test_a_network_without_a_global_pool_is_no_matter_to_those_that_only_ask():
    torch.manual_seed(0)
    model, clip = make_model(ConvNet().eval(), layer="hidden"), make_clips(1)[0]
    for name, method in NETWORK.items():
        if name != "class_feature_pyramid":
            assert np.abs(method(model, clip, 0).values).max() > 0
