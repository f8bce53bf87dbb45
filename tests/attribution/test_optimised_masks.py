"""Optimised masks find what analytic networks look at, alone, in a batch, in any parts; nothing is left behind."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_nets import ConvNet, Wrapped
from voxplain.attribution import (
    STEP,
    ExtremalPerturbation2D,
    ExtremalPerturbation3D,
    MeaningfulPerturbation,
    TemporalFreeze,
    TemporalReverse,
)
from voxplain.attribution.masks.extremal_search import MaskSearch
from voxplain.attribution.masks.temporal_mask import freeze, reverse, runs
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.video import Clip

GRID = (4, 8, 8)
SEARCH = MaskSearch(learning_rate=0.05)  # few parameters have large shares of the loss: no longer steps
EXTREMAL = {
    "ep_2d": partial(ExtremalPerturbation2D, areas=(0.2,), iterations=40, perturbation="fade", search=SEARCH),
    "ep_3d": partial(ExtremalPerturbation3D, areas=(0.1,), iterations=40, perturbation="fade", search=SEARCH),
    "step": partial(
        STEP, areas=(0.1,), iterations=40, core_frames=3, core_size=42.0, perturbation="fade", search=SEARCH
    ),
}
ALL = {
    **EXTREMAL,
    "meaningful_perturbation": partial(MeaningfulPerturbation, iterations=20),
    "temporal_freeze": partial(TemporalFreeze, iterations=20),
    "temporal_reverse": partial(TemporalReverse, iterations=20),
}


class Reads(nn.Module):
    """Logits (f(x), 0) of inputs [N,3,T,H,W]; remembers the largest batch."""

    def __init__(self, f) -> None:
        super().__init__()
        self.out, self.f, self.largest = nn.Identity(), f, 0

    def forward(self, x: Tensor) -> Tensor:
        self.largest = max(self.largest, len(x))
        z = self.f(x)
        return self.out(torch.stack([z, torch.zeros_like(z)], 1))


def model(net: nn.Module, layer: str = "out", grid: tuple[int, int, int] = GRID, **options) -> VideoModel:
    return VideoModel(net=net.eval(), layer=layer, grid=grid, **options)


def noise(n: int, grid: tuple[int, int, int] = GRID, low: int = 0) -> list[Clip]:
    rng = np.random.default_rng(3)
    return [
        Clip(rng.integers(low, 256, (*grid, 3), dtype=np.uint8), np.arange(grid[0]) / 25, f"noise {i}")
        for i in range(n)
    ]


def share(values: np.ndarray, where: tuple[slice, ...]) -> float:
    """Part of the map inside a box, over the part of the voxels that lie there."""
    inside = np.zeros(values.shape, dtype=bool)
    inside[where] = True
    return float(values[inside].sum() / values.sum() / inside.mean())


# --- planted boxes ---

BOX = (slice(1, 3), slice(1, 5), slice(3, 7))


def brightness(x: Tensor, needed: float = 1.0) -> Tensor:
    """How bright the box is. In clips of 160 to 255 its mean is 1.25; each voxel that fades takes its share."""
    return 60 * (x[:, :, *BOX].mean((1, 2, 3, 4)) - needed)


@pytest.mark.parametrize("name", EXTREMAL)
@pytest.mark.parametrize(("variant", "needed"), [("preserve", 1.0), ("delete", 0.2), ("dual", 0.8)])
def test_extremal_perturbations_find_the_box(name, variant, needed):
    """To preserve the class most of the box must stay, to delete it most must go."""
    m = model(Reads(partial(brightness, needed=needed)))
    found = EXTREMAL[name](variant=variant)(m, noise(1, low=160)[0], 0)
    if name == "ep_2d":  # every frame has its share, so frames that do not count keep what falls to them
        found = replace(found, values=np.ascontiguousarray(found.values[1:3]), clip=None)
        assert share(found.values, (slice(None), *BOX[1:])) > 1.4
    else:
        assert share(found.values, BOX) > 2.5
    facts = found.details
    assert found.method == name
    assert facts["areas"] == [found.parameters["areas"][0]]
    assert facts["iterations"] == [40]
    assert 0.8 * facts["areas"][0] < facts["achieved_area"][0] < 2.5 * facts["areas"][0]
    assert facts["probability_kept"][0] > facts["probability_deleted"][0]


def test_frames_compete_in_3d_only():
    kind = {"iterations": 60, "areas": (0.1,), "perturbation": "fade", "search": SEARCH}
    clip, m = noise(1, low=160)[0], model(Reads(brightness))
    each = ExtremalPerturbation2D(**kind)(m, clip, 0).values.sum((1, 2))
    free = ExtremalPerturbation3D(**kind)(m, clip, 0).values.sum((1, 2))
    assert each.min() > 0.5 * each.max()
    assert free[[0, 3]].max() < 0.3 * free[[1, 2]].min()


@pytest.mark.parametrize("weights", ["equal", "inverse"])
def test_several_areas_add_up_to_one_map(weights):
    """The map is the smoothed, weighted sum of the masks over its maximum, whichever of them ran together."""
    clip, m = noise(1, low=160)[0], model(Reads(brightness))
    search = replace(SEARCH, smooth=0, weights=weights)
    areas = (0.05, 0.1, 0.4)
    both = ExtremalPerturbation3D(areas=areas, iterations=20, search=search)(m, clip, 0)
    single = [ExtremalPerturbation3D(areas=(a,), iterations=20, search=search)(m, clip, 0) for a in areas]
    assert both.details["final_loss"] == pytest.approx([s.details["final_loss"][0] for s in single], rel=1e-4)
    masks = [s.values * s.details["achieved_area"][0] / s.values.mean() for s in single]
    total = sum(m / (a if weights == "inverse" else 1) for m, a in zip(masks, areas, strict=True))
    np.testing.assert_allclose(both.values, total / total.max(), atol=1e-4)


def test_core_loss_joins_what_the_area_alone_leaves_scattered():
    """A network that reads every other column: the plain mask is striped, STEP's less so."""
    stripes = model(Reads(lambda x: 60 * (x[:, :, :, :, ::4].mean((1, 2, 3, 4)) - 1)), grid=(4, 16, 16))
    clip = noise(1, (4, 16, 16), low=160)[0]
    kind = {
        "areas": (0.15,),
        "iterations": 120,
        "perturbation": "fade",
        "search": MaskSearch(smooth=0, learning_rate=0.2),
    }
    plain = ExtremalPerturbation3D(**kind)(stripes, clip, 0)
    lumps = STEP(**kind, core_frames=4, core_size=28.0)(stripes, clip, 0)

    def roughness(values: np.ndarray) -> float:
        return float(np.abs(np.diff(values, axis=2)).sum() / values.sum())

    assert roughness(lumps.values) < 0.9 * roughness(plain.values)
    other = STEP(**kind, core_frames=4, core_size=28.0, core_count="paper")(stripes, clip, 0)
    assert np.abs(other.values - lumps.values).max() > 0.01  # the option reaches the loss


