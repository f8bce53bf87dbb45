"""Import other libraries of networks when one of their networks is asked for, and what their loaders share."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError

import torch
from torch import nn

from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.nets import load_weights
from voxplain.video import FrameGeometry, Geometry, LongSide, ShortSide

__all__ = [
    "LIBRARIES",
    "build_with_weights",
    "choose_name",
    "geometry_for",
    "import_library",
    "load_from_library",
    "task_of",
    "with_options",
]

# Module here and its function, by what stands before the colon of a network's name.
LIBRARIES = {
    "hf": ("huggingface", "load_huggingface"),
    "torchvision": ("torchvision", "load_torchvision"),
    "pytorchvideo": ("pytorchvideo", "load_pytorchvideo"),
    "timm": ("timm", "load_timm"),
}

T = TypeVar("T")

_schemas: list[Any] = []  # operator schemas end with the object that defined them


def load_from_library(name: str, weights: str | Path | None, options: dict[str, Any]) -> VideoModel:
    """The model of "library:network"; the library is imported here and not before."""
    library, _, own = name.partition(":")
    if library not in LIBRARIES:
        raise ModelError(
            f"expected a library before the colon, one of {', '.join(LIBRARIES)}, got {library!r}; a function is "
            "given to model_from_function, --model"
        )
    module, function = LIBRARIES[library]
    load = getattr(importlib.import_module(f"voxplain.zoo.{module}"), function)
    model: VideoModel = load(own, weights=weights, **options)
    return model


def import_library(name: str, extra: str) -> Any:
    """A module of another library; ModelError, with the extra that brings it, where it is missing or broken."""
    if importlib.util.find_spec("torchvision") is not None:
        _prepare_torchvision()  # the others import it where it is installed
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise ModelError(
            f"expected the package {package!r} for {extra}:…, got no module {error.name!r}; "
            f"run `pip install 'voxplain[{extra}]'`"
        ) from error


def _prepare_torchvision() -> None:
    """Import torchvision, also where its compiled operators do not fit the installed build of torch.

    A torchvision for CUDA beside a torch for the CPU cannot load them, and its import then fails because it describes
    two that do not exist. No network here uses them, so that defining the two without an implementation is enough.
    """
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        broken = str(error)
    if "torchvision::nms" not in broken or torch.version.cuda is not None:
        raise ModelError(
            f"expected a torchvision that fits torch {torch.__version__}, got an import that fails: {broken}; "
            "install the torchvision of the same release and build"
        )
    for loaded in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[loaded]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _schemas.append(library)
    importlib.import_module("torchvision")


def choose_name(name: str, known: Mapping[str, T], library: str) -> T:
    """The entry of a network's name; ModelError with the names there are."""
    if name not in known:
        raise ModelError(f"expected a network of {library}, got {name!r}; known are {', '.join(known)}")
    return known[name]


def build_with_weights(
    build: Callable[[bool], nn.Module], weights: str | Path | None, inner: Callable[[nn.Module], nn.Module]
) -> nn.Module:
    """A network with published weights (None), random ones ("random"), or those of a file.

    ``build`` is given whether the published weights are wanted; ``inner`` is the part that a file's weights are of.
    """
    try:
        net = build(weights is None)
    except (URLError, OSError) as error:
        raise ModelError(
            f"expected to download the published weights, got {error}; give a file, weights='…', or weights='random'"
        ) from error
    if weights not in (None, "random"):
        load_weights(inner(net), str(weights))
    return net


def task_of(weights: str | Path | None) -> dict[str, Any]:
    """The task of a library's classifier; nothing for weights of a file, which may have been trained for labels."""
    return {"task": "classification"} if weights in (None, "random") else {}


def geometry_for(geometry: FrameGeometry, crop: tuple[int, int]) -> FrameGeometry | None:
    """A geometry for another crop: the same part of every frame, resized in proportion; None for a user's function."""
    if isinstance(geometry, ShortSide):
        return ShortSide(max(1, round(geometry.side * max(crop) / max(geometry.crop))), crop)
    if isinstance(geometry, LongSide):
        return LongSide(crop, geometry.fill)
    if not isinstance(geometry, Geometry):
        return None
    ratios = [new / old for new, old in zip(crop, geometry.crop, strict=True)]
    height, width = (max(round(n * r), c) for n, r, c in zip(geometry.resize, ratios, crop, strict=True))
    return Geometry((height, width), crop)


def with_options(net: nn.Module, found: dict[str, Any], options: dict[str, Any]) -> VideoModel:
    """A model of what is known of a network and what was given in its place; a grid alone changes the geometry, too."""
    if "grid" in options and "geometry" not in options and "geometry" in found:
        found = {**found, "geometry": geometry_for(found["geometry"], tuple(options["grid"][1:]))}
    return VideoModel(**{"net": net.eval(), **found, **options})
