"""From a name, a weights file or a user's own function to a `VideoModel` ready to explain."""

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voxplain.doctor import examine
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.model.input_search import find_input
from voxplain.model.plain_network import plain_network
from voxplain.model.video_model import move
from voxplain.nets import NETS, build_net, load_weights
from voxplain.nets.checkpoint import read_checkpoint
from voxplain.reading import Unreadable, parse_json
from voxplain.video import FrameGeometry, Geometry
from voxplain.zoo.libraries import geometry_for, load_from_library

__all__ = ["PLANTED", "built_by_function", "load_model", "model_from_function", "named_function"]

PLANTED = Path(__file__).parents[1] / "nets" / "planted.safetensors"  # a tiny net trained on planted videos


def load_model(
    name: str,
    *,
    weights: str | Path | None = None,
    classes: Sequence[str] | None = None,
    layer: str | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    grid: tuple[int, int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    stride: int | None = None,
    geometry: FrameGeometry | None = None,
) -> VideoModel:
    """A network of voxplain or of another library by name, in evaluation mode, with its own input and layer.

    Parameters
    ----------
    name : str
        A key of `NETS`; "planted", the trained small network that comes with the package; or a library and a network
        of it: "hf:ID-or-folder" (transformers), "torchvision:r3d_18", "pytorchvideo:x3d_m", "timm:resnet50" (each
        frame, averaged) or "timm:resnet50+lstm". The libraries are extras, such as ``voxplain[huggingface]``.
    weights : str or path, optional
        A file that `load_weights` reads. Without one the weights of voxplain's networks are fresh, and those of other
        libraries the published ones, which the library downloads once; "random" gives theirs fresh weights, too.
    classes : sequence of str, optional
        In the order of the logits; by default the list in the metadata of the weights, or the library's.
    layer : str, optional
        By default the network's feature layer.
    device : str or torch.device, optional
        By default the CPU.
    batch_size : int
        Clips at once.
    grid, mean, std, stride, geometry
        Fields of `VideoModel`, in place of what is known of the network; a grid alone changes the geometry in
        proportion.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        An unknown name, layer or device, a library that is not installed, a file that is missing, damaged or
        of another network, or classes that are not given anywhere.

    Examples
    --------
    >>> load_model("planted")
    VideoModel(tiny, layer='pool', grid=(16, 64, 64), layout='BCTHW', classes=7)
    """
    found = {"grid": grid, "mean": mean, "std": std, "stride": stride, "geometry": geometry}
    options: dict[str, Any] = {k: v for k, v in found.items() if v is not None}
    if ":" in name:
        options |= {"batch_size": batch_size} | ({} if layer is None else {"layer": layer})
        weights = "random" if str(weights) == "random" else weights
        named = _facts(name, weights).classes if classes is None and weights != "random" else tuple(classes or ())
        model = load_from_library(name, weights, {**options, "classes": named} if named else options)
        return model if device is None else model.to(device)
    if name == "planted":
        name, weights = "tiny", PLANTED if weights is None else weights
    facts = _facts(name, weights)
    named = facts.classes if classes is None else tuple(classes)
    if not named:
        origin = f"{Path(weights).name} does not name them" if weights else "fresh weights have none"
        raise ModelError(f"expected the classes of {name!r}, because {origin}; pass classes=[…] in logit order")
    if isinstance(classes, str) or len(set(named)) != len(named):
        raise ModelError(f"expected a list of different class names, got {classes!r}; name each class once")
    net = build_net(name, len(named))
    if weights is not None:
        load_weights(net, weights)
    model = _model(name, net.eval(), named, facts, layer, device, batch_size)
    if grid is not None and geometry is None and model.geometry is not None:
        options["geometry"] = geometry_for(model.geometry, grid[1:])  # type: ignore[arg-type]
    return replace(model, **options) if options else model


@dataclass(frozen=True)
class _Facts:
    """Metadata of a weights file: the classes, and how the videos were read that it was trained on."""

    classes: tuple[str, ...] = ()
    resize: tuple[int, int] | None = None  # H, W before the crop; None: the network's own
    stride: int = 1


_MOST_SIDE, _MOST_STRIDE = 8192, 4096  # of what a weights file may ask for: more would only fill the memory


def _facts(name: str, weights: str | Path | None) -> _Facts:
    """Read a weights file's metadata, and check that the file is for the network of that name."""
    if weights is None or (name not in NETS and ":" not in name):
        return _Facts()
    _, metadata = read_checkpoint(Path(weights))
    made_for = metadata.get("net", name)
    if made_for != name:
        raise ModelError(
            f"expected weights for {name!r}, got {weights} made for {made_for!r}; load them as {made_for!r}"
        )
    try:
        classes = parse_json(metadata.get("classes", "[]"))
    except Unreadable:
        classes = None
    if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
        raise ModelError(
            f"expected a JSON list of names as 'classes' in the metadata of {weights}, got "
            f"{metadata['classes'][:60]!r}; pass classes=[…] and save the file again"
        )
    try:
        resize = parse_json(metadata.get("resize", "null"))
        stride = int(parse_json(metadata.get("recipe", "{}")).get("stride", 1))
        if not 1 <= stride <= _MOST_STRIDE or (resize and not all(1 <= int(side) <= _MOST_SIDE for side in resize)):
            raise ValueError
        return _Facts(tuple(classes), resize and (int(resize[0]), int(resize[1])), stride)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError):
        raise ModelError(
            f"expected sizes [H, W] of 1 to {_MOST_SIDE} pixels as 'resize', and a recipe with a stride of 1 to "
            f"{_MOST_STRIDE}, in the metadata of {weights}, got "
            f"{metadata.get('resize', '')[:40]!r} and {metadata.get('recipe', '')[:40]!r}; save the file again"
        ) from None


