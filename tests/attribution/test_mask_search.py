"""What optimised masks are made of: smooth masks, pyramids, losses and descents against independent formulas."""

import itertools
import math

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from voxplain.attribution.masks.blur_pyramid import blend, blur_levels, gaussian_blur, perturbation
from voxplain.attribution.masks.mask_descent import Adam, Descent, Patience, descend
from voxplain.attribution.masks.mask_generator import MaskGenerator, SmoothMask
from voxplain.attribution.masks.mask_losses import area_loss, core_kernel, core_loss, core_places, total_variation
from voxplain.errors import DataError

# --- smooth masks ---


def rendered(parameters: Tensor, g: MaskGenerator) -> Tensor:
    """The formula of the class, pixel by pixel, parameter by parameter."""
    h, w = parameters.shape
    top, left = (g.rows - 1 - g.step * (h - 1)) / 2, (g.columns - 1 - g.step * (w - 1)) / 2
    out = torch.zeros(g.padded, dtype=torch.float64)
    for row, column in itertools.product(*map(range, g.padded)):
        y, x = row - g.margin - top, column - g.margin - left  # from the first grid point
        nearest = [math.floor(v / g.step + 0.5) for v in (y, x)]
        sums = [0.0, 0.0]
        for i, j in itertools.product(*(range(n - g.radius, n + g.radius + 1) for n in nearest)):
            kernel = math.exp(-2 * max(math.hypot(y - g.step * i, x - g.step * j) / g.sigma - 0.5, 0) ** 2)
            v = float(parameters[i, j]) * kernel if 0 <= i < h and 0 <= j < w else 0.0
            sums = [sums[0] + v * math.exp(g.coldness * v), sums[1] + math.exp(g.coldness * v)]
        out[row, column] = sums[0] / sums[1]
    return out


@pytest.mark.parametrize(
    "g",
    [
        MaskGenerator(15, 21, 7, 9.0),
        MaskGenerator(9, 8, 1, 0.8),
        MaskGenerator(20, 11, 4, 9.0, coldness=5.0),
        SmoothMask().generator(17, 26),
    ],
    ids=str,
)
def test_masks_equal_the_formula(g):
    parameters = torch.rand(1, 2, *g.parameters, dtype=torch.float64)
    masks = g(parameters)
    assert masks.shape == (1, 2, *g.padded)
    for t in range(2):
        torch.testing.assert_close(masks[0, t], rendered(parameters[0, t], g), rtol=0, atol=1e-12)


