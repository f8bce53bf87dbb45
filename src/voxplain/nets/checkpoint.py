"""Files of weights: flat state dicts of tensors under the names of the networks here, read and written.

| naming | file | maps to |
|---|---|---|
| exact | files written here, torchvision r3d_18, c3d.pickle, rgb_imagenet.pt | itself |
| c3d-sequential | c3d-pretrained.pth: `features.N`, `classifier.N`, last layer absent | conv1 … fc8 |
| i3d-lower | kinetics400_rgb_i3d.pth: `mixed_3b.branch_1.0.batch3d` … | `Mixed_3b.b1a.bn` … |

Nothing here unpickles objects: `torch.load` runs with ``weights_only=True``, and other pickles raise an error.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from voxplain.errors import ModelError

TORCH_SUFFIXES = (".pt", ".pth", ".pickle", ".pkl", ".bin", ".ckpt", ".tar")
NESTED_UNDER = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # added by DataParallel and torch.compile

C3D_FEATURES = {0: "1", 3: "2", 6: "3a", 8: "3b", 11: "4a", 13: "4b", 16: "5a", 18: "5b"}
C3D_CLASSIFIER = {0: "fc6", 3: "fc7", 6: "fc8"}
I3D_BRANCHES = {"0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b", "3.1": "b3b"}


def _c3d_sequential(name: str) -> str:
    found = re.fullmatch(r"(features|classifier)\.(\d+)\.(weight|bias)", name)
    if found is None:
        return name
    part, index, what = found[1], int(found[2]), found[3]
    if part == "features":
        return f"conv{C3D_FEATURES[index]}.{what}" if index in C3D_FEATURES else name
    return f"{C3D_CLASSIFIER[index]}.{what}" if index in C3D_CLASSIFIER else name


def _i3d_lower(name: str) -> str:
    if name.startswith("conv3d_0c_1x1."):
        return name.replace("conv3d_0c_1x1.", "logits.", 1)
    name = name.replace(".batch3d.", ".bn.")
    found = re.fullmatch(r"mixed_(\w\w)\.branch_(\d(?:\.\d)?)\.((?:conv3d|bn)\..+)", name)
    if found is not None and found[2] in I3D_BRANCHES:
        return f"Mixed_{found[1]}.{I3D_BRANCHES[found[2]]}.{found[3]}"
    return re.sub(r"^conv3d_(\w\w_\dx\d)\.", r"Conv3d_\1.", name)


# Source name → name here; other names are unchanged.
NAMINGS: dict[str, Callable[[str], str]] = {
    "exact": lambda name: name,
    "c3d-sequential": _c3d_sequential,
    "i3d-lower": _i3d_lower,
}


def some(names: Iterable[str], limit: int = 3) -> str:
    """The first few names, and how many more there are: for error messages."""
    listed = list(names)
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise ModelError(f"{path} is no whole .safetensors file ({error}); copy or download it again") from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch raises a dozen types on files that are not its own
        raise ModelError(
            f"{path} cannot be read as tensors only ({type(error).__name__}): it is damaged, or a pickle of "
            "other objects, which is not read because opening one runs its code; if you trust the file, load it in "
            "Python yourself and write it again with torch.save(net.state_dict(), ...)"
        ) from error


def _unwrap(state: Any, path: Path) -> dict[str, Tensor]:
    """The innermost state dict of what a file holds, without the prefixes of wrappers."""
    while isinstance(state, Mapping):
        inside = [state[key] for key in NESTED_UNDER if isinstance(state.get(key), Mapping)]
        if not inside:
            break
        state = inside[0]
    if not isinstance(state, Mapping) or not state:
        kind = "nothing" if isinstance(state, Mapping) else f"a {type(state).__name__}"
        raise ModelError(f"{path} holds {kind}, not a state dict of named tensors; save net.state_dict()")
    others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise ModelError(f"{path} has entries that are no tensors: {some(others)}; save net.state_dict() alone")
    flat = {str(name): value for name, value in state.items()}
    while any(all(name.startswith(prefix) for name in flat) for prefix in PREFIXES):
        flat = {name.split(".", 1)[1]: value for name, value in flat.items()}
    return flat


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the state dict of a file under the file's own names.

    Parameters
    ----------
    path : Path
        A .safetensors or torch file.

    Returns
    -------
    tuple of dict
        Tensors by name, and the file's metadata (empty for torch files).

    Raises
    ------
    ModelError
        Where there is no such file, it has another suffix, is damaged, holds objects other than tensors, or no state
        dict.
    """
    if not path.is_file():
        raise ModelError(f"no weights file at {path}; check the path")
    if path.suffix == ".safetensors":
        state, metadata = _read_safetensors(path)
        return _unwrap(state, path), metadata
    if path.suffix in TORCH_SUFFIXES:
        return _unwrap(_read_torch(path), path), {}
    known = ", ".join((".safetensors", *TORCH_SUFFIXES))
    raise ModelError(f"weights files end in {known}, got {path.name!r}; rename it to its true format")


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors and metadata as .safetensors: whole or not at all, same bytes each time.

    The file is written under a temporary name in the same folder, synced and renamed.

    Parameters
    ----------
    path : Path
        The file.
    tensors : mapping of str to Tensor
        On any device.
    metadata : mapping of str to str
        Written into the header, sorted by name.

    Raises
    ------
    ModelError
        For another suffix and a path that cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ModelError(f"weights are written as .safetensors, got {path.name!r}; change the file's suffix")
    # Copies, because the format does not allow tensors that share memory (tied weights).
    blob = safetensors.torch.save({k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()})
    end = 8 + int.from_bytes(blob[:8], "little")
    # The library writes metadata in an order that changes from run to run; this header always sorts it.
    header = json.dumps({"__metadata__": dict(sorted(metadata.items())), **json.loads(blob[8:end])}).encode()
    header += b" " * (-len(header) % 8)  # tensors start on 8 bytes
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.write(memoryview(blob)[end:])
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(f"cannot write weights to {path}: {error.strerror}; check folder and space") from error
    finally:
        temporary.unlink(missing_ok=True)
