"""Localisation: a perfect map gets 1, a uniform map the chance exactly, random maps the chance on average."""

import numpy as np
import pytest
from known_maps import given

from voxplain.errors import DataError
from voxplain.metrics import EnergyInside, Overlap, PointingGame, RankAccuracy

GRID = (4, 10, 16)
POINT, VOLUME = PointingGame(tolerance=0), PointingGame("volume", tolerance=0)
EVERY = [
    POINT,
    VOLUME,
    PointingGame(),
    PointingGame("volume"),
    EnergyInside(),
    EnergyInside("absolute"),
    RankAccuracy(),
    *(Overlap(over, threshold) for over in ("frames", "tube") for threshold in (None, 0.5)),
]


def box(rows: slice = slice(2, 5), columns: slice = slice(9, 15)) -> np.ndarray:
    """A box in the frames 0 to 2, which moves one pixel a frame; nothing in frame 3."""
    mask = np.zeros(GRID, bool)
    for t in range(3):
        mask[t, rows.start + t : rows.stop + t, columns] = True
    return mask


@pytest.mark.parametrize("metric", EVERY, ids=repr)
def test_a_perfect_map_gets_1(metric):
    mask = box()
    got = metric(given(mask), mask)
    assert got.value == 1
    assert 0 < got.chance < 1
    assert metric.higher_is_better
    assert metric.needs == "mask"


@pytest.mark.parametrize("metric", EVERY, ids=repr)
def test_a_uniform_map_gets_the_chance(metric):
    mask = box()
    got = metric(given(np.full(GRID, 0.3)), mask)
    assert got.value == pytest.approx(got.chance, abs=1e-9)


@pytest.mark.parametrize("metric", EVERY, ids=repr)
def test_random_maps_get_the_chance_on_average(metric):
    mask, rng = box(), np.random.default_rng(0)
    draws = 3000 if isinstance(metric, PointingGame) else 200
    found = [metric(given(rng.uniform(size=GRID)), mask) for _ in range(draws)]
    values, chance = np.array([m.value for m in found]), np.array([m.chance for m in found])
    if isinstance(metric, Overlap) and metric.threshold is None:
        assert (values >= chance - 1e-9).all()  # it knows the truth: never worse than everything
        assert values.mean() < chance.mean() + 0.05
    else:
        # An overlap is a ratio of two counts: its mean is near the ratio of their means, not equal to it.
        bias = 0.004 if isinstance(metric, Overlap) else 0
        assert values.mean() == pytest.approx(chance.mean(), abs=bias + 5 * values.std() / np.sqrt(draws))


@pytest.mark.parametrize("metric", EVERY, ids=repr)
def test_frames_without_ground_truth_do_not_count(metric):
    mask, rng = box(), np.random.default_rng(1)
    values = rng.uniform(size=GRID)
    loud = values.copy()
    loud[3] += 100
    assert metric(given(loud), mask).value == metric(given(values), mask).value
    known = np.array([True, False, True, True])
    quiet = values.copy()
    quiet[1] = 50
    assert metric(given(quiet), mask, known).value == metric(given(values), mask, known).value
    assert metric(given(loud), mask, known).details["frames"] in (1, 3)  # frame 3 is known: the object is not there
    none = metric(given(values), np.zeros(GRID, bool))
    assert np.isnan(none.value)
    assert none.details["frames"] == 0


def test_rows_are_rows_and_columns_are_columns():
    mask = np.zeros(GRID, bool)
    mask[:, 3, 12] = True
    values = np.zeros(GRID)
    values[:, 3, 12] = 1
    assert POINT(given(values), mask).value == 1
    assert POINT(given(values), mask).chance == pytest.approx(1 / 160)