def test_the_mask_s_own_backward_pass_agrees_with_finite_differences():
    g = MaskGenerator(5, 4, 2, 2.0)
    parameters = torch.rand(1, 2, *g.parameters, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(g, (parameters,))


@pytest.mark.parametrize(
    ("rows", "columns", "grid", "padded"),
    [(112, 112, (16, 16), (134, 134)), (224, 224, (32, 32), (268, 268)), (112, 200, (16, 29), (134, 222))],
)
def test_sizes_are_the_study_s_and_follow_the_frame(rows, columns, grid, padded):
    g = SmoothMask().generator(rows, columns)
    assert g.parameters == grid
    assert g.padded == padded
    inside = g.crop(g(torch.ones(1, 1, *grid)))
    assert inside.shape[2:] == (rows, columns)
    # The maximum is soft: a pixel on a grid point averages 1 with neighbours of 0.96 and less.
    assert inside.min() > 0.97
    assert inside.max() <= 1
    assert g(torch.zeros(1, 1, *grid)).abs().max() == 0


@pytest.mark.parametrize("size", [112, 64, 56])
def test_mirrored_parameters_give_mirrored_masks(size):
    g = SmoothMask().generator(size, size)
    parameters = torch.rand(1, 1, *g.parameters)
    torch.testing.assert_close(g(parameters.flip(3)), g(parameters).flip(3))
    torch.testing.assert_close(g(parameters.flip(2)), g(parameters).flip(2))


# --- pyramids ---


def test_blur_is_scipy_s_gaussian_with_zeros_outside():
    x, sigma = torch.rand(2, 3, 2, 12, 20, dtype=torch.float64), 2.25  # 4σ is whole: both cut at the same pixel
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, 0, sigma, sigma), mode="constant", truncate=4)
    torch.testing.assert_close(gaussian_blur(x, sigma), torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_mask_chooses_the_level():
    """1 gives the clip, 0 the strongest blur, k/7 the level k, between two levels their mean."""
    x = torch.randn(2, 3, 4, 14, 10)
    perturb, levels = perturbation(x, "blur", 8, 20.0), blur_levels(x, 8, 20.0 * 14 / 112)
    whole = torch.ones(2, 4, 14, 10)
    assert torch.equal(perturb(whole, [0, 1]), x)
    torch.testing.assert_close(perturb(0 * whole, [0, 1]), gaussian_blur(x, 20.0 * 14 / 112))
    torch.testing.assert_close(perturb(whole * 3 / 7, [0, 1]), gaussian_blur(x, 20.0 * 14 / 112 * 4 / 7))
    torch.testing.assert_close(blend(levels, whole * 2.5 / 7, [0, 1]), (levels[2] + levels[3]) / 2)
    mixed = whole[:1].clone()
    mixed[0, 1, 3, 4] = 0  # one voxel of the second clip
    changed = perturb(mixed, [1])[0] != x[1]
    assert changed.any(0).nonzero().tolist() == [[1, 3, 4]]


def test_fade_is_a_pyramid_of_products():
    x, mask = torch.randn(1, 3, 2, 5, 6), torch.rand(1, 2, 5, 6)
    levels = torch.stack([x * level / 7 for level in range(8)])
    torch.testing.assert_close(perturbation(x, "fade")(mask, [0]), blend(levels, mask, [0]))


def test_perturbations_are_named():
    with pytest.raises(DataError, match="blur, fade"):
        perturbation(torch.zeros(1, 3, 2, 4, 4), "noise")


# --- losses ---


def sorted_loss(masks: Tensor, ones: int, order: Tensor) -> Tensor:
    """As published: shuffle, sort, compare with zeros and then ones."""
    reference = torch.zeros(masks.shape[1])
    reference[masks.shape[1] - ones :] = 1
    return ((masks[:, order].sort(dim=1, stable=True).values - reference) ** 2).mean()


def test_area_loss_equals_the_sorted_one_and_its_gradient_the_mean_over_shuffles():
    masks = torch.rand(1, 40).mul(4).round().div(4)[None].requires_grad_(True)  # many equal values
    loss = area_loss(masks, [0.3])
    shuffled = [sorted_loss(masks[0], 12, torch.randperm(40)) for _ in range(3000)]
    torch.testing.assert_close(loss[0], shuffled[0])
    slopes = torch.autograd.grad(torch.stack(shuffled).mean(), masks)[0]
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), masks)[0], slopes, rtol=0, atol=2e-3)


def test_area_loss_is_zero_at_the_area_and_knows_frame_from_volume():
    masks = torch.zeros(2, 4, 10, 10)
    masks[:, 0] = 1  # one frame of four
    volume, frames = masks.flatten(1)[:, None], masks.flatten(2)
    assert area_loss(volume, [0.25, 0.25]).tolist() == [0, 0]
    assert area_loss(volume, [0.25, 0.5])[1] == pytest.approx(0.25)  # a quarter of the volume should be 1 and is 0
    # Every frame wants 25: the full one has 75 too many, the three empty ones 25 too few.
    assert area_loss(frames, [0.25, 0.25])[0] == pytest.approx((0.75 + 3 * 0.25) / 4)
    even = torch.zeros(1, 4, 100)
    even[:, :, :25] = 1
    assert area_loss(even, [0.25]).item() == 0


@pytest.mark.parametrize(
    ("frames", "ellipsoid", "cylinder", "formula"),
    [(5, 205, 405, 316), (7, 311, 567, 443), (8, 352, 648, 506), (11, 515, 891, 696), (14, 662, 1134, 886)],
)
def test_core_kernels_have_the_measured_voxels(frames, ellipsoid, cylinder, formula):
    assert core_kernel(frames, 11, "ellipsoid").sum() == ellipsoid
    assert core_kernel(frames, 11, "cylinder").sum() == cylinder
    voxels = 16 * 134 * 134
    for shape, true in (("ellipsoid", ellipsoid), ("cylinder", cylinder)):
        kernel = core_kernel(frames, 11, shape)
        assert core_places(kernel, 0.1, voxels, "true") == math.ceil(0.1 * voxels / true)
        assert core_places(kernel, 0.1, voxels, "paper") == math.ceil(0.1 * voxels / formula)