def _model(
    name: str,
    net: nn.Module,
    classes: tuple[str, ...],
    facts: _Facts,
    layer: str | None,
    device: str | torch.device | None,
    batch_size: int,
) -> VideoModel:
    spec = NETS[name]
    part = spec.scale / 255  # a net's own scale, in the 0–1 that VideoModel normalises in
    mean, std = spec.mean, spec.std
    return VideoModel(
        net if device is None else move(net, device),
        layer=layer or spec.feature_layer,
        mean=(mean[0] * part, mean[1] * part, mean[2] * part),
        std=(std[0] * part, std[1] * part, std[2] * part),
        grid=(spec.frames, *spec.crop),
        classes=classes,
        stride=facts.stride,
        geometry=Geometry(facts.resize or spec.resize, spec.crop),
        channels_last=True,  # every net here takes it
        batch_size=batch_size,
        name=name,
        task="classification",
        probabilities=False,
    )


def model_from_function(where: str, *, layer: str | None = None, **options: Any) -> VideoModel:
    """A model from a user's function, called without arguments.

    The current folder can be imported from. What the function itself raises is passed on.

    Parameters
    ----------
    where : str
        ``package.module:function``. The function returns an `nn.Module`, or a `VideoModel`, whose fields those given
        here replace.
    layer : str, optional
        The layer to explain; needed for an `nn.Module`. "" for attribution, which needs none: the one that is found.
    **options
        Other fields of `VideoModel`.

    Returns
    -------
    VideoModel

    Raises
    ------
    ModelError
        A module or function that is missing, needs arguments or returns something else, an unknown option, or no
        layer.
    """
    known = [f.name for f in fields(VideoModel) if f.name not in ("net", "layer")]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1) or known
            raise ModelError(f"expected a field of VideoModel, got {option!r}; did you mean {', '.join(near)}?")
    made = built_by_function(where)
    if isinstance(made, VideoModel):
        if "grid" in options and "geometry" not in options and made.geometry is not None:
            options["geometry"] = geometry_for(made.geometry, options["grid"][1:])  # type: ignore[arg-type]
        if "grid" in options and options["grid"][0] != made.grid[0]:
            options.setdefault("sampler", None)
        return replace(made, **({**options, "layer": layer} if layer else options))
    if layer is None:
        given = {k: options[k] for k in ("grid", "layout", "task", "output") if k in options}
        found = examine(made, **given).feature_layer
        hint = f"layer={found!r} looks right, " if found else ""
        raise ModelError(f"expected a layer to explain {where} at, got none; {hint}`voxplain doctor` lists all")
    if "grid" in options and not options.keys() & {"layout", "frames_in_batch"}:
        called = {k: options[k] for k in ("output", "pathways") if k in options}
        found_input = find_input(plain_network(made), layer=layer, grids=[options["grid"]], **called)
        options |= {"layout": found_input.layout, "frames_in_batch": found_input.frames_in_batch}
    return VideoModel(**{"net": made, "layer": layer, "name": where, **options})


def built_by_function(where: str) -> nn.Module | VideoModel:
    """The network or ready model that ``package.module:function`` returns; see `model_from_function`."""
    module_name, name = _place(where)
    with _current_folder_importable():
        made = _function(module_name, name)
        if not isinstance(made, nn.Module | VideoModel):
            try:
                inspect.signature(made).bind()
            except TypeError as error:
                raise ModelError(
                    f"expected {where} to take no arguments ({error}); write a function without "
                    "any that builds the network and loads its weights"
                ) from error
            except ValueError:
                pass  # built in, without a signature to check
        if not isinstance(made, nn.Module | VideoModel):
            made = made()
    if not isinstance(made, nn.Module | VideoModel):
        raise ModelError(
            f"expected {where} to return a torch.nn.Module or a VideoModel, got {type(made).__name__}; "
            "return the network"
        )
    return made


def named_function(where: str) -> Callable[..., Any]:
    """The function ``package.module:function``, also of the current folder. ModelError where it is missing."""
    with _current_folder_importable():
        return _function(*_place(where))


def _place(where: str) -> tuple[str, str]:
    module_name, colon, name = where.partition(":")
    if not colon or not name or not all(part.isidentifier() for part in module_name.split(".")):
        raise ModelError(f"expected package.module:function, got {where!r}; name a module as in `import`, no path")
    return module_name, name


def _function(module_name: str, name: str) -> Callable[..., Any]:
    """Import a function (or a network or model that needs no call)."""
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if module_name == missing or module_name.startswith(missing + "."):
            advice = "check the spelling, and run in the folder that holds it or install it"
            raise ModelError(f"no module is called {missing!r} (for {module_name}:{name}); {advice}") from error
        raise ModelError(f"{module_name} needs the module {missing!r}, not installed; install it") from error
    if not hasattr(module, name):
        own = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        near = difflib.get_close_matches(name, own, n=3, cutoff=0.4) or own[:5]
        hint = f"did you mean {', '.join(near)}?" if near else "it defines no function"
        raise ModelError(f"{module_name} has no {name!r}; {hint}")
    found = getattr(module, name)
    if isinstance(found, nn.Module | VideoModel):
        return found
    if not callable(found):
        raise ModelError(f"expected {module_name}:{name} to be a function, got {type(found).__name__}; name one")
    return found


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # the function may have tidied up itself
            sys.path.remove(folder)
