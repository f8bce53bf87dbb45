"""`voxplain doctor`."""

from typing import Any

from voxplain.cli.network import Network

__all__ = ["doctor_command"]


def doctor_command(
    network: Network = Network(),  # noqa: B008 - frozen
    *,
    grid: tuple[int, int, int] | None = None,
) -> None:
    """List a network's layers, suggest where to explain it, and warn of properties that spoil explanations.

    For example:

        voxplain doctor --net planted
        voxplain doctor --model mypkg.nets:build --grid 16 112 112 --layout BTCHW

    Parameters
    ----------
    grid
        Frames, height and width of the network's input.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.network import user_code_errors
    from voxplain.doctor import examine
    from voxplain.nets import NETS, build_net
    from voxplain.zoo.load import built_by_function, load_model

    if network.model is not None:
        with user_code_errors(f"{network.model} to build a network"):
            subject: Any = built_by_function(network.model)
        size = grid or getattr(subject, "grid", (16, 112, 112))
    elif network.net in NETS and network.weights is None:
        spec = NETS[network.net]
        subject, size = build_net(network.net, 10).eval(), grid or (spec.frames, *spec.crop)
    else:
        subject = load_model(network.net or "planted", weights=network.weights)
        size = grid or subject.grid
    output = network.net_output
    found = examine(subject, grid=size, layout=network.layout, task=network.task, output=output)
    Console().print(found.text(), markup=False, highlight=False, soft_wrap=True)
