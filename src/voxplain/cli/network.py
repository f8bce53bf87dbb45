"""The options that name a network, and the model that they give."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from voxplain.cli.options import Words
from voxplain.errors import ModelError, VoxplainError

if TYPE_CHECKING:
    from voxplain.model import VideoModel

__all__ = ["Network", "open_model", "user_code_errors"]


@Parameter(name="*")
@dataclass(frozen=True)
class Network:
    """Which network is explained, and at which layer."""

    net: str | None = None
    """A network of voxplain: tiny, compact, c3d, r3d, i3d, r2plus1d, resnet_lstm, tsm, r2plus1d_compact,
    resnet_lstm_compact, tsm_compact, convlstm, vit, vit_divided, or planted (tiny, trained on planted videos); or of
    another library: hf:ID-or-folder, torchvision:r3d_18, pytorchvideo:x3d_m, timm:resnet50."""
    weights: Path | None = None
    "Its weights: .safetensors or a torch file of tensors only (pickled objects are not read)."
    model: str | None = None
    "Your own network instead: package.module:function, called without arguments."
    layer: Words = ()
    "Dotted names of the layers to explain at; `voxplain doctor` lists them. Default: the network's feature layer."
    device: str | None = None
    "cpu, cuda, cuda:1 …; default: cuda where there is a GPU."
    batch_size: int = 32
    "Clips in one forward; bounds memory and does not change results."
    task: Literal["classification", "multilabel", "binary", "regression"] | None = None
    "What the outputs mean; default: found out where it can be, and asked for where the network has one output."
    net_output: str | None = None
    "Name or index of the tensor with the scores, where a network gives several."
    layout: Literal["BCTHW", "BTCHW", "TBCHW", "BTHWC"] | None = None
    "Axes of the input of a network of yours; default: the model's own, else BCTHW."
    frames_in_batch: bool = False
    "A network of yours takes frames as the rows of its batch, as TSM and networks for pictures do."
    units: str = ""
    "Unit of the output of a regression, for texts."


@contextmanager
def user_code_errors(expected: str) -> Iterator[None]:
    """Turn an exception of a user's own code into a ModelError of one sentence with its file and line.

    Parameters
    ----------
    expected : str
        What the code is expected to do, as in the error text: "mypkg.nets:build to build a network".
    """
    try:
        yield
    except VoxplainError:
        raise
    except Exception as error:
        place: traceback.FrameSummary | SyntaxError = traceback.extract_tb(error.__traceback__)[-1]
        message = str(error)
        if isinstance(error, SyntaxError):
            place, message = error, error.msg
        raise ModelError(
            f"expected {expected}, got {type(error).__name__}: {message.strip().partition(chr(10))[0]} "
            f"({place.filename}, line {place.lineno}); correct it there, or see `voxplain doctor`"
        ) from error


def open_model(network: Network, classes: Sequence[str] | None = None, *, layer: str | None = None) -> "VideoModel":
    """Load the model that the options name.

    Parameters
    ----------
    network : Network
        The options.
    classes : sequence of str, optional
        Names of the classes where the weights do not hold them.
    layer : str, optional
        The layer to explain at; default: the network's feature layer.

    Returns
    -------
    VideoModel
        The model on its device, in evaluation mode.

    Raises
    ------
    ModelError
        When the options name no network or two, or the network cannot be built or run.
    """
    import torch

    from voxplain.model.fingerprint import probe_clip
    from voxplain.nets.checkpoint import read_checkpoint
    from voxplain.zoo.load import load_model, model_from_function

    if (network.net is None) == (network.model is None):
        raise ModelError(
            "expected either --net or --model, got both or none; give --net r3d --weights FILE, "
            "or --model package.module:function"
        )
    device = network.device or ("cuda" if torch.cuda.is_available() else "cpu")
    given = {
        "task": network.task,
        "output": network.net_output,
        "layout": network.layout,
        "frames_in_batch": network.frames_in_batch or None,
        "units": network.units or None,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "task" in chosen:
        chosen["probabilities"] = None  # found out again
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            model = model_from_function(network.model, layer=layer, batch_size=network.batch_size, **chosen)
        with user_code_errors(f"{network.model} to run on {device!r}"):
            model.net.to(device)
            model = model if model.classes or not classes else _with_classes(model, classes)
            model.logits(probe_clip(model.grid))  # a network that cannot run fails before any work
        return model
    assert network.net is not None
    if network.net != "planted" and ":" not in network.net and network.weights is None:
        raise ModelError(
            f"expected --weights for {network.net}, got none; train some with `voxplain train DATA --net {network.net}`"
        )
    named = network.weights in (None, Path("random")) or "classes" in read_checkpoint(network.weights)[1]
    loaded = load_model(
        network.net,
        weights=network.weights,
        classes=None if named else classes,
        layer=layer,
        device=device,
        batch_size=network.batch_size,
    )
    return replace(loaded, **chosen) if chosen else loaded


def _with_classes(model: "VideoModel", classes: Sequence[str]) -> "VideoModel":
    """The model with names of its classes; numbers, of a list without names, go on to the network's last output."""
    from voxplain.datasets.list_file import are_numbers
    from voxplain.model.fingerprint import probe_clip

    if are_numbers(classes):
        classes = tuple(map(str, range(model.logits(probe_clip(model.grid)).shape[1])))
    return replace(model, classes=tuple(classes))
