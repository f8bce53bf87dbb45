"""The state of a training run in one file: weights, momenta, log, and what the run is made of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.nets.checkpoint import read_checkpoint, write_checkpoint
from voxplain.train.recipe import EpochLog, Recipe
from voxplain.video import Geometry

__all__ = ["read_state", "run_facts", "write_state"]


def run_facts(
    model: VideoModel, lengths: np.ndarray, labels: np.ndarray, geometry: Geometry, recipe: Recipe
) -> dict[str, str]:
    """What a run is made of, as a checkpoint says it; ``lengths`` int64 [N], frames of each video."""
    # The labels and lengths stand for the videos: hashing all frames would cost more than an epoch saves.
    return {
        "recipe": json.dumps(asdict(recipe)),
        "classes": json.dumps(list(model.classes)),
        "input": json.dumps([*model.grid, *geometry.resize, *geometry.crop, *model.mean, *model.std]),
        "videos": hashlib.sha256(labels.tobytes() + lengths.tobytes()).hexdigest(),
    }


def write_state(
    path: Path, net: nn.Module, optimiser: torch.optim.SGD, logs: list[EpochLog], facts: Mapping[str, str]
) -> None:
    """Weights, momenta and log in one file, whole or absent; the same run gives the same bytes."""
    tensors: dict[str, Tensor] = {f"net.{k}": v for k, v in net.state_dict().items()}
    for i, p in enumerate(net.parameters()):
        if "momentum_buffer" in optimiser.state[p]:
            tensors[f"momentum.{i}"] = optimiser.state[p]["momentum_buffer"]
    write_checkpoint(path, tensors, {**facts, "logs": json.dumps([asdict(x) for x in logs])})


def _prolonged(stored: str, mine: str) -> tuple[object, object]:
    """Two recipes to compare: more epochs of the same one is how a run is prolonged; older ones lack newer options."""
    theirs = {f.name: f.default for f in fields(Recipe)} | json.loads(stored)
    return theirs, {**json.loads(mine), "epochs": theirs["epochs"]}


def read_state(path: Path, net: nn.Module, optimiser: torch.optim.SGD, facts: Mapping[str, str]) -> list[EpochLog]:
    """Load a checkpoint of the same run into net and optimiser; returns the log so far."""
    tensors, stored = read_checkpoint(path)
    for name, mine in facts.items():
        theirs, own = _prolonged(stored.get(name, "{}"), mine) if name == "recipe" else (stored.get(name, mine), mine)
        if theirs != own:
            raise DataError(
                f"expected the checkpoint {path.name} to be of the same {name}, got another; remove it or choose "
                "another output folder"
            )
    try:
        net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    except RuntimeError:
        raise ModelError(
            f"expected the checkpoint {path.name} to be of this network, got one with other weights; remove it or "
            "choose another output folder"
        ) from None
    for i, p in enumerate(net.parameters()):
        if f"momentum.{i}" in tensors:
            optimiser.state[p]["momentum_buffer"] = tensors[f"momentum.{i}"].to(p.device)
    return [EpochLog(**x) for x in json.loads(stored["logs"])]
