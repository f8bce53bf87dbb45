"""Insertion and deletion against closed forms on a linear network, mirror images, units and bounds."""

from itertools import product

import numpy as np
import pytest
import torch
from known_maps import TARGET, base_score, contributions, given, linear_model, noise

from small_nets import ConvNet
from voxplain.curves import Curve, curve, mirrored, ranks, unit_steps
from voxplain.errors import DataError
from voxplain.metrics import Deletion, Insertion
from voxplain.metrics.masked_scores import masked_scores
from voxplain.metrics.units import UNITS, unit_labels, unit_values
from voxplain.model import VideoModel


@pytest.mark.parametrize("steps", [256, 64, 7])
def test_insertion_of_the_exact_map_is_a_sum_of_sorted_contributions(steps):
    model, clip = linear_model(), noise()
    parts = contributions(model, clip)
    got = Insertion(steps=steps, objective="logit")(model, clip, given(parts))
    found = got.details["curve"]
    added = np.concatenate([[0], np.cumsum(np.sort(parts.ravel())[::-1])])
    counts = np.rint(found.fraction * 256).astype(int)
    assert len(counts) == steps + 1
    assert (counts[0], counts[-1]) == (0, 256)
    assert set(np.diff(counts)) <= {256 // steps, -(-256 // steps)}
    expected = base_score(model) + added[counts]
    np.testing.assert_allclose(found.score, expected, atol=1e-4)
    assert got.value == pytest.approx(np.trapezoid(expected, counts / 256), abs=1e-4)


def test_deletion_of_the_exact_map_takes_the_sorted_contributions_away():
    model, clip = linear_model(), noise(1)
    parts = contributions(model, clip)
    found = Deletion(steps=256, objective="logit")(model, clip, given(parts)).details["curve"]
    left = parts.sum() - np.concatenate([[0], np.cumsum(np.sort(parts.ravel())[::-1])])
    np.testing.assert_allclose(found.score, base_score(model) + left, atol=1e-4)


def test_no_order_beats_the_exact_map_and_random_orders_average_the_ends():
    model, clip = linear_model(), noise(2)
    parts = contributions(model, clip)
    best = Insertion(objective="logit", chance_orders=200)(model, clip, given(parts))
    worst = Insertion(objective="logit", order="lerf")(model, clip, given(parts))
    rng = np.random.default_rng(0)
    others = [Insertion(objective="logit")(model, clip, given(rng.normal(size=parts.shape))).value for _ in range(20)]
    assert worst.value < min(others) < max(others) < best.value
    middle = base_score(model) + parts.sum() / 2  # by symmetry: an order and its reverse average to the middle
    assert best.chance == pytest.approx(middle, abs=5 * np.std(others) / np.sqrt(200))


@pytest.mark.parametrize(("unit", "steps", "fill"), list(product(UNITS, [1, 5, 64], ["mean", "black", "blur"])))
def test_mirror_images(unit, steps, fill):
    model, clip = linear_model(), noise(3)
    values = given(np.random.default_rng(1).integers(0, 4, clip.frames.shape[:3]))  # with many ties
    both = {"unit": unit, "steps": steps, "fill": fill}
    for deletes, inserts in (("lerf", "morf"), ("morf", "lerf")):
        gone = Deletion(order=deletes, **both)(model, clip, values).details["curve"]
        come = Insertion(order=inserts, **both)(model, clip, values).details["curve"]
        np.testing.assert_allclose(gone.score, come.score[::-1], atol=1e-7)
        np.testing.assert_allclose(gone.fraction, 1 - come.fraction[::-1], atol=1e-12)


def test_most_relevant_first_is_not_least_relevant_first():
    model, clip = linear_model(), noise(3)
    values = given(contributions(model, clip))
    one, other = (Insertion(order=o, objective="logit")(model, clip, values).value for o in ("morf", "lerf"))
    assert one > other + 0.1
    assert [m.higher_is_better for m in (Insertion(), Insertion("lerf"), Deletion(), Deletion("lerf"))] == [
        True,
        False,
        False,
        True,
    ]


def test_a_uniform_map_is_a_random_order_and_not_the_order_of_the_voxels():
    model, clip = linear_model(), noise(4)
    flat = given(np.ones(clip.frames.shape[:3]))
    found = [Insertion(objective="logit", seed=s)(model, clip, flat).value for s in range(60)]
    assert np.std(found) > 0
    parts = contributions(model, clip)
    assert np.mean(found) == pytest.approx(base_score(model) + parts.sum() / 2, abs=5 * np.std(found) / np.sqrt(60))
    assert Insertion(objective="logit")(model, clip, flat).value == found[0]


def test_batches_are_bounded_and_do_not_matter():
    torch.manual_seed(0)
    net, sizes = ConvNet().train(), []
    net.conv1.register_forward_hook(lambda m, i, o: sizes.append(len(o)))
    clip, values = noise(5), given(np.random.default_rng(0).normal(size=(4, 8, 8)))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    found = []
    for size in (1, 3, 100):
        sizes.clear()
        model = VideoModel(net=net, layer="conv1", grid=(4, 8, 8), batch_size=size).settled()
        sizes.clear()
        with torch.inference_mode(size == 3):
            found.append(Insertion(steps=20)(model, clip, values).details["curve"].score)
        assert max(sizes) == min(size, 4)
        assert sum(sizes) == 21
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)
    assert all(m.training for m in net.modules())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_masks_are_made_when_their_batch_is_due():
    model, made, ahead = linear_model(batch_size=3), [], []

    def masks():
        for _ in range(10):
            made.append(1)
            yield np.ones((4, 8, 8), bool)

    model.net.register_forward_hook(lambda m, i, o: ahead.append(len(made)))
    assert len(masked_scores(model, noise(), masks(), "mean", TARGET, "logit")) == 10
    assert ahead == [3, 6, 9, 10]


