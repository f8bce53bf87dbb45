"""Changed copies of every file that voxplain reads, and what its readers make of them."""

from __future__ import annotations

import copy
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from voxplain.attribution import Attribution
from voxplain.cli.job import read_assignments, read_job
from voxplain.cli.report import read_origin, read_runs, report_command
from voxplain.concepts.settings import ConceptSettings, override
from voxplain.errors import VoxplainError
from voxplain.experiments.plan import read_experiment
from voxplain.store import save_run
from voxplain.store.archive import seal
from voxplain.store.formats import ARRAYS, LABELS, RECORD
from voxplain.zoo import load_model

HANG = 10.0  # seconds of processor time from which a reader counts as hanging: other programs do not count
# Values that take the place of others: other types, extremes, deep nesting, names of other things.
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1e308,
    "",
    "\x1b[31m\0\n",
    "x" * 5000,
    "../../../etc/passwd",
    [],
    {},
    [None],
    {"a": 1},
    {"$array": "none"},
    {"$Clip": {}},
    {"$dict": [[[], 1]]},
    {"$dict": [1]},
    {"$tuple": 3},
    {"$float": []},
    {"$Path": {"x": 1}},
    [[[[[[[[]]]]]]]],
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: writes a whole one into a folder, damages it, and reads it as voxplain does."""

    name: str
    write: Callable[[Path], None]
    damage: Callable[[Path, np.random.Generator], None]
    read: Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """What became of one changed file: "read", "refused" in one sentence, or the name of an escaped exception."""

    kind: str
    ended: str
    seconds: float


def fuzz(kind: Kind, folder: Path, seed: int) -> Outcome:
    """Write a file of a kind, change it, and read it."""
    folder.mkdir(parents=True, exist_ok=True)
    kind.write(folder)
    kind.damage(folder, np.random.default_rng(seed))
    start = time.process_time()
    try:
        kind.read(folder)
        ended = "read"
    except (VoxplainError, OSError) as error:
        ended = "refused" if "\n" not in str(error) else f"several lines: {error!r}"
    except BaseException as error:
        ended = f"{type(error).__name__}: {str(error)[:200]}"
    return Outcome(kind.name, ended, time.process_time() - start)


def change_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes that are cut, changed, zeroed, removed or repeated."""
    size = len(data)
    at, length = int(rng.integers(0, max(size, 1))), int(rng.integers(1, max(size // 8, 2)))
    kind = int(rng.integers(5))
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed = bytearray(data)
        for place in rng.integers(0, size, 1 + int(rng.integers(8))):
            changed[place] = int(rng.integers(256))
        return bytes(changed)
    if kind == 2:
        return data[:at] + bytes(min(length, size - at)) + data[at + length :]
    if kind == 3:
        return data[:at] + data[at + length :]
    return data[:at] + data[at : at + length] + data[at:]


def change_tree(tree: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one node replaced, removed, renamed or exchanged with another."""
    tree = copy.deepcopy(tree)
    nodes = list(_nodes(tree))
    if not nodes:
        return VALUES[int(rng.integers(len(VALUES)))]
    parent, key = nodes[int(rng.integers(len(nodes)))]
    kind = int(rng.integers(6))
    if kind < 3:
        parent[key] = VALUES[int(rng.integers(len(VALUES)))]
    elif kind == 3:
        del parent[key]
    elif kind == 4:
        other, name = nodes[int(rng.integers(len(nodes)))]
        parent[key] = copy.deepcopy(other[name])
    elif isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    else:
        parent.append(copy.deepcopy(parent[key]))
    return tree


def _nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _nodes(value)


def _json_file(name: str) -> Callable[[Path, np.random.Generator], None]:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        path = folder / name
        if rng.random() < 0.3:
            path.write_bytes(change_bytes(path.read_bytes(), rng))
        else:
            path.write_text(json.dumps(change_tree(json.loads(path.read_text()), rng)))

    return damage


def _binary_file(name: str) -> Callable[[Path, np.random.Generator], None]:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        (folder / name).write_bytes(change_bytes((folder / name).read_bytes(), rng))

    return damage


def sealed(folder: Path, tree: Any) -> None:
    """Write run.json with another content and the seal that fits, as who changes it on purpose would."""
    record = json.loads((folder / "run.json").read_text())
    with (folder / "run.npz").open("rb") as arrays:
        record |= {"run": tree, "seal": seal(tree, arrays)}
    (folder / "run.json").write_text(json.dumps(record))


def _damage_sealed(folder: Path, rng: np.random.Generator) -> None:
    sealed(folder, change_tree(json.loads((folder / "run.json").read_text())["run"], rng))


def _damage_archive(folder: Path, rng: np.random.Generator) -> None:
    """Members with headers that claim more, of objects, empty, removed or many; the seal fits."""
    path, out = folder / "run.npz", io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as changed:
        infos = archive.infolist()
        chosen = int(rng.integers(len(infos)))
        for i, info in enumerate(infos):
            data = archive.read(info)
            if i == chosen:
                kind = int(rng.integers(5))
                if kind == 0:
                    continue
                header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }"
                head = (header % (("|O", "<f8", "<U0", "V8")[int(rng.integers(4))], 2**34)).encode().ljust(117) + b"\n"
                data = (b"", b"\x93NUMPY\x01\x00v\x00" + head, change_bytes(data, rng), data[:60])[kind - 1]
            changed.writestr(info.filename, data)
    path.write_bytes(out.getvalue())
    sealed(folder, json.loads((folder / "run.json").read_text())["run"])


def kinds(make_run: Callable[[], Any], job: dict[str, Any], weights: Path) -> list[Kind]:
    """Every kind of file; ``make_run`` gives a run, ``job`` a record of job.json, ``weights`` a file of weights."""

    def write_run(folder: Path) -> None:
        save_run(folder, make_run())

    def report(folder: Path) -> None:
        report_command(folder, output=folder / "page.html")

    def write_yaml(folder: Path) -> None:
        text = "keep: 30\nsegmenter:\n  method: slic\n  segments: [4, 8]\nranking: tcav\nreach: 1.5\n"
        (folder / "settings.yaml").write_text(text)

    def read_yaml(folder: Path) -> None:
        settings = ConceptSettings()
        for name, value in read_assignments(folder / "settings.yaml", ()):
            settings = override(settings, name, value)

    def damage_yaml(folder: Path, rng: np.random.Generator) -> None:
        path = folder / "settings.yaml"
        text = path.read_text()
        extra = (
            "a: &a [x]\nb: *a\n",
            "a: " + "[" * 3000,
            "? - a\n: b\n",
            "!!python/object:os.system x\n",
            "2001-13-45: 1\n",
            "a: !!binary x\n",
            "<<: [1]\n",
            "keep: .nan\n",
            "keep: 1e400\n",
            "segmenter: {method: [[slic]]}\n",
            "a: {" * 500,
            "=: =\n",
        )
        if rng.random() < 0.5:
            path.write_text(text + extra[int(rng.integers(len(extra)))])
        else:
            path.write_bytes(change_bytes(path.read_bytes(), rng))

    def write_plan(folder: Path) -> None:
        record = {
            "title": "x",
            "planted": {"train": 4},
            "nets": [{"net": "planted"}],
            "settings": [{"name": "a", "changes": {"keep": 3}}],
            "classes": ["bend"],
            "quick": {"settings": ["a"]},
        }
        (folder / "plan.yaml").write_text(json.dumps(record))

    def read_plan(folder: Path) -> None:
        for setting in read_experiment(folder / "plan.yaml").settings:
            setting.resolved(0)

    def damage_weights(folder: Path, rng: np.random.Generator) -> None:
        path = folder / "w.safetensors"
        if rng.random() < 0.4:
            path.write_bytes(change_bytes(path.read_bytes(), rng))
            return
        tensors = safetensors.torch.load(path.read_bytes())
        metadata = {"net": "tiny", "classes": '["a", "b"]', "resize": "[64, 64]", "recipe": '{"stride": 1}'}
        texts = ("[" * 100_000, "[100000, 100000]", "null", "{}", "[1, 2]", '{"stride": 1e99}', "", "\x1b", "[-1, 0]")
        name = list(metadata)[int(rng.integers(len(metadata)))]
        metadata[name] = texts[int(rng.integers(len(texts)))]
        path.write_bytes(safetensors.torch.save(tensors, metadata))

    def write_map(folder: Path) -> None:
        Attribution(np.ones((2, 4, 4), np.float32), 0, "gradient", {}, {}, None).save(folder / "map.npz")

    def stored(form: Any, value: Any) -> tuple[Callable[[Path], None], Callable[[Path], None], str]:
        name = f"value{form.suffix}"

        def read(folder: Path) -> None:
            try:
                form.decode((folder / name).read_bytes())
            except Exception as error:  # a store makes such a result again, whatever the error
                raise VoxplainError("made again") from error

        return (lambda folder: (folder / name).write_bytes(form.encode(value)) and None), read, name

    arrays = stored(ARRAYS, {"a": np.ones((3, 4), np.float32)})
    labels = stored(LABELS, np.arange(60, dtype=np.int32).reshape(3, 4, 5))
    record = stored(RECORD, {"a": [1, 2.5, None], "b": {"c": "x"}})

    def write_job(folder: Path) -> None:
        (folder / "job.json").write_text(json.dumps(job))

    def write_origin(folder: Path) -> None:
        (folder / "origin.json").write_text(json.dumps({"command": "voxplain", "seconds": {"a": 1.0}}))

    return [
        Kind("run.json", write_run, _damage_sealed, read_runs),
        Kind("run.json bytes", write_run, _json_file("run.json"), read_runs),
        Kind("run.npz", write_run, _damage_archive, read_runs),
        Kind("page of a run", write_run, _damage_sealed, report),
        Kind("job.json", write_job, _json_file("job.json"), read_job),
        Kind("origin.json", write_origin, _json_file("origin.json"), read_origin),
        Kind("settings", write_yaml, damage_yaml, read_yaml),
        Kind("experiment", write_plan, _json_file("plan.yaml"), read_plan),
        Kind(
            "weights",
            lambda folder: (folder / "w.safetensors").write_bytes(weights.read_bytes()) and None,
            damage_weights,
            lambda folder: load_model("tiny", weights=folder / "w.safetensors", device="cpu"),
        ),
        Kind("map", write_map, _binary_file("map.npz"), lambda folder: Attribution.load(folder / "map.npz")),
        Kind("stored arrays", arrays[0], _binary_file(arrays[2]), arrays[1]),
        Kind("stored labels", labels[0], _binary_file(labels[2]), labels[1]),
        Kind("stored record", record[0], _binary_file(record[2]), record[1]),
    ]
