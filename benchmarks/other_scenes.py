"""A second generator and network with known truth, independent of the planted sets; no default is chosen on it.

Six classes: an arrow, a capsule or a Z, whatever its motion; and a Y that moves in a zigzag, spins, or surges (fast,
slow, fast). Two other things, independent of the class, are in each clip. Objects are drawn from line segments with a
striped surface, before a ground of moving gratings or of blocks. The network has convolutions of single frames, then
convolutions over time alone.

    python benchmarks/other_scenes.py WORK
"""

import colorsys
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from truth_architectures import Architecture, Stage, fit
from voxplain.model import OBJECTIVES, Objective, VideoModel
from voxplain.nets import load_weights, save_weights
from voxplain.train import TrainingVideos
from voxplain.video import Clip

__all__ = ["CLASSES", "UNRELATED", "OtherScene", "OtherThing", "draw_other", "other_clips", "other_model"]
__all__ += ["other_reliance", "paint", "scene_of"]

FRAMES, SIZE = 16, 64
# Line segments (x0, y0, x1, y1) in units of the object's radius, y downwards.
GLYPHS = {
    "arrow": ((-0.9, 0, 0.9, 0), (0.9, 0, 0.2, -0.7), (0.9, 0, 0.2, 0.7)),
    "zed": ((-0.7, -0.8, 0.7, -0.8), (0.7, -0.8, -0.7, 0.8), (-0.7, 0.8, 0.7, 0.8)),
    "capsule": ((-0.5, 0, 0.5, 0),),  # drawn with a thicker line
    "wye": ((0, 0, 0, 0.95), (0, 0, -0.75, -0.75), (0, 0, 0.75, -0.75)),
    "dash": ((-0.9, 0, 0.9, 0),),
    "box": ((-0.6, -0.6, 0.6, -0.6), (0.6, -0.6, 0.6, 0.6), (0.6, 0.6, -0.6, 0.6), (-0.6, 0.6, -0.6, -0.6)),
    "vee": ((-0.8, -0.7, 0, 0.7), (0, 0.7, 0.8, -0.7)),
}
# (dx, dy, turn in radians) at times t in [-1, 1].
MOTIONS = {
    "zigzag": lambda t: (t, 0.7 * (np.abs((2.5 * t + 1) % 2 - 1) * 2 - 1), 0 * t),
    "spin": lambda t: (0 * t, 0 * t, 1.5 * np.pi * t),
    "surge": lambda t: (0 * t, -(t**3), 0 * t),
}
SHAPED, CARRIER, DISTRACTORS = ("arrow", "capsule", "zed"), "wye", ("dash", "box")
CLASSES, UNRELATED = tuple(sorted((*SHAPED, *MOTIONS))), "unrelated"


@dataclass(frozen=True)
class OtherThing:
    """An object: glyph, motion, centre and radius and reach in pixels, heading in radians, two colours RGB 0–255."""

    name: str
    glyph: str
    motion: str
    x: float
    y: float
    radius: float
    reach: float
    heading: float
    colours: np.ndarray


@dataclass(frozen=True)
class OtherScene:
    """A clip as data; the things are painted in order."""

    label: str
    seed: int
    things: tuple[OtherThing, ...]


def draw_other(label: str, seed: int) -> OtherScene:
    """The scene of a class, or of none for the label `UNRELATED`."""
    rng = np.random.default_rng((seed, 77, (*CLASSES, UNRELATED).index(label)))
    plan = [(f"thing{i}", glyph, str(rng.choice(list(MOTIONS))), 0.75) for i, glyph in enumerate(DISTRACTORS)]
    if label == UNRELATED:
        plan += [("thing2", "vee", str(rng.choice(list(MOTIONS))), 1.0)]
    else:
        moving = label in MOTIONS
        plan += [("target", CARRIER if moving else label, label if moving else str(rng.choice(list(MOTIONS))), 1.0)]
    things = []
    for name, glyph, motion, scale in plan:
        hue, value = rng.random(), rng.choice([0.25, 1.0])
        colours = 255 * np.array([colorsys.hsv_to_rgb(hue, 0.8, value), colorsys.hsv_to_rgb(hue + 0.08, 0.6, value)])
        margin = 22 * scale
        x, y = rng.uniform(margin, SIZE - 1 - margin, 2)
        radius, reach = scale * rng.uniform(10, 13), rng.uniform(8, 11)
        things.append(OtherThing(name, glyph, motion, x, y, radius, reach, rng.uniform(-0.4, 0.4), colours))
    return OtherScene(label, seed, tuple(things))


