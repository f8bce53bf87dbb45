"""`voxplain doctor`."""

from dataclasses import replace
from typing import Any

from voxplain.cli.network import Network

__all__ = ["doctor_command"]


def doctor_command(
    network: Network = Network(),  # noqa: B008 - frozen
) -> None:
    """List a network's layers, suggest where to explain it, and warn of properties that spoil explanations.

    For example:

        voxplain doctor --net planted
        voxplain doctor --model mypkg.nets:build --grid 16 112 112 --layout BTCHW
    """
    from rich.console import Console

    from voxplain.cli.network import network_options, user_code_errors, with_reading
    from voxplain.doctor import examine
    from voxplain.model import VideoModel
    from voxplain.nets import NETS, build_net
    from voxplain.zoo.load import built_by_function, load_model

    options = network_options(network)
    asked: dict[str, Any] = {
        name: options.pop(name) for name in ("grid", "layout", "task", "output") if name in options
    }
    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            subject: Any = built_by_function(network.model)
    elif network.net in NETS and network.weights is None:
        spec = NETS[network.net]
        subject = build_net(network.net, 10).eval()
        asked.setdefault("grid", (spec.frames, *spec.crop))
    else:
        subject = load_model(network.net or "planted", weights=network.weights)
    if isinstance(subject, VideoModel):
        options.pop("probabilities", None)
        subject = with_reading(replace(subject, **options), network)
    elif options.keys() - {"probabilities"} or network.layer:  # more than the doctor finds out by itself
        layer = {"layer": network.layer[0]} if network.layer else {}
        fields: dict[str, Any] = {**asked, **options, **layer}
        subject = with_reading(VideoModel(subject, **fields), network)
    found = examine(subject, **asked)
    Console().print(found.text(), markup=False, highlight=False, soft_wrap=True)