def test_tolerance_enlarges_the_mask_on_all_sides_by_its_share_of_the_height():
    mask = np.zeros((1, 112, 130), bool)
    mask[0, 40:50, 60:80] = True
    for row, column, hit in [(33, 60, 1), (32, 60, 0), (56, 86, 1), (57, 60, 0), (40, 53, 1), (40, 52, 0), (40, 87, 0)]:
        values = np.zeros(mask.shape)
        values[0, row, column] = 1
        assert PointingGame()(given(values), mask).value == hit
    assert PointingGame()(given(values), mask).chance == pytest.approx(24 * 34 / (112 * 130))
    corner = np.zeros((1, 112, 112), bool)
    corner[0, 0, 0] = True  # the edge of the frame cuts the enlarged mask
    assert PointingGame()(given(corner), corner).chance == pytest.approx(64 / 112**2)


def test_the_volume_has_one_highest_voxel_and_frames_have_one_each():
    mask, values = box(), np.zeros(GRID)
    values[0, 2, 9], values[1, 0, 0], values[2, 0, 0] = 3, 2, 1
    assert VOLUME(given(values), mask).value == 1
    got = POINT(given(values), mask)
    assert got.value == pytest.approx(1 / 3)
    assert (got.details["hits"], got.details["frames"]) == (1, 3)


def test_smoothing_prefers_a_patch_to_a_single_voxel():
    values, mask = np.zeros((1, 32, 32)), np.zeros((1, 32, 32), bool)
    values[0, 2, 2], values[0, 20:26, 20:26] = 2, 1
    mask[0, 20:26, 20:26] = True
    sharp, soft = PointingGame(tolerance=0), PointingGame(tolerance=0, smooth=2 / 32)
    assert (sharp(given(values), mask).value, soft(given(values), mask).value) == (0, 1)


def test_energy_of_signed_maps():
    values, mask = np.zeros((1, 4, 4)), np.zeros((1, 4, 4), bool)
    mask[0, 0, :2] = True
    values[0, 0, 0], values[0, 3, 3], values[0, 0, 1] = 3, 1, -4
    assert EnergyInside()(given(values), mask).value == 3 / 4
    assert EnergyInside("absolute")(given(values), mask).value == 7 / 8
    assert np.isnan(EnergyInside()(given(-np.abs(values)), mask).value)


def test_rank_accuracy_counts_ties_by_their_share():
    mask = np.zeros((1, 1, 8), bool)
    mask[0, 0, :4] = True
    values = np.array([[[9, 8, 1, 1, 7, 1, 1, 0]]])
    assert RankAccuracy()(given(values), mask).value == pytest.approx((2 + 0.5 * 1) / 4)


@pytest.mark.parametrize("over", ["frames", "tube"])
def test_the_best_threshold_is_the_best_of_all(over):
    rng = np.random.default_rng(2)
    mask = box()
    values = np.round(rng.uniform(size=GRID) + 0.3 * mask, 1 if over == "tube" else 2)
    v, m = given(values).values[:3], mask[:3]

    def iou(at: float) -> float:
        chosen = v >= at
        axis = (1, 2) if over == "frames" else None
        return float(np.mean((chosen & m).sum(axis) / (chosen | m).sum(axis)))

    got = Overlap(over)(given(values), mask)
    assert got.value == pytest.approx(max(iou(a) for a in np.unique(v)))
    assert got.value == pytest.approx(iou(got.details["threshold"]))
    fixed = Overlap(over, 0.6)(given(values), mask)
    assert fixed.value == pytest.approx(iou(v.min() + 0.6 * float(np.ptp(v))))
    assert Overlap(over, 1.0)(given(values), mask).value == pytest.approx(iou(v.max()))
    assert fixed.details["selected"] < Overlap(over, 0.2)(given(values), mask).details["selected"]


def test_wrong_input_is_refused():
    values = given(np.zeros(GRID))
    for mask in (np.zeros(GRID), np.zeros((4, 10, 10), bool), [[True]]):
        with pytest.raises(DataError, match="mask bool"):
            EnergyInside()(values, mask)
    with pytest.raises(DataError, match="known as bool"):
        EnergyInside()(values, np.zeros(GRID, bool), np.ones(3, bool))
    for metric in (
        PointingGame("clip"),
        PointingGame(tolerance=-1),
        Overlap("x"),
        Overlap(threshold=2),
        EnergyInside("n"),
    ):
        with pytest.raises(DataError, match="expected"):
            metric(values, np.zeros(GRID, bool))
