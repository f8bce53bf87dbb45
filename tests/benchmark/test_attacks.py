"""Attacked maps keep what they say they keep."""

import numpy as np
from known_maps_of_study import planted_clip

from voxplain.benchmark.attacks import ATTACKS, REGIONS, MaskMap, blurred, permuted
from voxplain.model import VideoModel
from voxplain.nets.study import STUDY_NETS
from voxplain.segment import SLIC


def test_permuted_keeps_the_values_of_each_supervoxel() -> None:
    clip, mask = planted_clip()
    values = np.random.default_rng(0).normal(size=mask.shape).astype(np.float32)
    found = permuted(values, clip)
    labels = SLIC(segments=(REGIONS,))(clip).labels[0]
    assert (found != values).mean() > 0.5
    for region in np.unique(labels):
        np.testing.assert_array_equal(np.sort(found[labels == region]), np.sort(values[labels == region]))
    np.testing.assert_array_equal(found, permuted(values, clip))


def test_blurred_spills_over_the_edge_and_keeps_the_mean_of_each_frame() -> None:
    clip, mask = planted_clip()
    found = blurred(mask.astype(np.float32), clip)
    assert found[~mask].max() > 0.1
    np.testing.assert_allclose(found.mean((1, 2)), mask.mean((1, 2)), atol=0.02)
    assert set(ATTACKS) == {"blurred", "permuted"}


def test_a_mask_is_a_map() -> None:
    clip, mask = planted_clip()
    t, h, w = mask.shape
    model = VideoModel(STUDY_NETS["cnn_lstm"](3).eval(), grid=(t, h, w), layout="BCTHW")
    np.testing.assert_array_equal(MaskMap(mask)(model, clip, 1).values, mask)
