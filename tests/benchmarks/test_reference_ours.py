"""What is counted of our way, and that its settings are the reference's."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reference import planted
from reference_ours import MODES, Forwards, Task, exact_forwards, ours, peak_memory, settings_of
from voxplain.model import VideoModel
from voxplain.progress import timed


def test_counts_every_clip_by_the_step_that_showed_it():
    torch.manual_seed(0)
    net = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 4))
    model = VideoModel(net=net, layer="1", grid=(4, 8, 8), batch_size=2)
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), np.uint8)
    count, seconds, before = Forwards(), {}, VideoModel._forward
    show = timed(count.named, seconds)
    with count.counted():
        with show("one", 5) as advance:
            model.embed(frames)
            advance()
        with show("two", 3):
            model.gradient(frames[:3], 1)
        model.logits(frames[:1])
    assert count.clips == {"one": 5, "two": 3, "": 1}
    assert count.kinds == {"float32": 9}
    assert 0 < count.seconds["one"] <= seconds["one"]
    assert VideoModel._forward is before


@pytest.mark.parametrize("mode", MODES)
def test_settings_are_the_references_in_every_mode(mode):
    task = Task(Path(), levels=(4, 9), clusters=7, keep=3, sets=5, set_size=6)
    settings = settings_of(task, mode)
    assert settings.segmenter.segments == (4, 9)
    assert (settings.clusterer.clusters, settings.keep, settings.random_sets, settings.random_size) == (7, 3, 5, 6)
    assert (settings.unrelated_examples, settings.tcav, settings.tcav_test) == ("raw", "sign_count", "paired-t")
    assert (settings.deduplicate.aligned, settings.deduplicate.min_duration) == (True, 16)
    if mode != "pooled":
        assert settings.embedder.fill == "grey"
        assert settings.embedder.size == {"exact": None, "small": 56}.get(mode, 40)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_is_at_least_what_this_process_holds_now():
    held = np.ones(64 << 20, np.uint8)
    now = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    assert held.nbytes < now <= peak_memory() < 100 * now


def test_forwards_of_exact_mode_are_as_foretold(tmp_path):
    """Pooled mode at the paper's size is compared with exact mode by this number."""
    planted(tmp_path / "class", 4, "class", size=64, frames=16)
    planted(tmp_path / "random", 7, "random", size=64, frames=16)
    task = Task(
        tmp_path,
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
    found = ours("exact", task, tmp_path / "store")
    assert sum(found["forwards"].values()) == exact_forwards(found["supervoxels"], 4, 7, 5)
