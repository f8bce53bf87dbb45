"""I-GOS, iGOS++, FGVis, rate-distortion maps and mask networks: closed forms, and a block that a network reads."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxplain.attribution import (
    IGOS,
    AttributionMethod,
    FGVis,
    IGOSPlusPlus,
    RateDistortion,
    RealTimeSaliency,
    train_mask_network,
)
from voxplain.attribution.masks.blur_pyramid import perturbation
from voxplain.attribution.masks.fine_grained import BoundedReLUs, clip_activations
from voxplain.attribution.masks.igos import path_mean
from voxplain.attribution.masks.rate_distortion import frank_wolfe_step
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.video import Clip

GRID = (4, 12, 12)
BLOCK = (slice(None), slice(2, 6), slice(5, 10))


class Reads(nn.Module):
    """Logits (f(x), 0) of inputs [N,3,T,H,W]."""

    def __init__(self, f) -> None:
        super().__init__()
        self.out, self.f = nn.Identity(), f

    def forward(self, x: Tensor) -> Tensor:
        z = self.f(x)
        return self.out(torch.stack([z, torch.zeros_like(z)], 1))


def model(f) -> VideoModel:
    return VideoModel(net=Reads(f).eval(), layer="out", grid=GRID)


def block_model() -> VideoModel:
    """The log-odds of class 0 are 3 where the block is white, and fall with its brightness."""
    return model(lambda x: 3 * torch.relu(x[(slice(None), slice(None), *BLOCK)]).mean((1, 2, 3, 4)) - 3)


def block_clip() -> Clip:
    """Dark noise, white in the block."""
    frames = np.random.default_rng(0).integers(60, 120, (*GRID, 3)).astype(np.uint8)
    frames[BLOCK] = 255
    return Clip.from_array(frames)


METHODS: dict[str, AttributionMethod] = {
    "igos": IGOS(iterations=15, steps=4, perturbation="fade", sparsity=1e-3),
    "igos_plus_plus": IGOSPlusPlus(iterations=15, steps=3, perturbation="fade", sparsity=1e-3),
    "fgvis": FGVis(iterations=30),
    "rate_distortion": RateDistortion(rates=(0.05, 0.1), iterations=10),
    "real_time_saliency": RealTimeSaliency(iterations=80, perturbation="fade"),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_block_that_the_network_reads_is_found(name: str) -> None:
    values = METHODS[name](block_model(), block_clip(), 0).values
    inside = np.zeros(GRID, bool)
    inside[BLOCK] = True
    assert values[inside].mean() > 3 * max(values[~inside].mean(), 1e-6)


def test_the_path_of_a_linear_score_has_a_closed_form() -> None:
    """The mean of w·(k/S)·m·x over k is (S + 1)/2S · w·m·x, and so is its gradient."""
    rng = torch.Generator().manual_seed(0)
    w, x = (torch.randn(1, 3, *GRID, generator=rng) for _ in range(2))
    mask = torch.rand(1, *GRID, generator=rng).requires_grad_(True)
    perturb = perturbation(x, "fade")
    value = path_mean(model(lambda v: (w * v).sum((1, 2, 3, 4))), perturb, mask, 0, 5, "logit")
    value.sum().backward()
    part = (w * x).sum(1)
    torch.testing.assert_close(value.detach()[0], 0.6 * (part * mask.detach()).sum(), rtol=1e-4, atol=1e-3)
    assert mask.grad is not None
    torch.testing.assert_close(mask.grad, 0.6 * part, rtol=1e-4, atol=1e-4)


def test_rate_distortion_of_a_linear_score_without_noise_keeps_the_largest_contributions() -> None:
    """(Σ(1−s)c)² falls most in the voxels of largest c; the first step of Frank–Wolfe goes there, and none leaves."""
    w = torch.randn(3, *GRID, generator=torch.Generator().manual_seed(1)).abs()
    clip = block_clip()
    clip.frames[:] = 255  # x is positive everywhere, so all contributions are
    found = RateDistortion(rates=(0.1,), iterations=6, samples=1, noise=0.0)(
        model(lambda v: (w * v).mean((1, 2, 3, 4))), clip, 0
    )
    count = round(0.1 * np.prod(GRID))
    best = np.argsort(-w.sum(0).numpy().ravel(), kind="stable")[:count]
    expected = np.zeros(int(np.prod(GRID)), np.float32)
    expected[best] = 1
    np.testing.assert_allclose(found.values.ravel(), expected, atol=1e-6)


def test_frank_wolfe_goes_to_no_voxel_whose_slope_is_not_negative() -> None:
    s = torch.full((1, 1, 2, 2), 0.5)
    slope = torch.tensor([[[[-3.0, 1.0], [-1.0, 0.0]]]])
    moved = frank_wolfe_step(s, slope, 3, 2)  # half of the way
    torch.testing.assert_close(moved, torch.tensor([[[[0.75, 0.25], [0.75, 0.25]]]]))


def test_no_gradient_passes_a_relu_above_its_value_for_the_clip() -> None:
    one = model(lambda v: torch.relu(v).sum((1, 2, 3, 4)))
    x = torch.randn(1, 3, *GRID, generator=torch.Generator().manual_seed(2))
    bounds = clip_activations(one, x)
    brighter = (x + 0.5).requires_grad_(True)
    with BoundedReLUs(bounds, "net"):
        one.net(brighter)[0, 0].backward()
    assert brighter.grad is not None
    assert not brighter.grad.any()  # every open unit is above its bound
    darker = (x - 0.5).requires_grad_(True)
    with BoundedReLUs(bounds, "net"):
        one.net(darker)[0, 0].backward()
    assert darker.grad is not None
    torch.testing.assert_close(darker.grad, (x > 0.5).float())


def test_a_trained_mask_network_serves_other_clips(tmp_path: Path) -> None:
    one, clip = block_model(), block_clip()
    other = Clip.from_array(np.roll(clip.frames, 1, 0))
    method = train_mask_network(one, [clip, other], [0, 0], tmp_path / "m.safetensors", epochs=25)
    assert method.weights == tmp_path / "m.safetensors"
    draws = torch.get_rng_state()
    first = method(one, clip, 0)
    assert torch.equal(torch.get_rng_state(), draws)
    np.testing.assert_array_equal(first.values, method(one, clip, 0).values)
    fresh = RealTimeSaliency(iterations=1)(one, clip, 0)
    assert not np.allclose(first.values, fresh.values, atol=1e-2)
    with pytest.raises(DataError, match="a target for each"):
        train_mask_network(one, [clip], [], tmp_path / "n.safetensors")


@pytest.mark.parametrize(
    "make",
    [
        lambda: IGOS(steps=0),
        lambda: IGOSPlusPlus(beta=0.5),
        lambda: FGVis(iterations=0),
        lambda: RateDistortion(rates=(1.5,)),
        lambda: RealTimeSaliency(delete_power=0),
    ],
)
def test_fields_that_cannot_be(make) -> None:
    with pytest.raises(DataError, match="expected"):
        make()
