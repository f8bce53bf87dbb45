"""The identity of a network, under which every result is stored.

Two parts decide whether results may be shared. The *structure* is compared exactly: weights, buffers, modules and their
plain attributes, the byte code of every ``forward`` outside torch, the layer that is explained and the input. The
*answer*, the network's outputs for one fixed seeded probe clip, is compared with a tolerance, because other processors
and devices sum in another order. It catches what the structure cannot show, such as a function that ``forward`` calls.

What cannot change a result is left out: batch size, device, class names, sampling and resizing of videos (whose frames
are part of every key), memory order, the model's name. Letters: K logits, D feature dimensions.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain.model.layers import evaluation_mode, find_layer, record_output
from voxplain.model.video_model import VideoModel

__all__ = ["Fingerprint", "architecture_digest", "fingerprint", "function_digest", "probe_clip"]

# Of the largest value of the answer. float32 kernels of other processors differ by 1e-6, TF32 of a GPU by about 1e-3.
_TOLERANCE = {torch.float64: 2e-3, torch.float32: 2e-3}
_COARSE = 3e-2  # bfloat16 and float16 weights
_ATTRIBUTES = (bool, int, float, str)  # plain attributes of modules that count as structure


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Identity of a network at a layer.

    Parameters
    ----------
    structure : str
        SHA-256 in hexadecimal of all that is compared exactly.
    answer : ndarray, float32 [K + D]
        Logits and features of the probe clip.
    tolerance : float
        Largest difference of logits and of features, relative to the largest absolute value, that counts as equal.
    split : int
        K, where the features begin.
    """

    structure: str
    answer: np.ndarray
    tolerance: float
    split: int

    @property
    def name(self) -> str:
        """32 hexadecimal digits of the structure and this answer."""
        return hashlib.sha256(self.structure.encode() + self.answer.astype("<f4").tobytes()).hexdigest()[:32]

    def record(self) -> dict[str, Any]:
        """Structure and logits of the probe clip as plain values, by which the network of a run on disk is compared."""
        return {"structure": self.structure, "logits": [float(v) for v in self.answer[: self.split]]}

    def agrees(self, record: dict[str, Any]) -> bool:
        """Whether a `record` is of the same network, up to the tolerance."""
        logits = np.asarray(record["logits"], np.float32)
        if record["structure"] != self.structure or logits.shape != (self.split,):
            return False
        return _close(self.answer[: self.split], logits, self.tolerance)

    def matches(self, answer: np.ndarray) -> bool:
        """Whether another answer for the probe clip is equal up to the tolerance."""
        if answer.shape != self.answer.shape:
            return False
        parts = (slice(None, self.split), slice(self.split, None))
        return all(_close(self.answer[part], answer[part], self.tolerance) for part in parts)


def fingerprint(model: VideoModel) -> Fingerprint:
    """Compute the identity of a network at its layer; one forward pass of one clip.

    Parameters
    ----------
    model : VideoModel
        The network as the user gave it, not a faster copy of it.

    Returns
    -------
    Fingerprint
        Equal in structure, and in the answer up to rounding, on every machine.

    Examples
    --------
    >>> import voxplain as vx
    >>> from voxplain.model.fingerprint import fingerprint
    >>> model = vx.load_model("planted")
    >>> fingerprint(model).matches(fingerprint(model).answer)
    True
    """
    before = _attributes(model.settled().net)
    answer, split = _answer(model)
    after = _attributes(model.net)
    kept = [entry for entry in before if entry in after]  # without what a forward pass counts up
    structure = _digest([_tensors_digest(model.net), _architecture(model, kept)])
    return Fingerprint(structure, answer, _TOLERANCE.get(model.dtype, _COARSE), split)


def architecture_digest(model: VideoModel) -> str:
    """SHA-256 of a network's structure without weights and buffers: what a checkpoint of its training must match.

    Attributes that are whole numbers are left out: a network may count its calls in them.
    """
    attributes = [entry for entry in _attributes(model.net) if not entry[2].lstrip("-").isdigit()]
    return _digest(_architecture(model, attributes))