@pytest.mark.parametrize(("frames", "core"), [(6, 3), (8, 3), (16, 8), (18, 8), (1, 1)])
def test_the_core_is_at_most_half_of_the_clip_where_no_length_is_given(frames, core):
    """The study's 8 of 16 frames, to the byte, and no longer on longer clips; on shorter ones an odd part of half."""
    grid = (frames, 8, 8)
    m, clip = model(Reads(lambda x: x[:, :, :, 1:5, 3:7].mean((1, 2, 3, 4))), grid=grid), noise(1, grid, low=160)[0]
    kind = {"areas": (0.1,), "iterations": 12, "core_size": 42.0, "perturbation": "fade", "search": SEARCH}
    maps = {length: STEP(**kind, core_frames=length)(m, clip, 0).values for length in {None, core, 1, frames}}
    np.testing.assert_array_equal(maps[None], maps[core])
    for other in {1, frames} - {core}:
        assert np.abs(maps[other] - maps[None]).max() > 1e-4  # the length reaches the loss


def test_meaningful_perturbation_finds_the_box():
    grid = (4, 16, 16)
    box = (slice(0, 4), slice(2, 8), slice(8, 14))
    clip = noise(1, grid)[0]
    # What a blur destroys: differences between neighbours, in the box only.
    net = Reads(lambda x: 8 * torch.diff(x, dim=3)[:, :, *box].abs().mean((1, 2, 3, 4)) - 5)
    found = MeaningfulPerturbation(iterations=150, cells=16, sparsity=2e-3)(model(net, grid=grid), clip, 0)
    assert found.details["probability_after"] < 0.3 < 0.7 < found.details["probability_before"]
    assert share(found.values, box) > 3
    assert found.details["perturbed_area"] == pytest.approx(found.values.mean())


