"""Values as bytes that depend on their content only, and back.

Tensors become ``.safetensors``, a label volume an ``.npz`` with one member ``labels``, a record strict JSON.
The bytes of an ``.npz`` also depend on the version of zlib, which packs it. Nothing here reads or writes
pickle. Decoding raises on damaged bytes: tensors and labels carry a checksum, JSON shows only that it was cut
short or is malformed.
"""

import dataclasses
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from voxplain.reading import read_arrays

Array = NDArray[Any]
V = TypeVar("V")
TENSOR_TYPES = {"bool", "float16", "float32", "float64", "complex64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


@dataclasses.dataclass(frozen=True)
class Format(Generic[V]):
    """A file suffix and the two functions between a value and its bytes."""

    suffix: str
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V]


def _plain(array: Array) -> Array:
    """The array in C order and little-endian, whatever it was: the tensor writer copies memory blindly."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("expected a plain array, got a masked one: its mask would be lost, so fill it first.")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _checksum(arrays: Mapping[str, Array]) -> str:
    crc = 0
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name}{array.dtype.str}{array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def _encode_arrays(arrays: Mapping[str, Array]) -> bytes:
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.name not in TENSOR_TYPES:
            got = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"expected numbers or bool of at most 64 bits in array {name!r}, got {got}.")
    plain = {name: _plain(array) for name, array in sorted(arrays.items())}
    # safetensors has no checksum of its own. One metadata entry only: several are written in random order.
    return save_tensors(plain, metadata={"crc32": _checksum(plain)})


def _decode_arrays(data: bytes) -> dict[str, Array]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    arrays = dict(sorted(load_tensors(data).items()))
    if header["__metadata__"]["crc32"] != _checksum(arrays):
        raise ValueError("checksum differs")
    return arrays


def _encode_labels(labels: Array) -> bytes:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "biu":
        got = getattr(labels, "dtype", type(labels).__name__)
        raise TypeError(f"expected an array of integers or bool as labels, got {got}.")
    member, packed = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(member, _plain(labels), allow_pickle=False)
    info = zipfile.ZipInfo("labels.npy")  # np.savez_compressed would write the time of day here
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(info, member.getvalue(), compresslevel=5)  # half of level 6's time for an eighth more bytes
    return packed.getvalue()


def _decode_labels(data: bytes) -> Array:
    return read_arrays(io.BytesIO(data), ["labels"])["labels"]


def _to_json(value: object, where: str) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_to_json(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(n, str) for n in value) and set(value) != {"__float__"}:
        return {name: _to_json(item, f"{where}[{name!r}]") for name, item in value.items()}
    got = type(value).__name__
    raise TypeError(f"expected plain values, lists and string-keyed dicts in {where}, got {got}.")


def _from_json(pairs: dict[str, Any]) -> object:
    return float(pairs["__float__"]) if set(pairs) == {"__float__"} else pairs


def _encode_record(value: object) -> bytes:
    plain = _to_json(value, "record")
    text = json.dumps(plain, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _decode_record(data: bytes) -> Any:
    if not data.endswith(b"\n"):  # without this 12 could be what is left of 123
        raise ValueError("cut short")
    return json.loads(data.decode("utf-8", "surrogatepass"), object_hook=_from_json)


ARRAYS = Format(".safetensors", _encode_arrays, _decode_arrays)
LABELS = Format(".npz", _encode_labels, _decode_labels)
RECORD: Format[Any] = Format(".json", _encode_record, _decode_record)
KINDS = {ARRAYS.suffix: "arrays", LABELS.suffix: "labels", RECORD.suffix: "record"}