def _architecture(model: VideoModel, attributes: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {
        # Strides, kinds of pooling and activations have no weights: the printed structure distinguishes them, without
        # the addresses in it, which change from run to run.
        "modules": re.sub(r"0x[0-9a-fA-F]+", "", repr(model.net)),
        "attributes": attributes,
        "code": _code(model.net),
        "layer": model.layer,
        "pool": model.pool,
        "channel_axis": model.channel_axis,
        "layout": model.layout,
        "grid": list(model.grid),
        "mean": list(model.mean),
        "std": list(model.std),
        **_outputs_and_inputs(model),
        **({} if model.tokens is None else {"tokens": repr(model.tokens)}),
    }


def _outputs_and_inputs(model: VideoModel) -> dict[str, Any]:
    """How scores are picked and read and how clips are given, as far as it is not plain: classes from one tensor.

    What is plain is left out, so that results of a classifier are found under the names that they always had.
    """
    plain = {
        "task": "classification",
        "probabilities": False,
        "output": None,
        "pathways": None,
        "frames_in_batch": False,
        "narrowed": None,
    }
    found = {name: getattr(model, name) for name in plain}
    found["task"] = model.task or plain["task"]  # None: several outputs that are taken as classes
    return {
        name: function_digest(value) if callable(value) else repr(value)
        for name, value in found.items()
        if value != plain[name]
    }


def function_digest(function: Any) -> str:
    """What a function of the user's computes: its code, defaults and enclosed values, or an object's type and text."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        kind = type(function)
        weights = _tensors_digest(function) if isinstance(function, nn.Module) else ""
        facts: Any = (f"{kind.__module__}.{kind.__qualname__}", _code_digest(kind.__call__), weights, _plain(function))
    else:
        cells = [_plain(cell.cell_contents) for cell in function.__closure__ or ()]
        facts = (_code_facts(code), cells, _plain(function.__defaults__), _plain(function.__kwdefaults__))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _plain(value: Any) -> str:
    """A value as text that is the same in every process: tensors by their bytes, functions by their code."""
    if isinstance(value, torch.Tensor | np.ndarray):
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    if isinstance(value, tuple | list):
        return repr([_plain(item) for item in value])
    if hasattr(value, "__code__"):
        return function_digest(value)
    return re.sub(r"0x[0-9a-fA-F]+", "", repr(value))


def _digest(described: Any) -> str:
    text = json.dumps(described, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def probe_clip(grid: tuple[int, int, int]) -> np.ndarray:
    """The fixed clip that networks are compared on: coarse and fine seeded noise, uint8 [1,T,H,W,3]."""
    t, h, w = grid
    rng = np.random.default_rng(20260101)
    coarse = rng.integers(0, 200, (-(-t // 4), -(-h // 16), -(-w // 16), 3))
    large = coarse.repeat(4, 0).repeat(16, 1).repeat(16, 2)[:t, :h, :w]
    return (large + rng.integers(0, 56, (t, h, w, 3))).astype(np.uint8)[None]


@torch.no_grad()
def _answer(model: VideoModel) -> tuple[np.ndarray, int]:
    """Logits and features of the probe clip, float32 [K + D], and K. NaN and infinity are allowed here."""
    seen: list[torch.Tensor] = []
    layer = find_layer(model.net, model.layer) if model.layer else nn.Identity()
    with evaluation_mode(model.net), record_output(layer, seen):
        z = model.forward(model.prepare(probe_clip(model.grid)))
    features = model.feature_of(seen[0], 1) if seen else torch.zeros(0)
    parts = [part.float().flatten().cpu().numpy() for part in (z, features)]
    return np.concatenate(parts), len(parts[0])


def _tensors_digest(net: nn.Module) -> str:
    """SHA-256 of names, types, shapes and bytes of all parameters and buffers, also those that no checkpoint holds."""
    digest = hashlib.sha256()
    tensors = dict(net.named_parameters(remove_duplicate=False)) | dict(net.named_buffers(remove_duplicate=False))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Whether two parts of an answer are equal up to ``tolerance`` of the largest finite value."""
    largest = max((float(np.abs(v[np.isfinite(v)]).max(initial=0.0)) for v in (a, b)), default=0.0)
    return bool(np.allclose(a, b, rtol=0.0, atol=tolerance * largest, equal_nan=True))


def _attributes(net: nn.Module) -> list[tuple[str, str, str]]:
    """(module, attribute, value) of every plain public attribute, such as the epsilon of a norm of the user's own."""
    found = []
    for name, module in net.named_modules():
        for key, value in sorted(vars(module).items()):
            plain = value if isinstance(value, tuple | list) else (value,)
            if key != "training" and not key.startswith("__") and all(isinstance(v, _ATTRIBUTES) for v in plain):
                found.append((name, key, repr(value)))
    return found


def _code(net: nn.Module) -> dict[str, str]:
    """Hash of the byte code of ``forward`` by class, for classes that are not torch's own."""
    kinds = {type(module) for module in net.modules()}
    return {
        f"{kind.__module__}.{kind.__qualname__}": _code_digest(kind.forward)
        for kind in kinds
        if not kind.__module__.startswith("torch.")
    }


def _code_digest(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return hashlib.sha256(repr(_code_facts(code)).encode()).hexdigest() if isinstance(code, CodeType) else ""


def _code_facts(code: CodeType) -> tuple[Any, ...]:
    """What a function computes, without file names and line numbers."""
    constants = tuple(_code_facts(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, constants, code.co_names
