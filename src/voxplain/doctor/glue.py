"""What the doctor found as a Python file: a function that gives the network with its input, output and layer."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn

from voxplain.doctor.diagnosis import Diagnosis
from voxplain.errors import ModelError
from voxplain.model import VideoModel
from voxplain.video import OwnGeometry

__all__ = ["glue"]

_HEAD = '''"""{where} with what `voxplain doctor` found about it; `--model {module}:model` uses it.

Nothing here is read from the weights: compare mean, std and stride with the training of the network.
"""

{imports}


def model() -> {result}:
    """The network with its input, its output and the layer of its features."""
    return {call}(
{lines}
    )
'''
_ASK = {
    "mean": "not found out, a default: of RGB in 0 to 1 in training",
    "std": "not found out, a default: of RGB in 0 to 1 in training",
    "stride": "not found out, a default: frames of a video from one of the clip to the next",
    "task": "not found out: classification, multilabel, binary or regression",
}
_ASSUMED = "assumed: multilabel if the outputs are labels, regression if they are quantities"


def glue(
    found: Diagnosis, model: VideoModel, where: str, *, made: Any, ready: bool, module: str, given: frozenset[str]
) -> str:
    """The text of a Python file that builds the model.

    Parameters
    ----------
    found : Diagnosis
        Of the model.
    model : VideoModel
        What was examined: its fields are written, and the layer and the pooling that were found.
    where : str
        ``package.module:function`` of the network.
    made : callable, nn.Module or VideoModel
        What has this name.
    ready : bool
        Whether it gives a `VideoModel`, whose fields stay but for those given.
    module : str
        The name that the file will be imported by.
    given : frozenset of str
        Fields that the user gave.

    Returns
    -------
    str

    Raises
    ------
    ModelError
        A field whose value cannot be written, such as a function that has no name.

    Examples
    --------
    >>> from voxplain.doctor import examine
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    >>> model = VideoModel(net, grid=(8, 16, 16))
    >>> options = {"made": lambda: net, "ready": False, "module": "model", "given": frozenset()}
    >>> text = glue(examine(model), model, "nets:build", **options)
    >>> [line.strip() for line in text.splitlines() if "layer=" in line or "grid=" in line]
    ['layer="1",', 'grid=(8, 16, 16),']
    """
    package, _, name = where.partition(":")
    own_name = "build" if name == "model" else name  # the function of the file has that name
    renamed = "" if own_name == name else f" as {own_name}"
    imports, lines = {f"from {package} import {name}{renamed}", "from voxplain import VideoModel"}, []
    name = own_name
    built = f"{name}()" if not isinstance(made, nn.Module | VideoModel) else name
    for field, value in _fields(found, model, where):
        if ready and field not in given | {"layer"}:
            continue  # the function has given it
        text, own = _source(field, value)
        imports |= own
        asked = field in _ASK and not ready and field not in given and (field != "task" or value is None)
        said = _ASSUMED if field == "task" and found.assumed else _ASK[field] if asked else ""
        lines.append(f"        {field}={text},{f'  # {said}' if said else ''}")
    if ready:
        imports |= {"from dataclasses import replace"}
    call, first = ("replace", built) if ready else ("VideoModel", built)
    return _HEAD.format(
        where=where,
        module=module,
        imports="\n".join(sorted(imports)),
        result="VideoModel",
        call=call,
        lines="\n".join([f"        {first},", *lines]),
    )


def _fields(found: Diagnosis, model: VideoModel, where: str) -> Iterator[tuple[str, Any]]:
    """Fields to write and their values: those that matter always, the others where they are no defaults."""
    layer = found.feature_layer or model.layer
    if layer:
        yield "layer", layer
    yield "grid", tuple(found.grid or model.grid)
    yield "layout", found.layout or model.layout
    yield "mean", model.mean
    yield "std", model.std
    yield "stride", model.stride
    yield "task", found.task
    later = {"frames_in_batch": found.frames_in_batch, "pool": found.pool, "probabilities": found.probabilities}
    plain = {f.name: f.default for f in fields(VideoModel)} | {"frames_in_batch": False, "probabilities": False}
    for name in ("classes", "channel_axis", "geometry", "sampler", "output", "pathways", "units"):
        later[name] = getattr(model, name)
    for name, value in later.items():
        if value != plain[name] and value is not None:
            yield name, value
    yield "name", where if model.name == "net" else model.name


def _source(field: str, value: Any) -> tuple[str, set[str]]:
    """A value as Python, and the imports that it needs."""
    value = value.function if isinstance(value, OwnGeometry) else value
    if is_dataclass(value) and type(value).__module__.startswith("voxplain.video"):
        return repr(value), {f"from voxplain.video import {type(value).__name__}"}
    if callable(value):
        name = getattr(value, "__qualname__", "<>")
        if not name.isidentifier():
            raise ModelError(f"expected {field} to be a function with a name, got {name}; write the file yourself")
        return name, {f"from {value.__module__} import {name}"}
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"', set()
    return repr(value), set()
