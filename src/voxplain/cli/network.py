"""The network options that several commands share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.errors import ModelError
from voxplain.load import load_model, model_from_function
from voxplain.model import VideoModel

__all__ = ["Network", "open_model"]


@Parameter(name="*")
@dataclass(frozen=True)
class Network:
    """Which network is explained, and at which layer."""

    net: str | None = None
    "A network built here: tiny, c3d, r3d, i3d, or planted (tiny, trained on planted videos)."
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
        model = model_from_function(network.model, layer=layer, batch_size=network.batch_size)
        model.net.to(_device(network))
        return model if model.classes or not classes else replace(model, classes=tuple(classes))
    assert network.net is not None
    if network.net != "planted" and network.weights is None:
        raise ModelError(
            f"expected --weights for {network.net}, got none; train some with `voxplain train DATA --net {network.net}`"
        )
    return load_model(
        network.net,
        weights=network.weights,
        classes=None,
        layer=layer,
        device=_device(network),
        batch_size=network.batch_size,
    )
