"""Relations for `audit.py`: networks that tell which of two squares is above, of known weights and trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import voxplain as vx
from audit_planted import MEASURES, SETTINGS
from voxplain.datasets import VideoSet
from voxplain.nets import build_net, load_weights, save_weights
from voxplain.progress import progress_bar
from voxplain.video.encode import write_video

__all__ = ["known_network", "run_relation", "trained_network"]

ORDERS = ("green above", "red above")
TRAINING = 1500  # clips of each of the two for the network that is trained


class Above(nn.Module):
    """Logits of "red above green" and "green above red": the difference of the mean heights of red and of green."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.colours = nn.Conv3d(3, 2, 1, bias=True)
        self.register_buffer("height", torch.linspace(1, -1, side))
        with torch.no_grad():
            weight = torch.tensor([[4.0, -4.0, 0.0], [-4.0, 4.0, 0.0]])
            self.colours.weight.copy_(weight.reshape(2, 3, 1, 1, 1))
            self.colours.bias.fill_(-0.4)

    def forward(self, x: Tensor) -> Tensor:
        there = torch.relu(self.colours(x)).mean((2, 4))  # [B,2,H]
        at = (there * self.height).sum(2) / (there.sum(2) + 1e-3)
        higher = 6 * (at[:, 0] - at[:, 1])
        return torch.stack([-higher, higher], 1)


def relation_clip(above: str, seed: int, shape: tuple[int, int, int] = (8, 48, 48)) -> np.ndarray:
    """A red and a green square on noise, one above the other, at any places: one alone seldom tells which."""
    rng = np.random.default_rng((seed, above == "red"))
    frames = rng.normal(110, 3, (*shape, 3))
    top, low = (int(y) for y in np.sort(rng.choice(shape[1] - 8, 2, replace=False)))
    while low - top < 9:
        top, low = (int(y) for y in np.sort(rng.choice(shape[1] - 8, 2, replace=False)))
    for colour, y in ((above, top), ("green" if above == "red" else "red", low)):
        x = int(rng.integers(4, 36))
        frames[:, y : y + 8, x : x + 8] = (220, 40, 60) if colour == "red" else (40, 220, 60)
    return frames.clip(0, 255).astype(np.uint8)


def known_network() -> tuple[vx.VideoModel, vx.ConceptSettings]:
    """The network of known weights, and settings for it.

    Maps alone: a square's contribution is that of its place against the mean place, which is 0 in its middle.
    """
    whole = vx.Geometry((48, 48), (48, 48))
    options = {"grid": (8, 48, 48), "classes": ORDERS, "mean": (0.0,) * 3, "std": (1.0,) * 3, "geometry": whole}
    model = vx.VideoModel(Above(48).eval(), layer="colours", name="above", task="classification", **options)
    features = vx.ContextFeatures(layers=("colours",), contribution=0.0)
    return model, replace(SETTINGS, embedder=features, clusterer=vx.KMeans(clusters=6), keep=4)


def trained_network(work: Path) -> tuple[vx.VideoModel, float]:
    """`tiny` trained on clips of the two orders, and its accuracy on others."""
    whole = vx.Geometry((48, 48), (48, 48))
    torch.manual_seed(0)
    net = build_net("tiny", 2).eval()
    model = vx.VideoModel(
        net, layer="pool", grid=(8, 48, 48), classes=ORDERS, geometry=whole, name="above", task="classification"
    )
    clips, labels = (
        np.stack([relation_clip(label.split()[0], 10_000 + i) for label in ORDERS for i in range(TRAINING + 50)]),
        np.repeat([0, 1], TRAINING + 50),
    )
    held = np.arange(len(labels)) % (TRAINING + 50) >= TRAINING
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "weights.safetensors").exists():
        # Colours stay, for they tell the classes apart, and places, which `train_on_clips` would move at random.
        _train(model, clips[~held], labels[~held])
        save_weights(net, work / "weights.safetensors", {})
    load_weights(net, work / "weights.safetensors")
    z = np.concatenate([np.asarray(model.logits(part)) for part in np.array_split(clips[held], 10)])
    return model, float((z.argmax(1) == labels[held]).mean())


def _train(model: vx.VideoModel, clips: np.ndarray, labels: np.ndarray, epochs: int = 12) -> None:
    rng, truth = np.random.default_rng(0), torch.from_numpy(labels)
    steps = -(-len(clips) // 32)
    optimiser = torch.optim.AdamW(model.net.parameters(), lr=5e-3, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=epochs * steps)
    model.net.train()
    for epoch in range(epochs):
        right = 0
        for rows in np.array_split(rng.permutation(len(clips)), steps):
            z = model.net(model.prepare(clips[rows]))
            loss = nn.functional.cross_entropy(z, truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
            right += int((z.argmax(1) == truth[rows]).sum())
        print(f"order of squares: epoch {epoch + 1} of {epochs}: right {right / len(clips):.3f}", flush=True)
        if right > 0.998 * len(clips):
            break
    model.net.eval()


def run_relation(model: vx.VideoModel, settings: vx.ConceptSettings, work: Path) -> dict:
    """What the audit says of a class that is decided by which square is above."""
    paths = []
    for label in ORDERS:
        for i in range(10):
            path = work / "videos" / label / f"{i:02d}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, relation_clip(label.split()[0], i))
            paths.append(path)
    videos = VideoSet(ORDERS, tuple(paths), np.repeat([0, 1], 10).astype(np.int64))
    audit = vx.audit(model, videos, settings=settings, measures=MEASURES, store=work / "store", progress=progress_bar)
    found = {}
    for own in audit.classes:
        # Of several pairs the one with the least q; q-values are of all pairs and axes together.
        effects = {e.axis: e for e in sorted(own.relation_effects, key=lambda e: -e.q_value)}
        vertical, horizontal = effects.get("vertical"), effects.get("horizontal")
        found[own.label] = {
            "relations": [f"{r.first} {r.name} {r.second}: {r.share:.2f}" for r in own.relations],
            "vertical": round(vertical.lost, 2) if vertical else None,
            "vertical_q": round(vertical.q_value, 4) if vertical else None,
            "horizontal": round(horizontal.lost, 2) if horizontal else None,
            "horizontal_q": round(horizontal.q_value, 4) if horizontal else None,
        }
    return found
