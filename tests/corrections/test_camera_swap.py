"""Camera swap against known motions, and with a network that takes motion for a class."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxplain.corrections import CORRECTIONS, CameraSwap, Examples
from voxplain.corrections.camera_swap import steady_motion, with_motion
from voxplain.errors import DataError
from voxplain.model import VideoModel
from voxplain.nets import weights_digest
from voxplain.train.recipe import Recipe

T, SIDE = 6, 24
SHORT = Recipe(epochs=8, batch=8, lr=0.01, lr_step=40, flip=0.0)


def texture(rng, height=SIDE, width=SIDE):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=(height, width)), 1.5, mode="wrap")
    return (127 + 60 * noise / np.abs(noise).max()).astype(np.uint8)


def panned(rng, down, right):
    """A texture that moves by whole pixels a frame, uint8 [T,H,W,3]."""
    still = texture(rng)
    frames = np.stack([np.roll(still, (down * t, right * t), (0, 1)) for t in range(T)])
    return np.repeat(frames[..., None], 3, -1)


@pytest.mark.parametrize("motion", [(0, 0), (0, 2), (-1, 0), (2, -3)])
def test_the_steady_motion_is_that_of_the_picture(motion):
    found = steady_motion(panned(np.random.default_rng(0), *motion))
    np.testing.assert_allclose(found, motion, atol=0.15)


def test_added_motion_is_found_again_and_the_middle_stays():
    rng = np.random.default_rng(1)
    wide = texture(rng, 24, 24)
    still = np.repeat(np.repeat(wide[None], T + 1, 0)[..., None], 3, -1)
    moved = with_motion(still, np.array([0.0, 1.5]))
    np.testing.assert_allclose(steady_motion(moved), (0, 1.5), atol=0.3)
    np.testing.assert_array_equal(moved[T // 2], still[T // 2])
    np.testing.assert_array_equal(with_motion(still, np.zeros(2)), still)
    assert steady_motion(still[:1]).tolist() == [0, 0]


class MotionNet(nn.Module):
    """Change from frame to frame, and the mean of red − blue, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-8.0, -1.0], [8.0, 1.0]]))
            self.head.bias.copy_(torch.tensor([0.4, -0.4]))

    def forward(self, x: Tensor) -> Tensor:
        change = x.diff(dim=2).abs().mean((1, 2, 3, 4)) * 10
        colour = (x[:, 0] - x[:, 2]).mean((1, 2, 3))
        return self.head(torch.stack([change, colour], 1))


def clips(n, rate, seed):
    """n clips a class; class 1 is reddish, and moves in ``rate`` of its clips, class 0 in 1 − rate."""
    rng, frames, labels = np.random.default_rng(seed), [], np.repeat([0, 1], n)
    for i, label in enumerate(labels):
        moves = (i % n < round(rate * n)) == bool(label)
        clip = panned(rng, 0, 3 if moves else 0).astype(int)
        clip[..., 0] += 20 if label else -20
        frames.append(clip.clip(0, 255).astype(np.uint8))
    return Examples(np.stack(frames), labels, np.zeros((2 * n, T, SIDE, SIDE), bool), target=1)


def cheating():
    return VideoModel(
        MotionNet().eval(), layer="head", grid=(T, SIDE, SIDE), classes=("a", "b"), mean=(0.0,) * 3, std=(1.0,) * 3
    )


def reliance(model):
    still = clips(4, 0.0, 3).frames[4:]  # class 1 without motion
    z = [
        model.logits(f).double().numpy() for f in (still, np.stack([with_motion(f, np.array([0.0, 3])) for f in still]))
    ]
    return float(np.abs((z[1] - z[0]) @ [-1, 1]).mean())


def test_the_correction_takes_the_motion_out():
    model, train = cheating(), clips(16, 0.9, 0)
    before, digest = reliance(model), weights_digest(model.net)
    corrected = CameraSwap(consistency=1.0, recipe=SHORT)(model, train)
    further = CameraSwap(recipe=SHORT).uncorrected(model, train)
    assert reliance(corrected) < 0.5 * reliance(further)
    assert reliance(corrected) < 0.5 * before
    assert weights_digest(model.net) == digest
    again = CameraSwap(consistency=1.0, recipe=SHORT)(model, train)
    assert weights_digest(again.net) == weights_digest(corrected.net)
    assert CORRECTIONS["camera_swap"] == CameraSwap()


def test_what_cannot_be_done_is_refused():
    with pytest.raises(DataError, match="consistency"):
        CameraSwap(consistency=-1)
    train = clips(4, 0.5, 0)
    with pytest.raises(DataError, match="several classes"):
        CameraSwap(recipe=SHORT)(cheating(), replace(train, labels=np.ones(8, np.int64)))