def _ground(rng: np.random.Generator) -> np.ndarray:
    """Two moving gratings, or blocks that stay, float [T,H,W,3]."""
    colours = rng.uniform(-28, 28, (3, 3))
    if rng.random() < 0.5:
        blocks = rng.uniform(-30, 30, (SIZE // 8, SIZE // 8, 3)).repeat(8, 0).repeat(8, 1)
        return np.broadcast_to(128 + blocks, (FRAMES, SIZE, SIZE, 3))
    t, y, x = np.indices((FRAMES, SIZE, SIZE))
    angle, period, speed, phase = (rng.uniform(a, b, 2) for a, b in ((0, np.pi), (9, 20), (-0.5, 0.5), (0, 6)))
    waves = [
        np.sin(6.3 * (x * np.cos(angle[i]) + y * np.sin(angle[i])) / period[i] + speed[i] * t + phase[i])[..., None]
        for i in (0, 1)
    ]
    ground: np.ndarray = 128 + 0.5 * colours[2] + waves[0] * colours[0] + waves[1] * colours[1]
    return ground


def _cover(thing: OtherThing, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The voxels of a thing, bool [T,H,W], and their coordinate along its first axis."""
    dx, dy, turn = (v[:, None, None] for v in MOTIONS[thing.motion](t))
    x = (np.arange(SIZE)[None, None, :] - thing.x - thing.reach * dx) / thing.radius
    y = (np.arange(SIZE)[None, :, None] - thing.y - thing.reach * dy) / thing.radius
    cos, sin = np.cos(turn + thing.heading), np.sin(turn + thing.heading)
    u, v = x * cos + y * sin, y * cos - x * sin
    distance = np.full(u.shape, np.inf)
    for x0, y0, x1, y1 in GLYPHS[thing.glyph]:
        ex, ey = x1 - x0, y1 - y0
        along = np.clip(((u - x0) * ex + (v - y0) * ey) / (ex**2 + ey**2), 0, 1)
        distance = np.minimum(distance, np.hypot(u - x0 - along * ex, v - y0 - along * ey))
    return distance < (0.55 if thing.glyph == "capsule" else 0.24), u


def paint(scene: OtherScene, without: str | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Frames uint8 [T,H,W,3], without one of the things if named, and each thing's visible voxels, bool [T,H,W]."""
    rng = np.random.default_rng((scene.seed, 78, (*CLASSES, UNRELATED).index(scene.label)))
    frames, masks = _ground(rng), {}
    noise = rng.normal(0, 3, frames.shape)
    t = np.linspace(-1, 1, FRAMES)
    for thing in (o for o in scene.things if o.name != without):
        cover, along = _cover(thing, t)
        surface = np.where((np.sin(9 * along) > 0)[..., None], *thing.colours)
        frames = np.where(cover[..., None], surface, frames)
        masks = {name: seen & ~cover for name, seen in masks.items()} | {thing.name: cover}
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8), masks


def other_clips(label: str, count: int, *, seed: int = 1000) -> list[Clip]:
    """Clips of a class, or unrelated ones; seeds below 1000 are the training clips'."""
    scenes = [draw_other(label, seed + i) for i in range(count)]
    return [Clip.from_array(paint(s)[0], source=f"{s.label}/{s.seed}") for s in scenes]


def scene_of(clip: Clip) -> OtherScene:
    """The scene that a clip of `other_clips` was drawn from; `paint` gives its masks and its counterfactuals."""
    label, seed = str(clip.source).split("/")[-2:]
    return draw_other(label, int(seed))


def other_reliance(
    model: VideoModel, clips: list[Clip], target: int, *, objective: Objective = "log_odds"
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the things, and the drop of the objective in each clip when the thing is not painted, [M,O]."""
    names = tuple(o.name for o in scene_of(clips[0]).things)
    drop = np.empty((len(clips), len(names)))
    for m, clip in enumerate(clips):
        scene = scene_of(clip)
        frames = np.stack([paint(scene)[0], *(paint(scene, without=name)[0] for name in names)])
        value = OBJECTIVES[objective](model.logits(frames).double(), target).cpu().numpy()
        drop[m] = value[0] - value[1:]
    return names, drop


def _layer(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int) -> list[nn.Module]:
    padding = tuple(k // 2 for k in kernel)
    conv = nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), padding, bias=False)
    return [conv, nn.BatchNorm3d(outputs), nn.SiLU()]


class FrameNet(nn.Module):
    """Convolutions of single frames, then over time, then the mean; logits [B,classes] of clips [B,3,T,H,W]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.frames = nn.Sequential(
            *_layer(3, 32, (1, 7, 7), 4), *_layer(32, 64, (1, 3, 3), 2), *_layer(64, 96, (1, 3, 3), 1)
        )
        self.time = nn.Sequential(*_layer(96, 96, (5, 1, 1), 1), *_layer(96, 96, (5, 1, 1), 1))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.time(self.frames(clips))))
        return logits


def other_model(work: Path, *, per_class: int = 150, tell: bool = False) -> tuple[VideoModel, float]:
    """The network and its held-out accuracy; trained once and kept in WORK/other."""
    home = work / "other"
    home.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = VideoModel(
        FrameNet(len(CLASSES)), layer="pool", grid=(FRAMES, SIZE, SIZE), classes=CLASSES, batch_size=32, name="other"
    )
    model.net.eval()
    weights, figures = home / "weights.safetensors", home / "accuracy.json"
    if figures.exists():  # written last
        load_weights(model.net, weights)
        return model, float(json.loads(figures.read_text()))
    frames = [c.frames for label in CLASSES for c in other_clips(label, per_class, seed=0)]
    videos = TrainingVideos(frames, np.repeat(np.arange(len(CLASSES)), per_class))
    how = Architecture(FrameNet, "pool", (Stage(14, 5e-3),))
    fit(model, videos, how, 0, lambda text: print("other", text, flush=True) if tell else None)
    hits = [
        (model.logits(other_clips(label, 40, seed=5000)).argmax(1) == y).float().mean().item()
        for y, label in enumerate(CLASSES)
    ]
    save_weights(model.net, weights, {})
    figures.write_text(json.dumps(float(np.mean(hits))))
    return model, float(np.mean(hits))


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("other held-out accuracy", other_model(Path(sys.argv[1]), tell=True)[1], flush=True)
