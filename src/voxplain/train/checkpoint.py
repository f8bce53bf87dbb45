"""The state of a training run in one file: weights, momenta, log, and the facts that identify the run."""

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
from voxplain.model.fingerprint import architecture_digest
from voxplain.nets.checkpoint import read_checkpoint, write_checkpoint
from voxplain.train.recipe import EpochLog, Recipe
from voxplain.video import Geometry

__all__ = ["read_state", "run_facts", "write_state"]


def run_facts(
    model: VideoModel, lengths: np.ndarray, labels: np.ndarray, geometry: Geometry, recipe: Recipe
) -> dict[str, str]:
    """Facts that identify a run in its checkpoint: recipe, classes, input, videos, network.

    Parameters
    ----------
    model : VideoModel
        The network.
    lengths : ndarray
        Frames of each video, int64 [N].
    labels : ndarray
        Class of each video, int64 [N].
    geometry : Geometry
        Resize and crop.
    recipe : Recipe
        Parameters of the run.

    Returns
    -------
    dict of str to str
        JSON, and for the videos a hash of labels and lengths.
    """
    # Labels and lengths identify the videos: hashing all frames would cost more than an epoch saves.
    return {
        "recipe": json.dumps(asdict(recipe)),
        "classes": json.dumps(list(model.classes)),
        "input": json.dumps([*model.grid, *geometry.resize, *geometry.crop, *model.mean, *model.std]),
        "videos": hashlib.sha256(labels.tobytes() + lengths.tobytes()).hexdigest(),
        "network": architecture_digest(model),
    }


def write_state(
    path: Path, net: nn.Module, optimiser: torch.optim.SGD, logs: list[EpochLog], facts: Mapping[str, str]
) -> None:
    """Write weights, momenta and log to one file, whole or absent; the same run gives the same bytes."""
    tensors: dict[str, Tensor] = {f"net.{k}": v for k, v in net.state_dict().items()}
    for i, p in enumerate(net.parameters()):
        if "momentum_buffer" in optimiser.state[p]:
            tensors[f"momentum.{i}"] = optimiser.state[p]["momentum_buffer"]
    write_checkpoint(path, tensors, {**facts, "logs": json.dumps([asdict(x) for x in logs])})


def _prolonged(stored: str, mine: str) -> tuple[object, object]:
    """Two recipes to compare: epochs may differ, which prolongs a run; older recipes lack newer options."""
    theirs = {f.name: f.default for f in fields(Recipe)} | json.loads(stored)
    return theirs, {**json.loads(mine), "epochs": theirs["epochs"]}


# What gives the facts of `run_facts`, and those of a correction.
_GIVEN_BY = {
    "classes": "the classes of the data",
    "input": "the size of the input (--resize)",
    "videos": "the videos and their labels",
    "network": "the network (--net)",
    "training": "the recipe, the seed and the strength of the correction",
    "start": "the weights that training starts from",
    "examples": "the clips, their labels and the voxels of the concept",
}


def _changed(name: str, theirs: object, own: object) -> str:
    """What has to be the same in two runs, with the options and both values where a recipe differs."""
    if isinstance(theirs, dict) and isinstance(own, dict):
        options = [
            f"--{field.replace('_', '-')} {theirs[field]}, got {own[field]}"
            for field in own
            if theirs.get(field, own[field]) != own[field]
        ]
        return " and ".join(options) or "the same recipe"
    return f"the same {_GIVEN_BY.get(name, name).removeprefix('the ')}"


def read_state(path: Path, net: nn.Module, optimiser: torch.optim.SGD, facts: Mapping[str, str]) -> list[EpochLog]:
    """Load a checkpoint of the same run into network and optimiser.

    Parameters
    ----------
    path : Path
        A file of `write_state`.
    net, optimiser : Module, SGD
        Changed in place.
    facts : mapping of str to str
        From `run_facts`; may differ in the epochs.

    Returns
    -------
    list of EpochLog
        The log so far.

    Raises
    ------
    DataError
        When the checkpoint is of another run.
    ModelError
        When it is of another network.
    """
    tensors, stored = read_checkpoint(path)
    for name, mine in facts.items():
        theirs, own = _prolonged(stored.get(name, "{}"), mine) if name == "recipe" else (stored.get(name, mine), mine)
        if theirs != own:
            raise DataError(
                f"expected {_changed(name, theirs, own)}: the checkpoint {path.name} is of another run; give the same, "
                "remove the checkpoint, or choose another output folder"
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