# --- temporal masks ---


def moving(x: Tensor) -> Tensor:
    """How much changes from frame 2 to 3 and from 3 to 4; other frames do not count."""
    return 3 * torch.diff(x[:, :, 2:5], dim=2).abs().mean((1, 2, 3, 4)) - 2


def ordered(x: Tensor) -> Tensor:
    """How much brighter frames 2 to 5 get from one to the next."""
    return 6 * torch.diff(x.mean((1, 3, 4))[:, 2:6], dim=1).clamp(max=1).sum(1) - 4


def test_freeze_finds_the_frames_whose_motion_counts():
    found = TemporalFreeze(iterations=200)(model(Reads(moving), grid=(8, 6, 6)), noise(1, (8, 6, 6))[0], 0)
    assert (found.values == found.values[:, :1, :1]).all()
    mask = found.values[:, 0, 0]
    assert mask[[3, 4]].min() > 0.6  # a frame is frozen to the one before it
    assert mask[[0, 1, 6, 7]].max() < 0.1
    facts = found.details
    assert facts["score"] > 0.6 > 0.3 > facts["score_frozen"]
    assert all(a <= 3 and b >= 4 for a, b in facts["runs"])


def test_reverse_finds_the_frames_whose_order_counts():
    frames = np.zeros((8, 6, 6, 3), np.uint8)
    frames[:] = np.array([90, 200, 10, 80, 150, 220, 40, 120], np.uint8)[:, None, None, None]
    found = TemporalReverse(iterations=200)(
        model(Reads(ordered), grid=(8, 6, 6)), Clip(frames, np.arange(8.0), "ramp"), 0
    )
    facts = found.details
    assert facts["score"] > 0.9
    assert facts["score_reversed"] < 0.2
    ((first, last),) = facts["runs"]
    assert first + last == 2 + 5  # played backwards about the middle of the frames that count
    mask = found.values[:, 0, 0]
    assert mask[[2, 5]].min() > 0.4 > 0.1 > mask[[0, 7]].max()


def test_a_class_that_reads_no_motion_gets_an_empty_mask():
    still = model(Reads(lambda x: 3 * x[:, :, 0].mean((1, 2, 3)) + 1), grid=(8, 6, 6))
    assert TemporalFreeze(iterations=100)(still, noise(1, (8, 6, 6))[0], 0).values.max() < 0.1


def test_freeze_and_reverse_of_hard_masks():
    x = torch.randn(2, 3, 6, 2, 2)
    mask = torch.tensor([[0, 0, 1, 1, 0, 0], [1, 1, 1, 0, 0, 1]]).float()
    assert runs(mask[1].tolist()) == [(0, 2), (5, 5)]
    assert torch.equal(freeze(x, mask)[0], x[0][:, [0, 1, 1, 1, 4, 5]])
    assert torch.equal(freeze(x, mask)[1], x[1][:, [0, 0, 0, 3, 4, 4]])
    torch.testing.assert_close(reverse(x, mask)[0], x[0][:, [0, 1, 3, 2, 4, 5]])
    torch.testing.assert_close(reverse(x, mask)[1], x[1][:, [2, 1, 0, 3, 4, 5]])
    half = torch.full((1, 6), 0.5)
    assert torch.allclose(freeze(x[:1], half)[0, :, 2], x[0, :, 2] / 2 + x[0, :, 1] / 4 + x[0, :, 0] / 4)


