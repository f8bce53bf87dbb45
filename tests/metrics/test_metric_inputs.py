"""Maps as plain arrays, bare networks and frames: every metric takes what users have."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_maps import TARGET, given, linear_model, noise

from small_nets import GRID
from voxplain.attribution import Gradient
from voxplain.errors import DataError, ModelError
from voxplain.metrics import METRICS

CHEAP = {"draws": 3, "steps": 4}


def metrics(needs):
    found = {}
    for name, make in METRICS.items():
        metric = make()
        if metric.needs == needs:
            found[name] = replace(metric, **{k: v for k, v in CHEAP.items() if hasattr(metric, k)})
    return found


VALUES = np.random.default_rng(0).standard_normal(GRID)
FORMS = [VALUES, VALUES.astype(np.float32), torch.from_numpy(VALUES), given(VALUES)]


def same(a, b):
    np.testing.assert_equal((a.value, a.chance), (b.value, b.chance))


@pytest.mark.parametrize("name", metrics("map"))
def test_map_metrics(name):
    metric, model, clip = metrics("map")[name], linear_model(), noise()
    want = metric(model, clip, given(VALUES))
    for form in FORMS:
        same(metric(model, clip, form, TARGET), want)
        same(metric(model, clip.frames, form, TARGET), want)
    predicted = int(model.logits(clip.frames[None]).argmax())
    same(metric(model, clip, VALUES), metric(model, clip, given(VALUES, target=predicted)))
    same(metric(model, clip, given(VALUES, target=0), 1), metric(model, clip, given(VALUES, target=1)))


@pytest.mark.parametrize("name", metrics("mask"))
def test_mask_metrics(name):
    mask = np.zeros(GRID, bool)
    mask[:, 2:5, 3:6] = True
    metric = metrics("mask")[name]
    for form in FORMS:
        same(metric(form, mask), metric(given(VALUES), mask))


@pytest.mark.parametrize("name", metrics("time"))
def test_time_metrics(name):
    own = np.arange(GRID[0]) < 1
    metric = metrics("time")[name]
    for form in FORMS:
        same(metric(form, own), metric(given(VALUES), own))


@pytest.mark.parametrize("name", metrics("method"))
def test_method_metrics(name):
    metric, model, clip = metrics("method")[name], linear_model(), noise()
    predicted = int(model.logits(clip.frames[None]).argmax())
    want = metric(model, clip, predicted, Gradient())
    same(metric(model, clip.frames, None, Gradient()), want)


@pytest.mark.parametrize("wrong", [VALUES[0], VALUES[None], VALUES[:2], np.full(GRID, np.nan), np.full(GRID, "a")])
def test_maps_that_cannot_be(wrong):
    with pytest.raises(DataError, match="expected"):
        METRICS["insertion"]()(linear_model(), noise(), wrong)


def test_clips_that_cannot_be():
    insertion = METRICS["insertion"]()
    with pytest.raises(DataError, match="expected one clip, got 2"):
        insertion(linear_model(), [noise(), noise(1)], VALUES)
    with pytest.raises(ModelError, match="normalises frames itself"):
        insertion(linear_model(), torch.zeros(3, *GRID), VALUES)


def test_a_bare_network_is_wrapped():
    model = linear_model()
    bare = METRICS["average_drop"]()(model.net, noise(), VALUES, 1)
    assert 0 <= bare.value <= 1
