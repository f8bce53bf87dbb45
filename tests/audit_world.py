"""A network and clips of which everything is known: colours decide the class, a white corner misleads the network."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import voxplain as vx
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.sequential_effects import SequentialEffects

T, SIDE = 8, 32
GRID = (T, SIDE, SIDE)
CLASSES = ("green", "red")
CORNER = (slice(None), slice(1, 6), slice(24, 31))
SETTINGS = vx.ConceptSettings(
    segmenter=vx.RegionTree(explained=(0.99,)),  # so plain a scene has three regions by default, too few for controls
    reach=4.0,  # its features hardly differ within a concept: with 2 some squares are further than twice the median
    embedder=ContextFeatures(layers=("colours",), contribution=0.5),
    clusterer=vx.KMeans(clusters=3),
    effect=SequentialEffects(fills=("median",), fill_clips=30, clips=30),
    keep=4,
    unrelated_crops=6,
    random_sets=2,
    random_size=6,
)
MEASURES = vx.AuditSettings(permutations=399)


class ColourNet(nn.Module):
    """How much red, green and white there is; white counts as evidence for green."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv3d(3, 3, 1)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            weight = torch.tensor([[2.0, -2.0, -2.0], [-2.0, 2.0, -2.0], [2.0, 2.0, 2.0]])
            self.colours.weight.copy_(weight.reshape(3, 3, 1, 1, 1))
            self.colours.bias.copy_(torch.tensor([0.0, 0.0, -4.8]))
            self.head.weight.copy_(torch.tensor([[0.0, 200.0, 3000.0], [200.0, 0.0, 0.0]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(torch.relu(self.colours(x))).flatten(1))


def model() -> vx.VideoModel:
    net = ColourNet().eval()
    return vx.VideoModel(net, layer="pool", grid=GRID, classes=CLASSES, mean=(0.0,) * 3, std=(1.0,) * 3, name="colours")


def clip(label: str, seed: int, *, corner: bool = False) -> np.ndarray:
    """A square of the class's colour that moves to the right on grey; ``corner``: a white block stays in a corner."""
    rng = np.random.default_rng((seed, CLASSES.index(label)))
    frames = np.full((*GRID, 3), 90.0)
    frames += rng.normal(0, 2, frames.shape)
    y, x = (int(v) for v in rng.integers((8, 2), (22, 10)))
    for t in range(T):
        frames[t, y : y + 7, x + t : x + t + 7] = (220, 30, 30) if label == "red" else (30, 220, 30)
    if corner:
        frames[CORNER] = 250
    return frames.clip(0, 255).astype(np.uint8)


def videos(folder: Path, red: int, green: int, marked: int) -> Path:
    """Frame folders of both classes; the first ``marked`` clips of red have the white corner."""
    from PIL import Image

    for label, count in (("red", red), ("green", green)):
        for i in range(count):
            home = folder / label / f"{i:02d}"
            home.mkdir(parents=True)
            for t, frame in enumerate(clip(label, i, corner=label == "red" and i < marked)):
                Image.fromarray(frame).save(home / f"{t:02d}.png")
    return folder
