"""The layer of class activation maps is found once a network: the same maps, fewer passes, nothing stale or kept."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.attribution import ATTRIBUTIONS
from voxplain.attribution.call import Batch
from voxplain.attribution.cams import map_layer
from voxplain.attribution.cams.map_layer import traced
from voxplain.model import VideoModel
from voxplain.model.cost import counted
from voxplain.video import Clip

METHODS = ("grad_cam", "grad_cam_plus_plus", "eigen_cam", "linear_approximation", "excitation_backprop")
CLIPS = [
    Clip.from_array(np.random.default_rng(i).integers(0, 256, (4, 16, 16, 3), np.uint8), source=str(i))
    for i in range(2)
]


def network(channels: int = 5) -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv3d(3, channels, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2))
    return nn.Sequential(body, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(channels, 3))


def model(net: nn.Module) -> VideoModel:
    return VideoModel(net=net, layer="0", grid=(4, 16, 16))


@pytest.fixture
def passes(monkeypatch):
    """How many passes were made to find a layer."""
    made = []

    def note(batch: Batch):
        made.append(batch)
        return traced(batch)

    monkeypatch.setattr(map_layer, "traced", note)
    return made


@pytest.mark.parametrize("name", METHODS)
def test_later_maps_are_those_of_a_network_never_seen(name, passes):
    method, known = ATTRIBUTIONS[name](), model(network())
    own = [method(known, clip, 1) for clip in CLIPS]
    made = len(passes)
    again = [method(known, clip, 1) for clip in CLIPS]
    assert made == len(passes) <= 1
    for first, second, clip in zip(own, again, CLIPS, strict=True):
        new = method(model(network()), clip, 1)
        assert np.array_equal(first.values, new.values)
        assert np.array_equal(second.values, new.values)
        assert first.details == second.details == new.details


def test_the_pass_is_no_cost_of_a_map():
    known, costs, whole = model(network()).settled(), [], []
    known.net.register_forward_hook(lambda *_: whole.append(1))
    for clip in CLIPS:
        with counted(known.net) as cost:
            ATTRIBUTIONS["grad_cam"]()(known, clip, 1)
        costs.append((cost.forwards, cost.backwards))
    assert costs == [(1, 1), (1, 1)]
    assert len(whole) == 4, "two to find the layer and what it carries, and one a map"


def test_a_changed_network_or_another_question_is_looked_at_anew(passes):
    known, method = model(network()), ATTRIBUTIONS["grad_cam"]
    assert method()(known, CLIPS[0], 1).details["layer"] == "0"
    known.net[1] = nn.Sequential(nn.Conv3d(5, 5, 1), nn.AdaptiveAvgPool3d(1))
    assert method()(known, CLIPS[0], 1).details["layer"] == "1.0"
    assert len(passes) == 2
    for clip in CLIPS:
        assert method(layer="0.0")(known, clip, 1).details["layer"] == "0.0"
    assert len(passes) == 3


def test_nothing_keeps_a_network_alive():
    known = model(network())
    ATTRIBUTIONS["grad_cam"]()(known, CLIPS[0], 1)
    net = weakref.ref(known.net)
    del known
    gc.collect()
    assert net() is None