def test_core_loss_of_known_masks():
    kernel = core_kernel(3, 5, "ellipsoid")
    masks = torch.zeros(3, 3, 20, 15)  # as long as the kernel: 4×3 places
    masks[0, :, 5:10, 10:15] = kernel
    masks[1] = 1
    area = kernel.sum().item() / masks[0].numel()
    loss = core_loss(masks, [area] * 3, kernel)
    assert loss.tolist() == pytest.approx([0, 1, 1])  # one full place; all the others full too; the one place empty
    two = core_loss(masks, [2 * area] * 3, kernel)
    assert two[0] == pytest.approx(0.5)  # one of two wanted


def test_core_loss_equals_a_plain_loop():
    kernel, masks, area = core_kernel(3, 4, "cylinder"), torch.rand(1, 6, 13, 9), 0.2
    values = sorted(
        float((masks[0, t : t + 3, y : y + 4, x : x + 4] * kernel).sum() / kernel.sum())
        for t, y, x in itertools.product(range(4), range(0, 10, 4), range(0, 6, 4))
    )[::-1]
    for count in ("true", "paper"):
        k = core_places(kernel, area, masks.numel(), count)
        best, rest = values[:k], values[k:]
        expected = sum((v - 1) ** 2 for v in best) / len(best) + sum(v**2 for v in rest) / len(rest)
        assert core_loss(masks, [area], kernel, count).item() == pytest.approx(expected, rel=1e-5)
    assert core_loss(masks, [1.0], core_kernel(1, 2, "ellipsoid")).isfinite().all()  # every place wanted


def test_total_variation_counts_every_neighbour_once():
    masks = torch.zeros(1, 3, 4, 4)
    masks[0, 1, 1, 1] = 0.5
    assert total_variation(masks, 3).item() == pytest.approx(6 * 0.125)
    assert total_variation(masks[:, 1, 1], 2).item() == pytest.approx(2 * 0.25)


# --- descents ---


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Descent(0.05, 0.9, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, dampening=0.9)),
        (Descent(0.02, 0.5, 0.0), lambda p: torch.optim.SGD(p, 0.02, momentum=0.5)),
        (Adam(0.1), lambda p: torch.optim.Adam(p, 0.1)),
    ],
)
def test_descents_move_as_torch_s_optimisers(ours, theirs):
    start, scale = torch.rand(2, 7, dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64)

    def loss(p: Tensor, problems: list[int]) -> Tensor:
        return ((p - 0.4) ** 2).sum(1) * scale[problems]

    found, used = descend(start, lambda p, problems, _: loss(p, problems), 30, ours)
    leaf = start.clone().requires_grad_(True)
    optimiser = theirs([leaf])
    for _ in range(30):
        optimiser.zero_grad()
        loss(leaf, [0, 1]).sum().backward()
        optimiser.step()
        leaf.data.clamp_(0, 1)
    torch.testing.assert_close(found, leaf.detach())
    assert used == [30, 30]


def test_patience_stops_each_problem_by_itself():
    goal = torch.tensor([[0.5], [0.5]])
    pace = torch.tensor([20.0, 0.2])

    def loss(p: Tensor, problems: list[int], _: int) -> Tensor:
        return pace[problems] * ((p - goal[problems]) ** 2).sum(1)

    found, used = descend(torch.ones(2, 1), loss, 400, Descent(0.02, 0.0, 0.0), Patience(10))
    assert used[0] < 60 < used[1]
    alone, used_alone = descend(
        torch.ones(1, 1), lambda p, _, t: loss(p, [0], t), 400, Descent(0.02, 0, 0), Patience(10)
    )
    torch.testing.assert_close(found[:1], alone)
    assert used_alone == used[:1]
