"""The JSON Schema of run.json, made from the records themselves, so that it cannot differ from what is written."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxplain.attribution.attribution_run import AttributionRun
from voxplain.concepts.concept_run import ConceptRun
from voxplain.store.archive import RECORDS
from voxplain.store.runs import FORMAT, VERSION
from voxplain.store.schema import hints_of

__all__ = ["run_schema"]

Schema = dict[str, Any]
_TAGS = {
    "array": "Name of an array in run.npz.",
    "scalar": "Name of an array of one number in run.npz.",
    "float": "nan, inf or -inf, which JSON lacks.",
    "tuple": "A sequence that is not changed.",
    "dict": "Pairs of a name and a value, where names are not texts.",
}


def run_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of the run.json that `save_run` writes.

    Records are objects with one name that begins with $, as in ``{"$Clip": {…}}``; arrays are named here and are in
    run.npz.

    Returns
    -------
    dict
        For `json.dump`.

    Examples
    --------
    >>> sorted(run_schema()["properties"])
    ['format', 'run', 'seal', 'version']
    """
    needed: dict[str, Schema] = {}
    waiting = [ConceptRun, AttributionRun]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ not in needed:
            needed[kind.__name__], further = _record(kind)
            waiting += further
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "run.json of voxplain",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "seal": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "run": {"oneOf": [_reference(ConceptRun), _reference(AttributionRun)]},
        },
        "required": ["format", "version", "seal", "run"],
        "additionalProperties": False,
        "$defs": {**{name: needed[name] for name in sorted(needed)}, **_tags()},
    }


def _record(kind: Any) -> tuple[Schema, list[Any]]:
    """The schema of a record, and the records in its fields."""
    hints, found, further = hints_of(kind), {}, []
    saved = [f for f in dataclasses.fields(kind) if f.metadata.get("saved", True)]
    for field in saved:
        found[field.name], inside = _value(hints.get(field.name, Any))
        further += inside
    fields = {
        "type": "object",
        "properties": found,
        "required": [f.name for f in saved if not f.metadata.get("later")],
        "additionalProperties": False,
    }
    return _tagged(f"${kind.__name__}", fields), further


def _tagged(name: str, content: Schema, description: str | None = None) -> Schema:
    said = {} if description is None else {"description": description}
    return {**said, "type": "object", "properties": {name: content}, "required": [name], "additionalProperties": False}


def _tags() -> dict[str, Schema]:
    """The values that JSON has no form for."""
    anything: Schema = {}
    content: dict[str, Schema] = {
        "array": {"type": "string"},
        "scalar": {"type": "string"},
        "float": {"enum": ["nan", "inf", "-inf"]},
        "tuple": {"type": "array", "items": anything},
        "dict": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}},
    }
    return {name: _tagged(f"${name}", own, _TAGS[name]) for name, own in content.items()}


def _reference(kind: Any) -> Schema:
    return {"$ref": f"#/$defs/{kind if isinstance(kind, str) else kind.__name__}"}


def _any_of(options: Sequence[Schema]) -> Schema:
    unique = [option for n, option in enumerate(options) if option not in options[:n]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}


def _value(hint: Any) -> tuple[Schema, list[Any]]:
    """The schema of a value of a type, and the records in it; what is not known may be anything."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    plain: dict[Any, Schema] = {
        bool: {"type": "boolean"},
        int: _any_of([{"type": "integer"}, _reference("scalar")]),
        float: _any_of([{"type": "number"}, _reference("float"), _reference("scalar")]),
        str: {"type": "string"},
        type(None): {"type": "null"},
        None: {"type": "null"},
    }
    if isinstance(hint, type | None) and hint in plain:
        return plain[hint], []
    if origin is typing.Literal:
        return {"enum": list(arguments)}, []
    if origin is np.ndarray or hint is np.ndarray:
        return _reference("array"), []
    if origin in (typing.Union, types.UnionType):
        parts = [_value(each) for each in arguments]
        return _any_of([schema for schema, _ in parts]), [kind for _, own in parts for kind in own]
    if isinstance(hint, type) and RECORDS.get(hint.__name__) is hint:
        return _reference(hint), [hint]
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return _sequence(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item, further = _value(arguments[1])
        ordinary = {"type": "object", "propertyNames": {"pattern": "^[^$]|^$"}, "additionalProperties": item}
        return _any_of([ordinary, _reference("dict")]), further
    return {}, []


def _sequence(arguments: tuple[Any, ...]) -> tuple[Schema, list[Any]]:
    """A list, or a tuple of one type or of several in their order."""
    if len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is ...):
        item, further = _value(arguments[0])
        content: Schema = {"type": "array", "items": item}
    else:
        parts = [_value(each) for each in arguments]
        further = [kind for _, own in parts for kind in own]
        content = {"type": "array", "prefixItems": [schema for schema, _ in parts], "items": False}
    return _any_of([_tagged("$tuple", content), content]), further
