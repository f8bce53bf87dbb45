"""Load weights from files into networks, save them, and hash them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from voxplain.errors import ModelError
from voxplain.nets.checkpoint import NAMINGS, read_checkpoint, some, write_checkpoint


@dataclass(frozen=True)
class WeightsReport:
    """What `load_weights` loaded.

    Parameters
    ----------
    path : Path
        The file.
    naming : str
        The naming of its tensors, a key of `NAMINGS`.
    loaded : int
        Number of tensors loaded.
    fresh : tuple of str
        Tensors of the network that kept their values.
    metadata : dict of str to str
        Of a .safetensors file.
    """

    path: Path
    naming: str
    loaded: int
    fresh: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def load_weights(net: nn.Module, path: str | Path, *, head: Literal["load", "drop"] = "load") -> WeightsReport:
    """Load a file's weights into the network, in place, under any of the public namings.

    Reads .safetensors and torch files, flat or nested under "state_dict", "model_state_dict" or "model", with or
    without the prefix "module.". The network does not change unless everything fits. Files differ in the colours that
    they expect: see `NETS`, and `reverse_input_channels` for files trained on BGR.

    Parameters
    ----------
    net : Module
        The network.
    path : str or Path
        The file.
    head : {"load", "drop"}
        "drop" leaves the last layer as it is, for other classes than the file's.

    Returns
    -------
    WeightsReport
        What was loaded.

    Raises
    ------
    ModelError
        For files that cannot be read safely, missing, unexpected or mis-shaped tensors, another number of classes, and
        weights that are not finite.
    """
    path = Path(path)
    state, metadata = read_checkpoint(path)
    naming, state = _rename(net, state, path)
    own = net.state_dict()
    dropped = {k for k in own if k.startswith(_head(net))} if head == "drop" else set()
    state = {k: v for k, v in state.items() if k not in dropped}
    _check_names(net, state, path, dropped)
    _check_values(net, state, path)
    net.load_state_dict(state, strict=False)
    return WeightsReport(path, naming, len(state), tuple(k for k in own if k not in state), metadata)


def _rename(net: nn.Module, state: dict[str, Tensor], path: Path) -> tuple[str, dict[str, Tensor]]:
    """The state dict under the network's names: the naming that matches most of them, the first on a tie."""
    own = net.state_dict().keys()
    renamed = {naming: {rename(k): v for k, v in state.items()} for naming, rename in NAMINGS.items()}
    best = max(NAMINGS, key=lambda naming: len(own & renamed[naming].keys()))
    if not own & renamed[best].keys():
        raise ModelError(
            f"{path} is not for {type(net).__name__}: none of its {len(state)} tensors ({some(state)}) has a "
            f"place there (expected {some(own)}); choose the network that the file was trained with"
        )
    return best, renamed[best]


def _head(net: nn.Module) -> str:
    """Prefix of the names of the last layer with weights, which is the classifier's head."""
    return list(net.state_dict())[-1].rpartition(".")[0] + "."


def _check_names(net: nn.Module, state: dict[str, Tensor], path: Path, dropped: set[str]) -> None:
    own, name = net.state_dict(), type(net).__name__
    # Files older than PyTorch 0.4.1 have no counters, and a batch norm with a momentum never reads them.
    missing = [k for k in own if k not in state and k not in dropped and not k.endswith("num_batches_tracked")]
    if missing and all(k.startswith(_head(net)) for k in missing):
        raise ModelError(
            f"{path} has no head for {name}: {some(missing)} absent; pass head='drop' to keep a fresh one and train it"
        )
    advice = "choose the network that the file was trained with"
    if missing:
        raise ModelError(f"{path} lacks {len(missing)} of {len(own)} tensors of {name}: {some(missing)}; {advice}")
    unexpected = [k for k in state if k not in own]
    if unexpected:
        count = len(unexpected)
        raise ModelError(f"{path} has {count} tensors without a place in {name}: {some(unexpected)}; {advice}")


def _check_values(net: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    own = net.state_dict()
    wrong = [k for k, v in state.items() if v.shape != own[k].shape]
    other_classes = [k for k in wrong if k.startswith(_head(net)) and state[k].shape[1:] == own[k].shape[1:]]
    if wrong and wrong == other_classes:
        expected, got = len(own[wrong[0]]), len(state[wrong[0]])
        raise ModelError(
            f"{path} has a head for {got} classes, the network expects {expected}; build it with {got} classes, "
            "or pass head='drop' to keep a fresh head and train it"
        )
    if wrong:
        shapes = some(f"{k} is {list(state[k].shape)}, expected {list(own[k].shape)}" for k in wrong)
        raise ModelError(
            f"{path} has {len(wrong)} tensors of another shape than {type(net).__name__}: {shapes}; "
            "choose the network that the file was trained with"
        )
    broken = [k for k, v in state.items() if not bool(torch.isfinite(v).all())]
    if broken:
        raise ModelError(
            f"{path} holds NaN or infinite weights in {some(broken)}: its training diverged; use another file"
        )


def save_weights(net: nn.Module, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write the network's weights and metadata as .safetensors: whole or not at all, same bytes each time.

    Parameters
    ----------
    net : Module
        The network.
    path : str or Path
        The file, ending in .safetensors.
    metadata : mapping of str to str
        Kept in the file.

    Raises
    ------
    ModelError
        For another suffix and a path that cannot be written.
    """
    write_checkpoint(Path(path), net.state_dict(), metadata)


def weights_digest(net: nn.Module) -> str:
    """SHA-256 (hex) of the names, types, shapes and bytes of all weights and buffers, on any device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def reverse_input_channels(net: nn.Module) -> None:
    """Turn a network trained on BGR frames into one for RGB, or back, by flipping its first layer in place.

    Parameters
    ----------
    net : Module
        The network, whose first `Conv3d` must have 3 input channels.

    Raises
    ------
    ModelError
        Where it has not that many.
    """
    first = next((m for m in net.modules() if isinstance(m, nn.Conv3d)), None)
    if first is None or first.weight.shape[1] != 3:
        raise ModelError("expected a first Conv3d with 3 input channels, found none; flip the frames instead")
    with torch.no_grad():
        first.weight.copy_(first.weight.flip(1))
