"""Networks that every method meets, methods made cheap, and what a network is compared by."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from relevance_nets import set_running_statistics
from torch import Tensor, nn
from torch.nn import functional as F

from voxplain.attribution import ATTRIBUTIONS
from voxplain.model import VideoModel
from voxplain.nets import NETS
from voxplain.nets.vit import VideoTransformer
from voxplain.video import Clip, Geometry
from voxplain.zoo.load import load_model

GRID = (8, 16, 24)  # not square, and not the papers' 16 frames
CLASSES = ("run", "jump", "wave", "clap")

# Instead of the defaults, wherever a method has such a field.
CHEAP: dict[str, Any] = {
    "steps": 3,
    "samples": 8,
    "iterations": 4,
    "areas": (0.3,),
    "rates": (0.3,),
    "depth": 2,
    "cells": None,
    "top_channels": 3,
    "window": (0.5, 0.5, 0.5),
    "stride": (0.5, 0.5, 0.5),
    "levels": 4,
    "segments": None,
}


# On networks of seconds a pass.
LEAST: dict[str, Any] = {
    **CHEAP,
    "steps": 2,
    "samples": 2,
    "iterations": 2,
    "window": (1.0, 0.3, 1.0),
    "stride": (1.0, 0.3, 1.0),
}


def cheap(name: str, least: bool = False) -> Any:
    """A method of the registry with little to compute."""
    return _cheap(ATTRIBUTIONS[name](), LEAST if least else CHEAP)


def _cheap(method: Any, numbers: dict[str, Any]) -> Any:
    own = {f.name: getattr(method, f.name) for f in fields(method)}
    new = {n: numbers[n] for n in own if numbers.get(n) is not None}
    few = numbers is LEAST
    if isinstance(own.get("cells"), tuple):
        new["cells"] = (2, 3, 3)
    if "segments" in own:
        new["segments"] = (4,) if few else (6,) if len(own["segments"]) == 1 else (4, 8)
    if "segmenter" in own and "samples" in own:  # Kernel SHAP wants eight for each of its supervoxels, LIME has a width
        new["samples"] = 48 if not few else 8 if "width" in own else 32
    return replace(method, **new, **{n: _cheap(v, numbers) for n, v in own.items() if is_dataclass(v)})


class Small(nn.Module):
    """Convolutions, batch norm, ReLU, global average, linear head, on inputs of any size."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 5, 3, padding=1, bias=False), nn.BatchNorm3d(5)
        self.relu1 = nn.ReLU(inplace=inplace)
        self.conv2, self.relu2 = nn.Conv3d(5, 6, 3, stride=2, padding=1), nn.ReLU(inplace=inplace)
        self.conv3, self.relu3 = nn.Conv3d(6, 7, 3, padding=1), nn.ReLU(inplace=inplace)
        self.pool, self.flatten, self.drop = nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(0.5)
        self.head = nn.Linear(7, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.head(self.drop(self.flatten(self.pool(self.relu3(self.conv3(x))))))


class Turned(nn.Module):
    """The same network on [B,T,C,H,W]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Small()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(1, 2))


class Tupled(nn.Module):
    """The same network, logits in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Small()

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.net(x), "attention"


class Functional(Small):
    """The same network without a module for its activations and its pool."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return self.head(self.drop(F.relu(self.conv3(x)).mean((2, 3, 4))))


class Frames(nn.Module):
    """A 2D network for each frame of [B,T,C,H,W], an LSTM over the frames, a linear head on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        self.flatten, self.rnn = nn.Flatten(), nn.LSTM(24, 7, batch_first=True)
        self.head = nn.Linear(7, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        frames = self.flatten(self.pool(self.relu(self.conv(x.flatten(0, 1)))))
        return self.head(self.rnn(frames.unflatten(0, x.shape[:2]))[0][:, -1])


BUILD: dict[str, Any] = {
    "plain": Small,
    "turned": Turned,
    "in_place": lambda: Small(inplace=True),
    "tupled": Tupled,
    "functional": Functional,
    "recurrent": Frames,
    "tokens": lambda: VideoTransformer(len(CLASSES), width=12, depth=2, heads=2),
}
LAYERS = {"turned": "net.pool", "tupled": "net.pool", "recurrent": "rnn"}
SHIPPED = {"tiny": (8, 32, 48), "compact": (8, 32, 48), "r3d": (8, 32, 48), "i3d": (9, 40, 48), "c3d": (16, 112, 112)}


def small_model(kind: str, **options: Any) -> VideoModel:
    """The network of that kind as a user may hand it over: training, some parameters frozen, all with one seed."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = set_running_statistics(BUILD[kind](), shift=True)
    with torch.no_grad():  # logits that differ from clip to clip by more than rounding
        for n, p in net.named_parameters():
            p.mul_(20 if n.endswith("head.weight") else 2 if "conv" in n or "rnn" in n else 1)
    net.train()
    for p in list(net.parameters())[:2]:
        p.requires_grad_(False)
    layout = "BTCHW" if kind in ("turned", "recurrent") else "BCTHW"
    return VideoModel(
        net=net,
        layer=LAYERS.get(kind, "pool"),
        layout=layout,
        grid=GRID,
        classes=CLASSES,
        name=kind,
        stride=2,
        batch_size=4,
        **options,
    )


def shipped_model(name: str) -> VideoModel:
    """A network of `voxplain.nets` with random weights on the smallest grid that leaves it a map over space."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = load_model(name, classes=CLASSES, layer=NETS[name].feature_layer)
        set_running_statistics(model.net)
    grid = SHIPPED[name]
    return replace(model, grid=grid, geometry=Geometry.squash(*grid[1:]), batch_size=4)


def clips_for(grid: tuple[int, int, int], count: int = 2) -> list[Clip]:
    """A bright box that moves over noise; another box and other noise in each."""
    t, h, w = grid
    found = []
    for i in range(count):
        frames = np.random.default_rng(i).integers(0, 120, (*grid, 3), dtype=np.uint8)
        for f in range(t):
            top, left = (h // 3 + i, (w // 2) * f // t)
            frames[f, top : top + h // 3, left : left + w // 3] = (250, 60 + 90 * (i % 3), 90)
        found.append(Clip(frames, np.arange(t) / 25, f"box {i}"))
    return found


def state(net: nn.Module) -> dict[str, Any]:
    """All of a network that a method must leave as it was."""
    hooks = [n for n in vars(nn.Module()) if n.endswith("_hooks")]
    return {
        "values": {n: v.detach().numpy().tobytes() for n, v in net.state_dict().items()},
        "versions": {n: v._version for n, v in net.state_dict(keep_vars=True).items()},
        "grads": {n: p.grad is None for n, p in net.named_parameters()},
        "frozen": {n: p.requires_grad for n, p in net.named_parameters()},
        "training": {n: m.training for n, m in net.named_modules()},
        "inplace": {n: getattr(m, "inplace", None) for n, m in net.named_modules()},
        "hooks": {(n, h): len(getattr(m, h)) for n, m in net.named_modules() for h in hooks},
        "attributes": {n: sorted(vars(m)) for n, m in net.named_modules()},
        "forwards": {n: m.forward.__func__ for n, m in net.named_modules()},
    }
