"""What an experiment is made of, read from a YAML file: data, networks and their training, settings, comparisons.

title: a line
data: weizmann                 a folder below --data, or
planted: {design: standard}    planted videos, drawn for the experiment
unrelated: unrelated           a folder below --data; planted sets have their own
hold_out: [ido]                how the data is divided, as the options of `voxplain train`
nets: [{net: c3d, train: {epochs: 150}}]
settings: [{name: standard, preset: paper, changes: {clusterer.clusters: 25}}]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.errors import DataError
from voxplain.reading import MAX_TEXT, Unreadable, parse_yaml, read_regular
from voxplain.store.schema import misfit

__all__ = ["EXPERIMENTS", "Experiment", "NetPlan", "Setting", "read_experiment"]

_FOLDER = files("voxplain.experiments").joinpath("plans")
EXPERIMENTS = tuple(sorted(Path(f.name).stem for f in _FOLDER.iterdir() if f.name.endswith(".yaml")))


@dataclass(frozen=True)
class NetPlan:
    """One network: ready weights (``net: planted`` brings its own), or the options of its training."""

    net: str
    weights: str | None = None  # a file; relative to the folder of the command
    train: Mapping[str, Any] = field(default_factory=dict)  # fields of Recipe, and resize
    layer: str | None = None
    name: str = ""  # as the tables call it; default: the network's

    @property
    def title(self) -> str:
        """The name in tables."""
        return self.name or self.net


@dataclass(frozen=True)
class Setting:
    """Settings that are compared: a preset and what is changed in it."""

    name: str
    preset: str = "default"
    changes: Mapping[str, Any] = field(default_factory=dict)
    published: str | None = None  # the published tables whose setting this is: kinetics, kth-standard, kth-small

    def resolved(self, seed: int) -> ConceptSettings:
        """The preset with the changes. DataError for a name or value that does not exist."""
        if self.preset not in PRESETS:
            raise DataError(f"expected a preset of {sorted(PRESETS)}, got {self.preset!r}; choose one")
        settings = replace(PRESETS[self.preset], seed=seed)
        for name, value in self.changes.items():
            settings = override(settings, name, value)
        return settings


@dataclass(frozen=True)
class Experiment:
    """A whole experiment; see the module for the file it is read from."""

    name: str
    title: str
    nets: tuple[NetPlan, ...]
    settings: tuple[Setting, ...]
    data: str | None = None
    planted: Mapping[str, Any] | None = None
    unrelated: str | None = None
    dataset: str | None = None
    fold: int = 1
    hold_out: tuple[str, ...] = ()
    split: str | None = None
    classes: tuple[str, ...] = ()  # empty: all
    seed: int = 0
    quick: Mapping[str, Any] = field(default_factory=dict)  # what --quick replaces: classes, nets, settings, changes
    note: str = ""  # text under the table

    def __post_init__(self) -> None:
        """Check that there is something to run on."""
        if (self.data is None) == (self.planted is None):
            raise DataError(f"expected data or planted in the experiment {self.name}, got both or none; give one")
        if not self.nets or not self.settings:
            raise DataError(f"expected nets and settings in the experiment {self.name}, got none; name at least one")

    def shortened(self) -> "Experiment":
        """The experiment that --quick runs: fewer classes, settings and videos, the same design."""
        wanted, changes = self.quick.get("settings"), self.quick.get("changes", {})
        nets = [n for n in self.nets if n.title in self.quick.get("nets", [n.title for n in self.nets])]
        kept = [s for s in self.settings if wanted is None or s.name in wanted]
        return replace(
            self,
            classes=tuple(self.quick.get("classes", self.classes)),
            planted=self.planted and {**self.planted, **self.quick.get("planted", {})},
            nets=tuple(replace(n, train={**n.train, **self.quick.get("train", {})}) for n in nets),
            settings=tuple(replace(s, changes={**s.changes, **changes}, published=None) for s in kept),
        )


def read_experiment(name: str | Path) -> Experiment:
    """An experiment by name (`EXPERIMENTS`) or by the path of a YAML file. Raises DataError for a wrong file."""
    known = str(name) in EXPERIMENTS
    source = _FOLDER.joinpath(f"{name}.yaml") if known else Path(name)
    try:
        record = parse_yaml(source.read_text(encoding="utf-8") if known else _own_file(Path(name)))
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(
            f"expected an experiment of {', '.join(EXPERIMENTS)} or a YAML file, got {name}: {reason}; name one"
        ) from None
    if not isinstance(record, dict):
        raise DataError(f"expected names and values in {name}, got {type(record).__name__}; see an experiment's file")
    return _experiment(Path(str(name)).stem, record)


def _own_file(path: Path) -> str:
    return read_regular(path, MAX_TEXT).decode()


def _experiment(name: str, record: dict[str, Any]) -> Experiment:
    _check_names(name, record, Experiment)
    lists: dict[str, Any] = {}
    kinds: dict[str, type] = {"nets": NetPlan, "settings": Setting}
    for key, kind in kinds.items():
        entries = record.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise DataError(f"expected a list of {key} in {name}, got {entries!r}; write `{key}: [{{…}}]`")
        for entry in entries:
            _check_names(name, entry, kind)
            for field_name, value in entry.items():
                _check_value(name, kind, field_name, value)
        try:
            lists[key] = tuple(kind(**entry) for entry in entries)
        except TypeError as error:
            raise DataError(f"expected complete {key} in {name}, got {entries!r}: {error}; complete them") from None
    for key in ("hold_out", "classes"):
        if not isinstance(record.get(key, []), list):
            raise DataError(f"expected a list of {key} in {name}, got {record[key]!r}; write `{key}: […]`")
    tuples: dict[str, Any] = {key: tuple(record[key]) for key in ("hold_out", "classes") if key in record}
    given: dict[str, Any] = {**record, "name": name, "title": record.get("title", name), **lists, **tuples}
    for key, value in given.items():
        _check_value(name, Experiment, key, value)
    return Experiment(**given)


def _check_value(name: str, kind: type, key: str, value: Any) -> None:
    if wrong := misfit(kind, key, value):
        raise DataError(f"{wrong} in the experiment {name}; correct it")


def _check_names(name: str, record: Mapping[str, Any], kind: type) -> None:
    known = [f.name for f in fields(kind)]
    for key in record:
        if key not in known:
            raise DataError(f"expected {', '.join(known)} in the experiment {name}, got {key!r}; correct the name")
