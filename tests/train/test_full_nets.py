"""The papers' networks at full size learn with the papers' recipe: a few steps on a tiny set."""

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.model import VideoModel
from voxplain.nets import NETS, build_net
from voxplain.train import Recipe, TrainingVideos, train
from voxplain.video import Geometry


def without_dropout(net: nn.Module) -> nn.Module:
    """So few steps tell more when no noise is added."""
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0
    return net


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "epochs", "rate"), [("c3d", 8, 0.01), ("r3d", 8, 0.01), ("i3d", 16, 0.01)])
def test_the_loss_falls(name: str, epochs: int, rate: float) -> None:
    """Four videos, dark in the left or the right half: the last losses are below the first and below chance."""
    spec, rng = NETS[name], np.random.default_rng(0)
    geometry = Geometry(spec.resize, spec.crop)
    videos = rng.integers(0, 256, (4, 18, *spec.resize, 3)).astype(np.uint8)
    videos[::2, :, :, : spec.resize[1] // 2] //= 16
    videos[1::2, :, :, spec.resize[1] // 2 :] //= 16
    torch.manual_seed(0)
    net, grid = without_dropout(build_net(name, 2)), (spec.frames, *spec.crop)
    model = VideoModel(net=net, layer=spec.feature_layer, mean=spec.mean, std=spec.std, grid=grid, channels_last=True)
    # flips would swap the classes
    recipe = Recipe(epochs=epochs, batch=4, lr=rate, micro_batch=2 if name == "c3d" else None, flip=0)
    logs = train(model, TrainingVideos(tuple(videos), np.array([0, 1, 0, 1])), geometry=geometry, recipe=recipe)
    losses = [log.loss for log in logs]
    print(losses)  # shown when the test fails
    assert losses[0] > 0.4
    assert np.mean(losses[-2:]) < 0.8 * losses[0]
    assert np.mean(losses[-2:]) < np.log(2)


def test_c3ds_dense_layers_learn_four_clips_at_the_papers_rate() -> None:
    """They broke at the first step when they started Kaiming-normal: the features of such clips are hundreds long."""
    torch.manual_seed(0)
    net = build_net("c3d", 2)
    dense = nn.Sequential(net.fc6, net.relu6, net.fc7, net.relu7, net.fc8)
    features = torch.randn(4, 8192, generator=torch.Generator().manual_seed(1)).relu()
    features *= (55_000 / features.square().sum(1, keepdim=True)).sqrt()  # as measured of clips of two halves
    truth, parameters = torch.tensor([0, 1, 0, 1]), list(dense.parameters())
    speed, losses = [torch.zeros_like(p) for p in parameters], []
    for _ in range(6):
        loss = nn.functional.cross_entropy(dense(features), truth)
        losses.append(loss.item())
        with torch.no_grad():
            for p, v, g in zip(parameters, speed, torch.autograd.grad(loss, parameters), strict=True):
                p -= 0.01 * v.mul_(0.9).add_(g)
    assert losses[0] == pytest.approx(np.log(2), abs=0.2)
    assert max(losses) < 2 * losses[0]
    assert losses[-1] < 0.5 * losses[0]
