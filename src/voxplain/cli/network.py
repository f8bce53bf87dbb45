"""The options that name a network, and the model that they give."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from voxplain.cli.options import Words
from voxplain.errors import DataError, ModelError, VoxplainError

if TYPE_CHECKING:
    from voxplain.model import VideoModel

__all__ = ["Network", "network_options", "open_model", "user_code_errors", "with_reading"]


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
    "Clips in one forward, on a processor 4 at most: results are the same for every number from 4 on."
    task: Literal["classification", "multilabel", "binary", "regression"] | None = None
    "What the outputs mean; default: found out where it can be, and asked for where the network has one output."
    net_output: str | None = None
    "Name or index of the tensor with the scores, where a network gives several."
    layout: Literal["BCTHW", "BTCHW", "TBCHW", "BTHWC"] | None = None
    "Axes of the input of a network of yours; default: the model's own, else the first in which it runs."
    frames_in_batch: bool = False
    "A network of yours takes frames as the rows of its batch, as TSM and networks for pictures do."
    units: str = ""
    "Unit of the output of a regression, for texts."
    classes: Path | None = None
    "Names of the outputs in their order: a text file with one a line, JSON, or a config.json with id2label."
    grid: tuple[int, int, int] | None = None
    "Frames, height and width of the network's input."
    stride: int | None = None
    "Frames of a video from one frame of the input to the next."
    sampler: Literal["middle", "uniform", "dense"] | None = None
    """Frames that the network is given: those in the middle, one of each of T equal parts of the video, or several
    clips (--dense-clips) whose scores are averaged. Default: the middle ones; maps: windows over the whole video."""
    dense_clips: int = 10
    "Clips of a video with --sampler dense."
    mean: tuple[float, float, float] | None = None
    "Mean of RGB in 0 to 1 that the network was trained with."
    std: tuple[float, float, float] | None = None
    "Standard deviation of RGB in 0 to 1 that the network was trained with."
    geometry: str | None = None
    """How a frame gets the size of the grid: squash (all of it, without its aspect ratio), short-side (resized, then
    the centre cut out), long-side (resized to fit, then padded), or package.module:function of uint8 frames T×H×W×3."""
    resize: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative="")] = ()
    "Pixels before the crop: height and width, or one number for the short side."


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
    chosen = network_options(network)
    classes = chosen.get("classes", classes)
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            made = model_from_function(network.model, layer=layer, batch_size=network.batch_size, **chosen)
            model = with_reading(made, network)
        with user_code_errors(f"{network.model} to run on {device!r}"):
            model.net.to(device)
            model = model if model.classes or not classes else _with_classes(model, classes)
            model.logits(probe_clip(model.grid))  # a network that cannot run fails before any work
            _tell_assumed(model)
        return model
    assert network.net is not None
    if network.net != "planted" and ":" not in network.net and network.weights is None:
        raise ModelError(
            f"expected --weights for {network.net}, got none; train some with `voxplain train DATA --net {network.net}`"
        )
    named = network.weights in (None, Path("random")) or "classes" in read_checkpoint(network.weights)[1]
    own = {name: chosen.pop(name) for name in ("grid", "mean", "std", "stride") if name in chosen}
    loaded = load_model(
        network.net,
        weights=network.weights,
        classes=None if named and network.classes is None else classes,
        layer=layer,
        device=device,
        batch_size=network.batch_size,
        **own,
    )
    model = with_reading(replace(loaded, **chosen) if chosen else loaded, network)
    _tell_assumed(model)
    return model


def _tell_assumed(model: "VideoModel") -> None:
    """Print what is assumed of the outputs, where nothing says what they are."""
    from voxplain.cli.console import Console
    from voxplain.model.tasks import ASSUMED

    if model.assumed:
        Console(stderr=True).print(f"note: {ASSUMED}", markup=False, highlight=False, soft_wrap=True)


def network_options(network: Network) -> dict[str, Any]:
    """The fields of `VideoModel` that the options give, but for how videos are read.

    Parameters
    ----------
    network : Network
        The options.

    Returns
    -------
    dict
        Values by the name of the field.

    Raises
    ------
    DataError
        A file of classes that cannot be read.
    """
    from voxplain.zoo.class_names import read_classes

    given = {
        "task": network.task,
        "output": network.net_output,
        "layout": network.layout,
        "frames_in_batch": network.frames_in_batch or None,
        "units": network.units or None,
        "classes": network.classes and read_classes(network.classes),
        "grid": network.grid,
        "stride": network.stride,
        "mean": network.mean,
        "std": network.std,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "task" in chosen:
        chosen["probabilities"] = None  # found out again
    return chosen


def with_reading(model: "VideoModel", network: Network) -> "VideoModel":
    """The model with the geometry and the sampler of the options.

    Parameters
    ----------
    model : VideoModel
        Has the size of the input.
    network : Network
        The options.

    Returns
    -------
    VideoModel

    Raises
    ------
    DataError
        Sizes that do not fit to the geometry.
    ModelError
        A function that is missing or gives frames of another size.
    """
    from voxplain.video import Dense, Middle, Uniform

    changed: dict[str, Any] = {}
    if network.geometry is not None or network.resize:
        changed["geometry"] = _geometry(network, model.grid[1:])
    frames = model.grid[0]
    if network.sampler == "uniform":
        changed["sampler"] = Uniform(frames)
    elif network.sampler is not None:
        dense = network.sampler == "dense"
        changed["sampler"] = Dense(frames, model.stride, network.dense_clips) if dense else Middle(frames, model.stride)
    return replace(model, **changed) if changed else model


def _geometry(network: Network, crop: tuple[int, int]) -> Any:
    """The geometry that the options name, for a network that gets frames of the size ``crop``."""
    from voxplain.video import Geometry, LongSide, ShortSide
    from voxplain.zoo.load import named_function

    kind, resize = network.geometry, network.resize
    if len(resize) > 2:
        raise DataError(f"expected --resize HEIGHT WIDTH or SHORT_SIDE, got {len(resize)} numbers; give one or two")
    if kind is None:
        kind = "short-side" if len(resize) == 1 else "squash"
    if kind == "squash":
        if len(resize) == 1:
            raise DataError(f"expected --resize HEIGHT WIDTH with --geometry squash, got {resize[0]}; give both")
        return Geometry((resize[0], resize[1]) if resize else crop, crop)
    if len(resize) > (kind == "short-side"):
        raise DataError(f"expected no --resize of {len(resize)} numbers with --geometry {kind}; leave it out")
    if kind == "short-side":
        return ShortSide(resize[0] if resize else round(min(crop) * 8 / 7), crop)
    if kind == "long-side":
        return LongSide(crop)
    if ":" not in kind:
        raise DataError(
            f"expected --geometry squash, short-side, long-side or package.module:function, got {kind!r}; choose one"
        )
    return named_function(kind)


def _with_classes(model: "VideoModel", classes: Sequence[str]) -> "VideoModel":
    """The model with names of its classes; numbers, of a list without names, go on to the network's last output."""
    from voxplain.datasets.list_file import are_numbers
    from voxplain.model.fingerprint import probe_clip

    if are_numbers(classes):
        classes = tuple(map(str, range(model.logits(probe_clip(model.grid)).shape[1])))
    return replace(model, classes=tuple(classes))
