"""The network options that several commands share."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from voxplain.errors import ModelError, VoxplainError
from voxplain.model import VideoModel
from voxplain.nets.checkpoint import read_checkpoint
from voxplain.zoo.load import load_model, model_from_function

__all__ = ["Network", "open_model", "user_code_errors"]


@Parameter(name="*")
@dataclass(frozen=True)
class Network:
    """Which network is explained, and at which layer."""

    net: str | None = None
    "A network built here: tiny, compact, c3d, r3d, i3d, or planted (tiny, trained on planted videos)."
    weights: Path | None = None
    "Its weights: .safetensors or a torch file (never a pickle)."
    model: str | None = None
    "Your own network instead: package.module:function, called without arguments."
    layer: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Dotted names of the layers to explain at; `voxplain doctor` lists them. Default: the network's feature layer."
    device: str | None = None
    "cpu, cuda, cuda:1 …; default: cuda when there is one."
    batch_size: int = 32
    "Clips at once; bounds memory, never the result."


def _device(network: Network) -> str:
    import torch

    return network.device or ("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def user_code_errors(expected: str) -> Iterator[None]:
    """Turn whatever a user's own code raises into one sentence with the place; our own errors pass."""
    try:
        yield
    except VoxplainError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        file, line = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (last.filename, last.lineno)
        said = str(error.msg if isinstance(error, SyntaxError) else error).strip().split("\n")[0]
        raise ModelError(
            f"expected {expected}, got {type(error).__name__}: {said} ({file}, line {line}); correct it there, or see "
            "`voxplain doctor`"
        ) from error


def open_model(network: Network, classes: Sequence[str] | None = None, *, layer: str | None = None) -> VideoModel:
    """The model that the options name, its classes named by its weights or else by ``classes``.

    Raises ModelError when the options name no network or two.
    """
    if (network.net is None) == (network.model is None):
        raise ModelError(
            "expected either --net or --model, got both or none; give --net r3d --weights FILE, "
            "or --model package.module:function"
        )
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            model = model_from_function(network.model, layer=layer, batch_size=network.batch_size)
        with user_code_errors(f"{network.model} to run on {_device(network)!r}"):
            model.net.to(_device(network))
            model = model if model.classes or not classes else replace(model, classes=tuple(classes))
            model.logits(np.zeros((1, *model.grid, 3), np.uint8))  # a network that cannot run says so before any work
        return model
    assert network.net is not None
    if network.net != "planted" and network.weights is None:
        raise ModelError(
            f"expected --weights for {network.net}, got none; train some with `voxplain train DATA --net {network.net}`"
        )
    named = network.weights is None or "classes" in read_checkpoint(network.weights)[1]
    return load_model(
        network.net,
        weights=network.weights,
        classes=None if named else classes,
        layer=layer,
        device=_device(network),
        batch_size=network.batch_size,
    )
