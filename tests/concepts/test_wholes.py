"""Wholes: which concepts touch, which form one thing, and what hiding it costs."""

import numpy as np
import pytest

from voxplain.concepts.effect import Effects
from voxplain.concepts.wholes import candidates, contact, measured_wholes
from voxplain.segment import Supervoxels

SIDE = 12
VOLUMES = np.array([0.02, 0.01, 0.02, 0.9])


def scene() -> tuple[Supervoxels, np.ndarray]:
    """A trunk (concept 0) with two arms (1) at its sides, a ball (2) far away, the ground (3); -1 is of no concept."""
    labels = np.zeros((4, SIDE, SIDE), int)
    labels[:, 2:10, 4:6] = 1
    labels[:, 3:5, 2:4] = 2
    labels[:, 3:5, 6:8] = 3
    labels[:, 9:11, 9:11] = 4
    labels[:, 0, 0] = 5
    return Supervoxels.from_levels([labels]), np.array([3, 0, 1, 1, 2, -1])


def test_contact_is_the_share_of_the_smaller_surface():
    own, assigned = scene()
    found = contact(assigned[own.labels[0]], 4)
    assert np.array_equal(found, found.T)
    # Each arm, 2x2x4 voxels inside the clip's end frames: four sides of 8 faces, one of them at the trunk.
    assert found[0, 1] == pytest.approx(2 * 8 / (2 * 4 * 8))
    assert found[0, 2] == found[1, 2] == 0
    assert found[2, 3] == 1


def test_parts_that_touch_and_cost_are_grouped():
    own, assigned = scene()
    found = candidates([own] * 3, [assigned] * 3, [0, 1, 2], np.array([3.0, 1.0, 2.0, 0.0]), VOLUMES)
    assert found == ((0, 1),)
    assert candidates([own], [assigned], [1, 0], np.array([1.0, 3.0, 0.0, 0.0]), VOLUMES[[1, 0, 2, 3]]) == ((1, 0),)


@pytest.mark.parametrize("drops", [(3.0, 0.7, 2.0, 0.0), (3.0, -1.0, 2.0, 0.0)])
def test_a_part_that_costs_little_is_none(drops):
    own, assigned = scene()
    assert candidates([own], [assigned], [0, 2, 1], np.array(drops), VOLUMES) == ()


def test_parts_that_touch_in_few_of_their_clips_are_not_grouped():
    own, assigned = scene()
    apart = Supervoxels.from_levels([np.where(own.labels[0] == 2, 0, np.where(own.labels[0] == 3, 0, own.labels[0]))])
    alone = np.array([3, 0, 2, -1])  # without arms
    labels = own.labels[0].copy()
    labels[:, 3:5, 2:4] = labels[:, 3:5, 6:8] = 0
    labels[:, 6:8, 0:2] = 2
    labels[:, 6:8, 10:12] = 3
    far = Supervoxels.from_levels([labels])  # arms away from the trunk
    drops = np.array([3.0, 1.0, 0.0, 0.0])
    assert candidates([own, far], [assigned, assigned], [0, 1], drops, VOLUMES) == ()
    assert candidates([own, own, far], [assigned] * 3, [0, 1], drops, VOLUMES) == ((0, 1),)
    assert candidates([own, apart, apart], [assigned, alone, alone], [0, 1], drops, VOLUMES) == ((0, 1),), (
        "clips with both count"
    )


def test_a_part_that_costs_little_for_its_volume_is_none():
    own, assigned = scene()
    drops = np.array([3.0, 1.0, 0.0, 0.0])
    assert candidates([own], [assigned], [0, 1], drops, np.array([0.02, 0.013, 0.1, 0.8])) == ((0, 1),)
    assert candidates([own], [assigned], [0, 1], drops, np.array([0.02, 0.014, 0.1, 0.8])) == ()


def effects(together: float, noise: float = 0.1) -> Effects:
    """Log-odds of two classes: 4 unmodified, 3 less without concept 0, 1 less without concept 1."""
    clips = 12
    rng = np.random.default_rng(0)
    base = np.zeros((clips, 2), np.float32)
    base[:, 0] = 4
    hidden = np.repeat(base[None, :, None], 2, axis=2)
    hidden[..., 0] -= np.array([3.0, 1.0]) + noise * rng.normal(size=(1, clips, 2))
    both = base[None, :, None].copy()
    both[0, :, 0, 0] -= together + noise * rng.normal(size=clips)
    blank = np.zeros((1, clips, 2), np.float32)
    volume = np.full((clips, 2), 0.1, np.float32)
    return Effects(
        base,
        hidden,
        np.full_like(hidden, np.nan),
        np.full_like(hidden, np.nan),
        blank,
        volume,
        ("blur",),
        variants=(("hidden", (0, 1)),),
        variant_logits=both,
    )


def test_a_whole_costs_more_than_its_first_part():
    (whole,) = measured_wholes(effects(3.8), [(0, 1)], 0)
    assert whole.parts == (0, 1)
    assert whole.value == pytest.approx(3.8, abs=0.1)
    assert whole.low < whole.value < whole.high
    assert whole.beyond == pytest.approx(0.8, abs=0.1)
    assert whole.beyond_low > 0
    assert whole.clips == 12


def test_parts_that_cost_no_more_together_are_no_whole():
    assert measured_wholes(effects(3.0), [(0, 1)], 0) == []
    assert measured_wholes(effects(3.8), [], 0) == []
