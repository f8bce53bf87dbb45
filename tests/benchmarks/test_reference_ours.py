"""What is counted of our ways, and that their settings are the reference's and the library's."""

import copy
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import voxplain as vx
from reference import planted
from reference_ours import Forwards, Task, crops_forwards, ours, peak_memory, settings_of
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.features import MaskedCrops
from voxplain.inference import Inference
from voxplain.model import VideoModel
from voxplain.progress import timed
from voxplain.runtime import cores


def test_counts_every_clip_by_the_step_that_showed_it():
    torch.manual_seed(0)
    net = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 4))
    model = VideoModel(net=net, layer="1", grid=(4, 8, 8), batch_size=2).settled()
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), np.uint8)
    count, seconds = Forwards(), {}
    show = timed(count.named, seconds)
    with count.counted(net):
        with show("one", 5) as advance:
            model.embed(frames)
            advance()
        with show("two", 3):
            model.gradient(frames[:3], 1)
        replace(model, net=copy.deepcopy(net)).logits(frames[:1])
    assert count.clips == {"one": 5, "two": 3, "": 1}
    assert count.kinds == {"float32": 9}
    assert 0 < count.seconds["one"] <= seconds["one"]
    assert not net._forward_hooks
    assert not net._forward_pre_hooks


def test_settings_of_crops_are_the_references():
    settings = settings_of(Task(Path(), levels=(4, 9), clusters=7, keep=3, sets=5, set_size=6), "crops")
    assert settings.segmenter.segments == (4, 9)
    assert (settings.clusterer.clusters, settings.keep, settings.random_sets, settings.random_size) == (7, 3, 5, 6)
    assert (settings.unrelated_examples, settings.tcav, settings.tcav_test) == ("raw", "sign_count", "paired-t")
    assert (settings.deduplicate.aligned, settings.deduplicate.min_duration) == (True, 16)
    assert settings.embedder == MaskedCrops(fill="grey", window_step=1)


def test_settings_of_context_are_the_librarys_in_the_arithmetic_asked_for():
    task = Task(Path(), levels=(4, 9), clusters=7, keep=3, precision="fp32")
    assert settings_of(task, "context") == replace(vx.ConceptSettings(), inference=Inference(precision="fp32"))
    assert settings_of(task, "crops").inference == Inference(precision="fp32")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_is_at_least_what_this_process_holds_now():
    held = np.ones(64 << 20, np.uint8)
    now = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    assert held.nbytes < now <= peak_memory() < 100 * now


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    planted(folder / "class", 6, "class", size=64, frames=16)
    planted(folder / "random", 8, "random", size=64, frames=16)
    return Task(
        folder,
        net="tiny",
        grid=(16, 64, 64),
        levels=(9, 25),
        clusters=4,
        keep=3,
        sets=3,
        set_size=2,
        unrelated_crops=5,
        least_frames=1,
    )


def test_forwards_of_crops_are_as_foretold_and_effects_are_left_out(small, tmp_path):
    found = ours("crops", small, tmp_path)
    assert sum(found["forwards"].values()) == crops_forwards(found["supervoxels"], 6, 8, 5)
    assert not any(step.startswith("direct effects") for step in found["forwards"])
    assert found["left_out_s"] == pytest.approx(
        sum(s for k, s in found["steps_s"].items() if "direct effects" in k or "other draws" in k)
    )


def test_forwards_and_seconds_of_the_default_are_those_of_all_its_steps(small, tmp_path):
    found = ours("context", small, tmp_path)
    assert found["left_out_s"] == 0
    assert found["total_s"] == pytest.approx(sum(found["steps_s"].values()), rel=0.05)
    steps = found["forwards"]
    features = sum(count for step, count in steps.items() if step.startswith("supervoxels and features"))
    # One forward a clip and those of its contributions; every thread finds the layers and the streams of its network.
    expected = 6 * (1 + ContextFeatures().steps) + 8
    assert expected <= features <= expected + 2 * cores()
    assert "direct effects: logits of unrelated videos" not in steps  # they come with the features
    hidden = sum(count for step, count in steps.items() if step.startswith("direct effects"))
    assert hidden >= 6 * (1 + found["concepts"]) + 8
