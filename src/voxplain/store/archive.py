"""Records as JSON and arrays, and back: `pack` and `unpack` for the dataclasses that a run consists of.

In the JSON a tagged object has one name that begins with $: ``{"$Clip": {…fields}}``, ``{"$array": "clips.0.frames"}``,
``{"$tuple": […]}``, ``{"$float": "nan"}``. Lists, plain values and dicts with ordinary names are written as they are.
The types that may be made are listed here: data cannot name others.
"""

import dataclasses
import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.audits import (
    AddedConcept,
    AuditRun,
    Cause,
    ClassAudit,
    ClipChange,
    ConceptAudit,
    ConfusedPair,
    Evidence,
    KindShare,
    PresenceTest,
    Relation,
    RelationEffect,
    Slice,
    Suspect,
)
from voxplain.concepts.cav import CAVs
from voxplain.concepts.clip_exploration import ExploredClip
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun
from voxplain.concepts.discover import ConceptBank
from voxplain.concepts.effect import Effects
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.held_out_match import HeldOutMatch
from voxplain.concepts.order_tests import OrderTest
from voxplain.concepts.rank import ConceptScores
from voxplain.concepts.recognition import Recognition
from voxplain.concepts.warnings import RunWarning
from voxplain.concepts.wholes import Whole
from voxplain.large import pieces
from voxplain.lazy import Lazy
from voxplain.reading import Unreadable, read_arrays
from voxplain.segment import Supervoxels
from voxplain.store.keys import content_hash
from voxplain.store.schema import misfit
from voxplain.video import Clip

__all__ = ["RECORDS", "Damaged", "pack", "seal", "unpack"]

RECORDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        AddedConcept,
        AttributionRun,
        AuditRun,
        CAVs,
        Cause,
        ClassAudit,
        Clip,
        ClipChange,
        ConceptAudit,
        ConceptBank,
        ConceptRun,
        ConceptScores,
        ConfusedPair,
        Evidence,
        KindShare,
        OrderTest,
        Effects,
        EvaluationRun,
        ExploredClip,
        AddRemoveCurves,
        HeldOutMatch,
        PresenceTest,
        Recognition,
        Relation,
        RelationEffect,
        RunWarning,
        Slice,
        Supervoxels,
        Suspect,
        Whole,
    )
}
# Of deflate. 200 noisy clips of 16×112×112: frames 104 MB at any level; labels 14 MB in 1.7 s at 1, 9 MB in 2.4 s at 4,
# 6 MB in 3.9 s at 6.
_LEVEL = 4
_PIECE = 1 << 20  # bytes of an array that are packed at once
_SPOOLED = 32 << 20  # bytes of an archive that stay in memory
_CONTENT: dict[str, type] = {"$float": str, "$tuple": list, "$dict": list, "$array": str, "$scalar": str}
_PLAIN = r"[A-Za-z0-9_-]+"  # names that may be part of an array's name unchanged


class Damaged(ValueError):
    """What is read is not what was written."""


@contextmanager
def pack(value: object) -> Iterator[tuple[Any, BinaryIO]]:
    """A record as (plain JSON value, an .npz file open inside the block); the same record gives the same two.

    Arrays are written one by one as they are met, and what is large goes to disk: a run need not fit into memory.
    Raises TypeError for what is no plain value, tuple, list, dict, array of numbers or text, or record listed here.
    """
    with SpooledTemporaryFile(max_size=_SPOOLED) as spooled:
        packed = cast(BinaryIO, spooled)
        with zipfile.ZipFile(packed, "w") as archive:
            tree = _Writer(archive, set(), {}).tree(value, "")
        yield tree, packed


def unpack(tree: Any, data: BinaryIO) -> Any:
    """What `pack` was given. Raises Damaged, or what the records raise, for what it never gave.

    Only the arrays that ``tree`` names are read; every field of a record is checked against its type hint.
    """
    try:
        return _value(tree, read_arrays(data, _named(tree)))
    except Unreadable as error:
        raise Damaged(str(error)) from error


def _named(tree: Any) -> list[str]:
    """The arrays that a tree names."""
    if isinstance(tree, list):
        return [name for item in tree for name in _named(item)]
    if not isinstance(tree, dict):
        return []
    tag = next(iter(tree), "")
    if tag in ("$array", "$scalar"):
        if not isinstance(tree[tag], str):
            raise Damaged(f"the name of an array is a {type(tree[tag]).__name__}")
        return [tree[tag]]
    return [name for item in tree.values() for name in _named(item)]


