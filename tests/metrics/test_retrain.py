"""Retraining on clips without, or with only, what a map values: a planted signal, and a network that learns it."""

from functools import partial

import numpy as np
import pytest
import torch
from known_maps import given
from torch import nn

from voxplain.attribution import RandomMap
from voxplain.errors import DataError
from voxplain.metrics import METRICS, Retrain
from voxplain.metrics.retrain import MaskedFrames
from voxplain.model import VideoModel
from voxplain.train import Recipe
from voxplain.video import Clip

GRID = (2, 8, 8)
SIGNAL = np.zeros(GRID, bool)
SIGNAL[:, 2:4, 3:5] = True  # 8 of 128 voxels: 1/16
EPOCHS = 6
RECIPE = Recipe(epochs=EPOCHS, batch=8, lr=0.02, lr_step=EPOCHS, flip=0)


def planted(count: int, seed: int) -> list[Clip]:
    """Grey noise; one small square is bright in class 1 and dark in class 0."""
    rng, clips = np.random.default_rng(seed), []
    for i in range(count):
        frames = rng.integers(100, 156, (*GRID, 3)).astype(np.uint8)
        frames[SIGNAL] = 255 * (i % 2)
        clips.append(Clip.from_array(frames, label=i % 2, source=str(i)))
    return clips


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 128, 2))


def oracle(model, clip, target):
    """A method that knows where the signal is."""
    return given(SIGNAL, 0) if isinstance(clip, Clip) else [oracle(model, c, target) for c in clip]


MODEL = VideoModel(net=fresh(), layer="1", grid=GRID, classes=("dark", "bright"))
CLIPS = planted(32, 0), planted(40, 1)


def test_hiding_the_signal_costs_the_accuracy_and_keeping_it_does_not():
    settings = {"recipe": RECIPE, "fill": "mean", "ratios": (0.5, 0.0, 0.1)}
    before = {k: v.clone() for k, v in MODEL.net.state_dict().items()}
    steps = []
    roar = Retrain(**settings)
    best = roar(MODEL, fresh, *CLIPS, oracle, lambda: steps.append(1))
    assert best.ratios == (0.0, 0.1, 0.5)
    assert best.accuracy[0] == 1
    assert max(best.accuracy[1:]) < 0.75  # chance 0.5
    assert best.value == pytest.approx(np.mean(best.accuracy[1:]))
    assert best.chance == 0.5
    assert len(steps) == 3 * EPOCHS * 4
    random = roar(MODEL, fresh, *CLIPS, RandomMap())
    assert min(random.accuracy) == 1  # half of the signal's voxels are enough
    kar = partial(Retrain, keep=True, recipe=RECIPE, fill="mean", ratios=(1 / 16, 1.0))
    assert kar()(MODEL, fresh, *CLIPS, oracle).accuracy == (1, 1)
    nowhere = kar(ratios=(1 / 16,))(MODEL, fresh, *CLIPS, lambda m, c, y: [given(~SIGNAL, 0) for _ in c])
    assert nowhere.value < 0.75
    assert all(torch.equal(v, before[k]) for k, v in MODEL.net.state_dict().items())
    assert (METRICS["roar"]().higher_is_better, METRICS["kar"]().higher_is_better) == (False, True)


@pytest.mark.parametrize("unit", ["voxel", "block", "frame"])
def test_masks_hold_the_exact_share_at_every_ratio(unit):
    ratios = (0.0, 0.1, 0.25, 0.5, 1.0)
    clips = (Clip.from_array(np.full((8, 16, 16, 3), 200, np.uint8), label=0),)
    values = np.random.default_rng(0).normal(size=(8, 16, 16))
    model = VideoModel(net=fresh(), layer="1", grid=(8, 16, 16))
    metric = Retrain(unit=unit, ratios=ratios)
    first = metric.first_ratios(model, clips, lambda m, c, y: [given(values)])
    for i, r in enumerate(ratios):
        for keep in (False, True):
            hidden = (MaskedFrames(clips, first, i, keep, "black", model.mean_colour)[0] == 0).all(-1)
            units = {"voxel": 2048, "block": 2048, "frame": 8}[unit]  # a block is 1 pixel at a height of 16
            count = np.ceil(r * units) / units
            assert hidden.mean() == (1 - count if keep else count)
            if unit == "voxel" and 0 < count < 1:
                top = values >= np.sort(values.ravel())[-round(count * 2048)]
                assert np.array_equal(hidden, ~top if keep else top)


def test_masked_frames_are_a_sequence():
    clips = tuple(CLIPS[0][:3])
    first = tuple(np.full(GRID, i, np.uint8) for i in range(3))
    frames = MaskedFrames(clips, first, 1, False, "black", np.zeros(3, np.uint8))
    assert [f.any() for f in frames] == [False, False, True]
    assert len(frames[1:]) == 2
    assert np.array_equal(frames[1:][1], clips[2].frames)


def test_wrong_input_is_refused():
    unlabelled = [Clip.from_array(c.frames) for c in CLIPS[0]]
    with pytest.raises(DataError, match="clips with labels"):
        Retrain()(MODEL, fresh, unlabelled, CLIPS[1], oracle)
    for ratios in ((), (0.5, 1.5)):
        with pytest.raises(DataError, match="ratios from 0 to 1"):
            Retrain(ratios=ratios)(MODEL, fresh, *CLIPS, oracle)
