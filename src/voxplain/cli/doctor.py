"""`voxplain doctor`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxplain.cli.network import Network
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.doctor import Diagnosis

__all__ = ["doctor_command"]


def doctor_command(
    network: Network = Network(),  # noqa: B008 - frozen
    *,
    write: Path | None = None,
) -> None:
    """List a network's layers, suggest where to explain it, and warn of properties that spoil explanations.

    For example:

        voxplain doctor --net planted
        voxplain doctor --model mypkg.nets:build --grid 16 112 112 --layout BCTHW
        voxplain doctor --model mypkg.nets:build --write model.py

    Parameters
    ----------
    write
        With --model: a new Python file that builds the network with the input, the output and the layer that were
        found; `--model FILE:model`, without .py, then needs no other option.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.network import network_options, user_code_errors, with_reading
    from voxplain.doctor import examine
    from voxplain.model import VideoModel
    from voxplain.nets import NETS, build_net
    from voxplain.zoo.load import built_by_function, load_model

    if write is not None:
        _check_new(write, network)
    options = network_options(network)
    given = frozenset(options)
    known = ("grid", "layout", "task", "output")
    asked: dict[str, Any] = {name: options.pop(name) for name in known if name in options}
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            subject: Any = built_by_function(network.model)
    elif network.net in NETS and network.weights is None:
        spec = NETS[network.net]
        subject = build_net(network.net, 10).eval()
        asked.setdefault("grid", (spec.frames, *spec.crop))
    else:
        subject = load_model(network.net or "planted", weights=network.weights)
    ready = isinstance(subject, VideoModel)
    if isinstance(subject, VideoModel):
        options.pop("probabilities", None)
        subject = with_reading(replace(subject, **options), network)
    elif options.keys() - {"probabilities"} or network.layer:  # more than the doctor finds out by itself
        layer = {"layer": network.layer[0]} if network.layer else {}
        fields: dict[str, Any] = {**asked, **options, **layer}
        if "grid" in fields and not fields.keys() & {"layout", "frames_in_batch"}:
            runs = examine(subject, **asked)
            fields |= {"layout": runs.layout, "frames_in_batch": runs.frames_in_batch}
        subject = with_reading(VideoModel(subject, **fields), network)
    found = examine(subject, **asked)
    Console().print(found.text(), markup=False, highlight=False, soft_wrap=True)
    if write is not None:
        _write(write, network, found, subject, given, ready=ready)


def _check_new(path: Path, network: Network) -> None:
    """Raise DataError for a file that cannot be imported or is there, and without a function to import."""
    if network.model is None:
        raise DataError("expected --model package.module:function with --write, got none; name what builds the network")
    parts = path.with_suffix("").parts
    if path.suffix != ".py" or path.is_absolute() or not all(part.isidentifier() for part in parts):
        raise DataError(
            f"expected --write with a Python file below this folder, such as model.py, got {path}; rename it"
        )
    if path.exists():
        raise DataError(f"expected a new file to write, got {path}, which exists; name another, or remove it")


def _write(
    path: Path, network: Network, found: "Diagnosis", subject: Any, given: frozenset[str], *, ready: bool
) -> None:
    """Write the file, and print how it is used."""
    from voxplain.cli.console import Console
    from voxplain.doctor.glue import glue
    from voxplain.model import VideoModel
    from voxplain.store import write_whole
    from voxplain.zoo.load import named_function

    assert network.model is not None
    module = ".".join(path.with_suffix("").parts)
    model = subject
    if not isinstance(subject, VideoModel):
        fields: dict[str, Any] = {"grid": found.grid, "layout": found.layout, "layer": found.feature_layer or ""}
        fields |= {"output": network.net_output} if network.net_output else {}
        model = VideoModel(subject, frames_in_batch=found.frames_in_batch, **fields)
    if network.layer:
        found = replace(found, feature_layer=network.layer[0])
    named = given | ({"geometry"} if network.geometry or network.resize else set())
    named |= {"sampler"} if network.sampler else set()
    text = glue(
        found, model, network.model, made=named_function(network.model), ready=ready, module=module, given=named
    )
    write_whole(path, text.encode())
    said = f"written: {path}; use it with --model {module}:model"
    Console().print(said, markup=False, highlight=False, soft_wrap=True)
