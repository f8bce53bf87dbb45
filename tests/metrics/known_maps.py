"""A linear network whose every metric can be worked out by hand, clips for it, and maps made by hand."""

from typing import Any

import numpy as np
import torch

from small_nets import GRID, LinearNet
from voxplain.attribution import Attribution
from voxplain.attribution.passes import to_input
from voxplain.model import VideoModel
from voxplain.video import Clip

MEAN, STD = (0.2, 0.4, 0.6), (0.25, 0.5, 0.125)  # the means are whole grey levels, so that the mean colour is exactly 0
TARGET = 2


def linear_model(**options: Any) -> VideoModel:
    """`LinearNet` of five classes on 4×8×8."""
    torch.manual_seed(0)
    net = LinearNet(scale=3.0).eval()
    return VideoModel(**{"net": net, "layer": "feature", "mean": MEAN, "std": STD, "grid": GRID, **options})


def noise(seed: int = 0, grid: tuple[int, int, int] = GRID, label: int | None = None) -> Clip:
    """Coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*grid, 3), dtype=np.uint8)
    return Clip.from_array(pixels, source=f"noise{seed}", label=label)


def weights(model: VideoModel) -> np.ndarray:
    """The linear network's weights of the target, float64 [3,T,H,W], and nothing of its bias."""
    net: Any = model.net
    w = net.head.weight.double() @ net.feature.weight.double()
    return w[TARGET].detach().numpy().reshape(3, *model.grid)


def contributions(model: VideoModel, clip: Clip) -> np.ndarray:
    """What each voxel adds to the target's logit over a clip of the mean colour, float64 [T,H,W]."""
    return (weights(model) * to_input(model, clip.frames[None])[0].double().numpy()).sum(0)


def base_score(model: VideoModel) -> float:
    """The target's logit of a clip of the mean colour."""
    return float(model.net(torch.zeros(1, 3, *model.grid))[0, TARGET].detach())


def given(values: np.ndarray, target: int = TARGET) -> Attribution:
    """A map made by hand."""
    return Attribution(np.asarray(values, np.float32), target, "given")