def test_frames_first_axes_and_other_grids():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 3 * 6 * 10, 3))
    model = VideoModel(net=net.eval(), layer="0", layout="BTCHW", grid=(8, 6, 10))
    clip = noise(6, (8, 6, 10))
    got = Insertion(unit="frame")(model, clip, given(np.arange(480).reshape(8, 6, 10)))
    assert got.details["steps"] == 8
    x = torch.from_numpy(clip.frames).permute(0, 3, 1, 2) / 255 / 0.25 - 2
    base = torch.full_like(x, (128 / 255 - 0.5) / 0.25)  # the mean colour is a whole grey level
    last = torch.where(torch.arange(8)[:, None, None, None] >= 5, x, base)
    assert got.details["curve"].score[3] == pytest.approx(
        float(net(last[None]).softmax(1)[0, TARGET].detach()), abs=1e-5
    )


def test_blocks_and_frames_and_supervoxels():
    clip = noise(7, (3, 112, 112))
    blocks = unit_labels(clip, "block")
    assert np.array_equal(np.bincount(blocks.ravel()), np.full(3 * 256, 49))
    assert len(np.unique(blocks[1, 7:14, 21:28])) == 1
    assert np.array_equal(np.unique(unit_labels(clip, "frame")[2]), [2])
    odd = unit_labels(noise(8, (2, 32, 45)), "block")  # 2 pixels: 16×23 blocks, the last column of 1 pixel
    assert odd.max() + 1 == 2 * 16 * 23
    assert (odd[0, :2, 44] == 22).all()
    smooth = noise(9, (4, 16, 16))
    units = unit_labels(smooth, "supervoxel")
    assert [len(np.unique(np.nonzero(units == u)[0])) for u in range(units.max() + 1)] == [1] * (units.max() + 1)
    assert len(np.unique(units)) == units.max() + 1 > 8


def test_sum_favours_large_units_and_mean_does_not():
    labels = np.array([[[0, 0, 0, 1]]], np.int32)
    values = np.array([[[1.0, 1.0, 1.0, 2.0]]])
    assert unit_values(values, labels, "sum").tolist() == [3, 2]
    assert unit_values(values, labels, "mean").tolist() == [1, 2]


def test_area_over_steps_counts_every_step_alike():
    found = Curve(np.array([0, 0.5, 0.6, 1.0]), np.array([0.0, 1.0, 2.0, 3.0]))
    assert found.auc_over_steps == pytest.approx((1 + 2 + 1.5) / 3)
    assert found.auc == pytest.approx(0.5 * 0.5 + 0.1 * 1.5 + 0.4 * 2.5)


def test_only_the_top_keeps_its_order():
    model, clip = linear_model(), noise(10)
    values = given(contributions(model, clip))
    whole, half, none = (
        Insertion(objective="logit", steps=256, ordered=share)(model, clip, values).details["curve"].score
        for share in (1.0, 0.5, 0.0)
    )
    assert np.array_equal(whole[:129], half[:129])
    assert not np.allclose(whole[129:-1], half[129:-1])
    assert np.mean(none) < np.mean(half)


def test_smoothing_joins_what_is_near():
    model, clip = linear_model(), noise(11)
    values = np.zeros((4, 8, 8))
    values[1, 2, 2], values[3, 6, 6] = 1.0, 0.9
    sharp = Insertion(steps=256)(model, clip, given(values)).details["curve"].score
    soft = Insertion(steps=256, smooth=0.1)(model, clip, given(values)).details["curve"].score
    assert sharp[1] == soft[1]
    assert sharp[3] != soft[3]  # ties were broken at random; now the neighbours of the peaks come


def test_step_maps():
    values = np.array([3.0, 1.0, 2.0, 1.0, 0.0])
    assert unit_steps(ranks(values), 5).tolist() == [1, 3, 2, 4, 5]
    assert unit_steps(ranks(values), 2).tolist() == [1, 1, 1, 2, 2]
    assert mirrored(np.array([1, 2, 5, 0]), 2).tolist() == [2, 1, 5, 0]
    values = np.random.default_rng(0).integers(0, 3, 1000).astype(float)
    assert np.argsort(ranks(values)).tolist() == sorted(range(1000), key=lambda i: (-values[i], i))
    tied = {tuple(ranks(np.array([1.0, 1.0, 0.0]), np.random.default_rng(s))) for s in range(20)}
    assert tied == {(0, 1, 2), (1, 0, 2)}
    got = curve(np.array([[[1, 2, 0, 9]]]), 2, lambda masks: np.array([m.sum() for m in masks]))
    assert (got.fraction.tolist(), got.score.tolist()) == ([0, 0.25, 0.5], [0, 1, 2])
    with pytest.raises(DataError, match="from 1 to 3 steps"):
        unit_steps(np.arange(3), 4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"order": "up"}, "morf or lerf"),
        ({"area": "x"}, "voxels or steps"),
        ({"steps": 0}, "steps of 1"),
        ({"unit": "cell"}, "voxel, block"),
        ({"importance": "max"}, "mean or sum"),
        ({"ordered": 2}, "from 0 to 1"),
        ({"smooth": -1}, "sigma"),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(DataError, match=text):
        Insertion(**options)(linear_model(), noise(), given(np.zeros((4, 8, 8))))


def test_a_map_of_another_grid_is_refused():
    with pytest.raises(DataError, match=r"over the clip's \(4, 8, 8\)"):
        Deletion()(linear_model(), noise(), given(np.zeros((4, 8, 9))))
