"""Planted truth: what a network that sees only colours relies on, and coverage counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from known_nets import WEIGHTS, colour_model, feature
from voxplain.datasets.planted import DESIGNS, Occluder, PlantedDesign, PlantedSet, draw_scene, render, without
from voxplain.datasets.planted.reliance import Reliance, concept_coverage, reliance, spearman, true_scores
from voxplain.errors import DataError
from voxplain.segment import Supervoxels
from voxplain.video import Clip

DESIGN = PlantedDesign(frames=4, size=32, noise=0.0, shake=0.0)
GRID = (4, 32, 32)
CROSS, NOTHING = "train/cross/0000.mp4", "train/nothing/0000.mp4"


@pytest.fixture
def planted(tmp_path):
    """A white target on a dark ground, and a scene without it; nothing touches anything else."""
    scene = draw_scene(DESIGN, "cross", 3)
    objects = tuple(
        replace(
            o,
            colour=(255.0,) * 3 if o.role == "target" else (90.0,) * 3,
            x=8.0 + 8 * i,
            y=8.0 + 8 * i,
            radius=4.0,
            reach=2.0,
        )
        for i, o in enumerate(scene.objects)
    )
    scene = replace(scene, objects=objects, drift=(0.0, 0.0))
    bare = replace(scene, label="nothing", objects=tuple(o for o in objects if o.role == "distractor"))
    return PlantedSet(tmp_path, DESIGN, 0, {CROSS: scene, NOTHING: bare})


def clip_of(planted: PlantedSet, name: str) -> Clip:
    return Clip.from_array(render(planted.scenes[name]), source=str(planted.root / name))


@pytest.fixture
def clips(planted):
    return [clip_of(planted, name) for name in (CROSS, NOTHING)]


def test_reliance_is_the_drop_when_an_object_is_not_drawn(planted, clips):
    got = reliance(colour_model(grid=GRID), planted, clips, 1, objective="logit")
    assert got.names == ("distractor0", "distractor1", "target")
    for m, name in enumerate((CROSS, NOTHING)):
        scene = planted.scenes[name]
        for o, thing in enumerate(got.names):
            if thing not in [x.name for x in scene.objects]:
                assert np.isnan(got.drop[m, o])
                assert np.isnan(got.frozen[m, o])
                continue
            change = feature(render(scene)) - feature(render(without(scene, thing)))
            assert got.drop[m, o] == pytest.approx(WEIGHTS[1] @ change, abs=1e-4)
    assert np.isnan(got.drop).sum() == 1


def test_a_network_that_sees_brightness_rests_on_the_bright_object_but_not_on_its_motion(planted, clips):
    model = colour_model(np.array([[0.0, 0, 0], [2, 2, 2], [0, 0, 0]]), grid=GRID)
    got = reliance(model, planted, clips, 1)
    assert got.most == "target"
    target = got.names.index("target")
    assert got.drop[0, target] > 0.1
    assert abs(got.frozen[0, target]) < 0.05 * got.drop[0, target]
    assert got.drop[0, target] > 5 * np.abs(got.drop[0, :target]).max()


def test_a_network_that_sees_nothing_rests_on_nothing(planted, clips):
    got = reliance(colour_model(np.zeros((3, 3)), grid=GRID), planted, clips, 0)
    assert np.nanmax(np.abs(got.drop)) == np.nanmax(np.abs(got.frozen)) == 0


def test_an_absent_object_drops_nothing():
    drop = np.array([[1.0, np.nan], [1.0, 1.5], [1.0, np.nan]])
    assert Reliance(("a", "b"), drop, drop).most == "a"


def test_another_view_of_the_scene_is_refused(planted, clips):
    model = colour_model(grid=GRID)
    frames = clips[0].frames
    reliance(model, planted, [Clip.from_array(np.clip(frames, 2, 253), source=clips[0].source)], 1)  # another encoder
    for other in (frames[:, :16, :16], np.roll(frames, 8, axis=2), frames[:3]):
        with pytest.raises(DataError, match=r"whole picture of 4 frames at 32×32, got another view of .*; read them"):
            reliance(model, planted, [Clip.from_array(np.ascontiguousarray(other), source=clips[0].source)], 1)
    with pytest.raises(DataError, match="a video of the planted set"):
        reliance(model, planted, [Clip.from_array(frames, source=str(Path("elsewhere.mp4")))], 1)


def test_coverage_by_hand(planted, clips):
    """Supervoxel 0 is the target, 1 its upper half of the picture at another level, 2 the rest; 3 and 4 are halves."""
    names = ("distractor0", "distractor1", "target")
    seen = planted.masks(clips[0].source)["target"]
    rows = np.indices(GRID)[1] >= 16
    parts = Supervoxels.from_levels([np.where(seen, 0, 1), rows.astype(int)])
    assigned = np.array([2, 0, 1, -1])  # the target alone; all but the target; the upper half
    nothing = np.full(4, -1)
    recall, share = concept_coverage(planted, clips, [parts, parts], [assigned, nothing], 4, names)
    assert recall.shape == share.shape == (2, 4, 3)
    assert recall[0, 2].tolist() == [0, 0, 1]
    assert share[0, 2].tolist() == [0, 0, 1]
    assert recall[0, 0].tolist() == [1, 1, 0]
    first = planted.masks(clips[0].source)["distractor0"]
    assert share[0, 0, 0] == pytest.approx(first.sum() / (~seen).sum())
    assert recall[0, 1, 2] == pytest.approx((seen & ~rows).sum() / seen.sum())
    assert 0 <= recall[0, 1].min() < recall[0, 1].max() <= 1
    assert not recall[0, 3].any()  # no supervoxel has concept 3
    assert not recall[1].any()
    assert not share[1].any()


def test_levels_that_overlap_are_counted_once(planted, clips):
    parts = Supervoxels.from_levels([np.zeros(GRID, int), np.zeros(GRID, int)])
    recall, share = concept_coverage(
        planted, clips[:1], [parts], [np.zeros(2, int)], 1, ("target", "distractor0", "distractor1")
    )
    assert recall[0, 0].tolist() == [1, 1, 1]
    assert share[0, 0, 0] == pytest.approx(planted.masks(clips[0].source)["target"].mean())


def test_true_scores_by_hand():
    truth = Reliance(("a", "b"), np.array([[2.0, np.nan], [4.0, 1.0]]), np.zeros((2, 2)))
    recall = np.array([[[1.0, 0], [0, 0.5]], [[0.5, 0], [0, 0.5]]])  # [M,K,O]
    assert true_scores(truth, recall) == pytest.approx([3 * 0.75, 0.5 * 0.5])  # an absent object drops 0


def test_spearman_by_scipy():
    rng = np.random.default_rng(0)
    for a, b in [(rng.normal(size=9), rng.normal(size=9)), (rng.integers(0, 3, 20), rng.integers(0, 3, 20))]:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert spearman(np.arange(5), np.exp(np.arange(5))) == pytest.approx(1)
    assert spearman(np.arange(5), -np.arange(5)) == pytest.approx(-1)
    assert spearman(np.ones(5), np.arange(5)) == 0
    assert spearman(np.arange(5), np.ones(5)) == 0


@pytest.mark.parametrize("name", ["pair", "conjunction", "textured", "camera", "occluded", "growing", "same-colour"])
def test_every_object_of_a_harder_scene_has_the_drop_of_the_scene_without_it(tmp_path, name):
    design = replace(DESIGNS[name], frames=4, size=32)
    label = design.decided[1]
    planted = PlantedSet(tmp_path, design, 0, {"train/x/0.mp4": draw_scene(design, label, 3)})
    clip = clip_of(planted, "train/x/0.mp4")
    got = reliance(colour_model(grid=GRID), planted, [clip], 1, objective="logit")
    assert ("partner" in got.names) == (label in design.pair_of)
    for o, thing in enumerate(got.names):
        change = feature(clip.frames) - feature(render(without(planted.scenes["train/x/0.mp4"], thing)))
        assert got.drop[0, o] == pytest.approx(WEIGHTS[1] @ change, abs=1e-4)
        assert abs(got.drop[0, o]) > 1e-3


def test_an_object_behind_the_occluder_drops_nothing(tmp_path):
    scene = replace(draw_scene(DESIGN, "cross", 3), occluder=Occluder(0, 16.0, 16.0, 64.0))
    planted = PlantedSet(tmp_path, DESIGN, 0, {CROSS: scene})
    got = reliance(colour_model(grid=GRID), planted, [clip_of(planted, CROSS)], 1)
    assert np.abs(got.drop).max() == 0
    assert not any(seen.any() for seen in planted.masks(tmp_path / CROSS).values())
