"""The plain rendering of the reference's algorithm does what the reference does, and its clock counts once."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from reference_way import FILL, Clock, Network, Rewrite, accepted, explain, jaccard, means, segment, windows
from voxplain.concepts.cluster_filter import ClusterFilter
from voxplain.datasets.planted import PlantedDesign, draw_scene, render
from voxplain.segment import SLIC, Deduplicate
from voxplain.video.encode import write_video

EVERY = ClusterFilter(clauses=((0.0, 0.0),), min_members=1)


def clip(seed: int, frames: int = 8, size: int = 32) -> np.ndarray:
    design = PlantedDesign(size=size, frames=frames)
    return render(draw_scene(design, design.classes[seed % 6], seed), codec=False)


@pytest.fixture
def network() -> Network:
    """The mean of each colour, then a linear head."""
    torch.manual_seed(0)
    return Network(lambda x: x.mean(dim=(2, 3, 4)), nn.Linear(3, 4), (0.4, 0.5, 0.6), (0.2, 0.2, 0.2), (4, 32, 32))


def test_jaccard_cuts_the_longer_mask_around_its_middle():
    one, other = np.zeros((5, 2, 2), bool), np.zeros((3, 2, 2), bool)
    one[:, 0], other[:, :, 0] = True, True
    assert jaccard(one, other) == pytest.approx(1 / 3)
    one[0] = one[-1] = False  # the ends are cut off
    assert jaccard(one, other) == pytest.approx(1 / 3)
    assert jaccard(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)) == 0


@pytest.mark.parametrize("seed", [0, 3])
def test_keeps_the_segments_that_the_library_keeps_with_the_codes_rule(seed):
    frames, levels = clip(seed, frames=16, size=48), (4, 12, 20)
    found = accepted(frames, Rewrite(levels=levels), 8, Clock())
    parts = Deduplicate(aligned=True, min_duration=8)(SLIC(segments=levels)(frames))
    assert len(found) == parts.count > 4
    for i, (mask, start) in enumerate(found):
        whole = np.zeros(frames.shape[:3], bool)
        whole[start : start + len(mask)] = mask
        assert np.array_equal(whole, parts.mask(i))


def test_a_segment_is_filled_cut_to_its_box_and_resized():
    frames, mask = clip(1), np.zeros((4, 32, 32), bool)
    mask[:, 8:20, 4:16] = True
    mask[2, 8, 4] = False
    shown, patch = segment(frames, mask, 2, (32, 32))
    assert shown.shape == (4, 32, 32, 3)
    assert shown.dtype == patch.dtype == np.float64
    assert np.array_equal(np.rint(patch * 255).astype(np.uint8)[mask], frames[2:6][mask])
    assert (np.rint(patch * 255)[~mask] == FILL).all()
    bright = segment(np.full_like(frames, 255), mask, 2, (32, 32))[0]
    assert bright[0].min() == 1  # nothing but the box, which the mask fills
    assert bright[2].min() < 0.8  # a filled corner


def test_features_are_means_over_windows_whatever_the_batches(network):
    clips = [np.random.default_rng(i).random((n, 32, 32, 3)) for i, n in enumerate((4, 7, 5))]
    clock = Clock()
    found = means(network, iter(clips), Rewrite(batch=3), clock, "all")
    for row, own in zip(found, clips, strict=True):
        colours = [(w.mean(axis=(0, 1, 2)) - network.mean) / 0.2 for w in windows(own, 4)]
        assert np.allclose(row, np.mean(colours, axis=0), atol=1e-5)
    assert clock.forwards == {"all": 1 + 4 + 2}


def test_the_gradient_is_that_of_the_loss(network):
    feature = np.array([0.3, -0.2, 0.5], np.float32)
    weight = network.head.weight.detach().numpy().astype(float)
    p = torch.softmax(network.head(torch.from_numpy(feature)), 0).detach().numpy()
    assert np.allclose(network.gradient(feature, 2), (p - np.eye(4)[2]) @ weight, atol=1e-6)


def test_explains_a_class_and_counts_its_forwards(network, tmp_path):
    files = []
    for kind, count in (("class", 4), ("random", 6)):
        (tmp_path / kind).mkdir()
        for i in range(count):
            files.append(tmp_path / kind / f"{i}.mp4")
            write_video(files[-1], clip(i + 10 * (kind == "random"), frames=4))
    way, clock = Rewrite(levels=(4, 9), clusters=3, keep=3, sets=5, set_size=4, cluster_filter=EVERY, batch=4), Clock()
    kept = tmp_path / "kept"
    kept.mkdir()
    found = explain(network, files[:4], files[4:], 1, kept, way, clock)
    count = found["segments"]
    assert clock.forwards["segments"] == count == len(list(kept.glob("segment-*")))
    assert clock.forwards["members"] <= 3 * found["concepts"]
    assert clock.forwards["random sets"] == 5 * 4
    assert clock.forwards["class videos"] == clock.forwards["score videos"] == 4
    assert sum(f.stat().st_size for f in kept.iterdir()) == 2 * count * (4 * 32 * 32 * 3 * 8 + 128)
    assert found["score"] == sorted(found["score"], reverse=True)
    assert all(0 <= s <= 1 for s in found["score"])


def test_the_clock_counts_a_step_inside_another_once():
    clock, start = Clock(), time.perf_counter()
    with clock.step("outer"):
        time.sleep(0.02)
        with clock.step("inner"):
            time.sleep(0.05)
    total = time.perf_counter() - start
    assert clock.wall["inner"] >= 0.05
    assert sum(clock.wall.values()) <= total
    assert clock.wall["outer"] <= total - 0.05
