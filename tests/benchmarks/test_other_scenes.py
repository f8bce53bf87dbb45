"""The second generator: masks and counterfactuals against each other, classes, and reliance of a known network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import other_scenes
import truth_architectures
from other_scenes import (
    CLASSES,
    MOTIONS,
    SHAPED,
    UNRELATED,
    FrameNet,
    draw_other,
    other_clips,
    other_reliance,
    paint,
    scene_of,
)
from voxplain.model import VideoModel


@pytest.mark.parametrize("label", [*CLASSES, UNRELATED])
def test_a_counterfactual_differs_where_the_thing_is(label):
    scene = draw_other(label, 3)
    frames, masks = paint(scene)
    assert frames.shape == (16, 64, 64, 3)
    assert sum(m.astype(int) for m in masks.values()).max() == 1
    for thing in scene.things:
        bare, others = paint(scene, without=thing.name)
        changed = (bare != frames).any(-1)
        full = paint(replace(scene, things=(thing,)))[1][thing.name]
        assert not changed[~full].any()
        assert changed[masks[thing.name]].mean() > 0.95
        assert not changed[full & ~masks[thing.name]].any()  # another thing is in front of it
        assert set(others) == set(masks) - {thing.name}
        assert 60 < full.sum((1, 2)).mean() < 700


def test_classes_are_three_shapes_and_three_motions_of_a_fourth():
    assert len(CLASSES) == 6
    for label in CLASSES:
        targets = [draw_other(label, seed).things[-1] for seed in range(30)]
        if label in SHAPED:
            assert {t.glyph for t in targets} == {label}
            assert {t.motion for t in targets} == set(MOTIONS)
        else:
            assert {(t.glyph, t.motion) for t in targets} == {("wye", label)}
    shapes = {t.glyph for seed in range(20) for t in draw_other(UNRELATED, seed).things}
    assert not shapes & {*SHAPED, "wye"}


def test_a_spinning_thing_turns_about_its_centre():
    thing = replace(draw_other("spin", 0).things[-1], x=32.0, y=32.0, heading=0.0)
    mask = paint(replace(draw_other("spin", 0), things=(thing,)))[1]["target"]
    assert len({m.tobytes() for m in mask}) == 10  # 36 degrees a frame
    assert np.array_equal(mask[0], mask[10])
    assert mask[:, 32, 32].all()


def test_the_scene_of_a_clip_is_found_by_its_source():
    clip = other_clips("zed", 2)[1]
    assert np.array_equal(paint(scene_of(clip))[0], clip.frames)
    assert not np.array_equal(other_clips("zed", 1, seed=0)[0].frames, other_clips("zed", 1)[0].frames)


def test_reliance_of_a_network_that_sees_brightness():
    net = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
    model = VideoModel(net, layer="1", grid=(16, 64, 64))
    clips = other_clips("arrow", 2)
    names, drop = other_reliance(model, clips, 1, objective="logit")
    for m, clip in enumerate(clips):
        for o, name in enumerate(names):
            bare = paint(scene_of(clip), without=name)[0]
            expected = (clip.frames.astype(float) - bare).mean((0, 1, 2)).sum() / 255 / 0.25
            assert drop[m, o] == pytest.approx(expected, abs=1e-4)


def test_the_network_gives_logits_and_sees_time():
    torch.manual_seed(0)
    net = FrameNet(6).eval()
    x = torch.randn(2, 3, 16, 64, 64)
    assert net(x).shape == (2, 6)
    assert not torch.allclose(net(x), net(x[:, :, torch.randperm(16)]), atol=1e-6)


def test_nothing_comes_from_the_planted_sets():
    for module in (other_scenes, truth_architectures):
        assert "voxplain.datasets" not in Path(module.__file__).read_text()