def seal(tree: Any, data: BinaryIO) -> str:
    """SHA-256 of both halves, in hexadecimal; spaces and line breaks of the JSON do not count."""
    digest = hashlib.sha256()
    data.seek(0)
    while part := data.read(1 << 20):
        digest.update(part)
    digest.update(json.dumps(tree, separators=(",", ":")).encode("ascii"))
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Writes arrays while it turns a value into JSON; equal ones once, named by where they were met first."""

    archive: zipfile.ZipFile
    taken: set[str]
    names: dict[str, str]  # by content

    def tree(self, value: object, where: str) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, np.ndarray):
            return {"$array": self.array(value, where)}
        if isinstance(value, np.generic):
            return {"$scalar": self.array(np.asarray(value), where)}
        if type(value) is list:
            return self.items(value, where)
        if isinstance(value, tuple | Lazy):
            return {"$tuple": self.items(value, where)}
        if type(value) is dict:
            return self.mapping(value, where)
        name = type(value).__name__
        if RECORDS.get(name) is type(value):
            kept = [f for f in dataclasses.fields(cast(Any, value)) if f.metadata.get("saved", True)]
            fields = {f.name: getattr(value, f.name) for f in kept}
            # A field that was added later is written where it says something, so that other records keep their bytes.
            fields = {f.name: fields[f.name] for f in kept if not (f.metadata.get("later") and not fields[f.name])}
            return {f"${name}": {n: self.tree(v, _join(where, n)) for n, v in fields.items()}}
        raise TypeError(f"expected plain values, arrays and records of a run at {where or 'the top'}, got {name}.")

    def items(self, value: Sequence[Any], where: str) -> list[Any]:
        return [self.tree(item, _join(where, str(i))) for i, item in enumerate(value)]

    def mapping(self, value: dict[Any, Any], where: str) -> Any:
        parts = [(n, n if isinstance(n, str) and re.fullmatch(_PLAIN, n) else str(i)) for i, n in enumerate(value)]
        items = {n: self.tree(value[n], _join(where, part)) for n, part in parts}
        if all(type(name) is str and not name.startswith("$") for name in items):
            return items
        return {"$dict": [[self.tree(name, where), item] for name, item in items.items()]}

    def array(self, value: NDArray[Any], where: str) -> str:
        content = content_hash(value)  # raises for objects and masked arrays
        if content not in self.names:
            name, number = where or "value", 1
            while name in self.taken:  # names of dicts may spell the same path twice
                number += 1
                name = f"{where}-{number}"
            self.names[content] = name
            self.taken.add(name)
            self.write(name, np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C"))
        return self.names[content]

    def write(self, name: str, array: NDArray[Any]) -> None:
        # The date of a fresh ZipInfo is a fixed one, unlike that of `writestr` with a name.
        info = zipfile.ZipInfo(f"{name}.npy")
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
        info._compresslevel = _LEVEL  # type: ignore[attr-defined]  # as `writestr` sets it
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
        info.file_size = len(head.getvalue()) + array.nbytes
        with self.archive.open(info, "w") as member:
            member.write(head.getvalue())
            for part in pieces(array, _PIECE):
                member.write(part)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _value(tree: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(tree, list):
        return [_value(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag: str = next(iter(tree), "")
    content: Any = tree.get(tag)
    if tag.startswith("$") and (len(tree) != 1 or not isinstance(content, _CONTENT.get(tag, dict))):
        raise Damaged(f"{tag} with a {type(content).__name__}")
    if not tag.startswith("$"):
        return {name: _value(item, arrays) for name, item in tree.items()}
    if tag == "$float":
        return float(content)
    if tag == "$tuple":
        return tuple(_value(item, arrays) for item in content)
    if tag == "$dict":
        return {_value(name, arrays): _value(item, arrays) for name, item in content}
    if tag in ("$array", "$scalar"):
        return arrays[content] if tag == "$array" else arrays[content][()]
    if tag[1:] not in RECORDS:
        raise Damaged(f"no record is called {tag[1:]!r}")
    kind, made = RECORDS[tag[1:]], {name: _value(item, arrays) for name, item in content.items()}
    for name, value in made.items():
        if wrong := misfit(kind, name, value):
            raise Damaged(wrong)
    return kind(**made)