# --- what all promise ---


@pytest.mark.parametrize("name", ALL)
def test_a_clip_gets_the_same_map_alone_in_a_batch_and_in_parts(name):
    net = ConvNet()
    net.head.weight.data *= 8
    areas = {"areas": (0.1, 0.3)} if name in EXTREMAL else {}
    method, clips = replace(ALL[name](**areas), iterations=12), noise(3)
    maps = {b: method(model(net, "hidden", batch_size=b), clips, [0, 1, 4]) for b in (1, 2, 7)}
    alone = method(model(net, "hidden", batch_size=4), clips[1], 1)
    for other in maps.values():
        np.testing.assert_array_equal(other[1].values, alone.values)
        for a, b in zip(other, maps[1], strict=True):
            np.testing.assert_array_equal(a.values, b.values)
            assert a.details == b.details
    assert np.abs(maps[1][0].values - maps[1][2].values).max() > 0 or name == "temporal_reverse"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1, 3])
def test_one_input_a_pass_whatever_the_batch_size(name, size):
    """Products of one row and of several round differently, and the descent magnifies that."""
    for variant in ("preserve", "dual") if name in EXTREMAL else (None,):
        net = Reads(brightness)
        more = {"areas": (0.1, 0.3), "variant": variant} if variant else {}
        replace(ALL[name](**more), iterations=3)(model(net, batch_size=size), noise(3, low=100), 0)
        assert net.largest == 1


@pytest.mark.parametrize("name", ALL)
def test_the_network_stays_as_it_was_found(name):
    net = ConvNet(inplace=True)
    net.conv1.weight.requires_grad_(False)
    net.head.weight.grad = torch.ones_like(net.head.weight)
    net.train()
    net.bn.eval()
    m = VideoModel(net=net, layer="hidden", grid=GRID)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    flags = [x.training for x in net.modules()]
    method = replace(ALL[name](), iterations=12)
    clip = noise(1)[0]
    plain = method(m, clip, 2)
    with torch.no_grad():
        np.testing.assert_array_equal(method(m, clip, 2).values, plain.values)
    with torch.inference_mode():
        np.testing.assert_array_equal(method(m, clip, 2).values, plain.values)
    assert [x.training for x in net.modules()] == flags
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.head.weight.grad.eq(1).all()
    assert all(p.grad is None for k, p in net.named_parameters() if k != "head.weight")


@pytest.mark.parametrize("name", ALL)
def test_other_axes_frozen_weights_tuples_and_frames_that_are_not_square(name):
    grid = (8, 6, 11)
    inner = ConvNet().requires_grad_(False)
    swapped = Wrapped(inner, lambda z: (z, "more"))
    swapped.register_forward_pre_hook(lambda _, args: (args[0].transpose(1, 2),))
    clip = noise(1, grid)[0]
    method = replace(ALL[name](), iterations=12)
    found = method(model(swapped, "net.hidden", grid, layout="BTCHW"), clip, 1)
    assert found.values.shape == grid
    expected = method(model(inner, "hidden", grid), clip, 1)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: STEP(areas=()), "areas"),
        (lambda: ExtremalPerturbation3D(areas=(1.5,)), "areas"),
        (lambda: ExtremalPerturbation2D(variant="keep"), "variant"),
        (lambda: STEP(core_start=1), "core_start"),
        (lambda: MaskSearch(weights="sum"), "weights"),
        (lambda: MeaningfulPerturbation(beta=0.5), "beta"),
        (lambda: TemporalFreeze(iterations=0), "iteration"),
    ],
)
def test_fields_that_cannot_be_are_refused(make, said):
    with pytest.raises(DataError, match=said):
        make()
