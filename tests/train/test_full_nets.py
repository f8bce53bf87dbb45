"""The papers' networks at full size learn with the papers' recipe: a few steps on a tiny set."""

import numpy as np
import pytest
import torch

from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.train import Recipe, TrainingVideos, train
from voxplain.video import Geometry


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["c3d", "r3d", "i3d"])
def test_the_loss_falls(name: str) -> None:
    """Four videos, dark in the left or the right half: the last losses are below the first and below chance."""
    spec, rng = NETS[name], np.random.default_rng(0)
    geometry = Geometry(spec.resize, spec.crop)
    videos = rng.integers(0, 256, (4, 18, *spec.resize, 3)).astype(np.uint8)
    videos[::2, :, :, : spec.resize[1] // 2] //= 4
    videos[1::2, :, :, spec.resize[1] // 2 :] //= 4
    torch.manual_seed(0)
    model = VideoModel(
        net=build_net(name, 2), layer=spec.feature_layer, mean=spec.mean, std=spec.std, grid=(spec.frames, *spec.crop),
        geometry=geometry, batch_size=4, channels_last=True, name=name,
    )  # fmt: skip
    # flips would swap the classes
    recipe = Recipe(epochs=6, batch=4, micro_batch=2 if name == "c3d" else None, flip=0)
    logs = train(model, TrainingVideos(tuple(videos), np.array([0, 1, 0, 1])), geometry=geometry, recipe=recipe)
    losses = [log.loss for log in logs]
    assert losses[0] > 0.5
    assert np.mean(losses[-2:]) < 0.8 * losses[0]
    assert np.mean(losses[-2:]) < np.log(2)
