"""`Job`: all that a run of `voxplain concepts` depends on, and job.json, which keeps it beside the results."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from voxplain.cli.file_list import FileList
from voxplain.cli.held_out import HeldOut
from voxplain.cli.network import Network
from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.errors import DataError, VoxplainError
from voxplain.reading import MAX_TEXT, Unreadable, parse_yaml, read_json, read_regular
from voxplain.video import Damaged

__all__ = ["Job", "job_record", "read_assignments", "read_job"]


@dataclass(frozen=True)
class Job:
    """Everything that a run of `voxplain concepts` depends on; RUN/job.json holds it.

    Parameters
    ----------
    data, random, output : Path
        Folders of the videos, of the unrelated videos, and for the results.
    classes : tuple of str
        The classes to explain.
    network : Network
        The network and its layers.
    settings : ConceptSettings
        The settings, changes included.
    preset : str
        The name of the preset that ``settings`` started from.
    held : HeldOut
        How ``data`` is divided into training and test videos.
    test : Path, optional
        A separate folder of test videos; default: the part of ``data`` that is held out.
    whole : bool
        Whole videos instead of their middle clip.
    store : Path, optional
        Folder for intermediate results; default: store in ``output``.
    budget : float, optional
        Seconds for all classes together; default: no limit.
    target : str, optional
        What is explained in the clips of the one class; default: the class.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.
    """

    data: Path
    random: Path
    output: Path
    classes: tuple[str, ...]
    network: Network
    settings: ConceptSettings
    preset: str
    held: HeldOut = HeldOut()  # noqa: RUF009 - frozen
    test: Path | None = None
    whole: bool = False
    store: Path | None = None
    budget: float | None = None
    target: str | None = None
    damaged: Damaged = "skip"


def read_assignments(config: Path | None, assignments: Sequence[str]) -> list[tuple[str, Any]]:
    """Read settings from a YAML file and from the command line.

    Parameters
    ----------
    config : Path or None
        A YAML file of names and values.
    assignments : sequence of str
        "name=value", the value in YAML.

    Returns
    -------
    list of (str, Any)
        Names and values; those of the command line come last and so take precedence.

    Raises
    ------
    DataError
        For a file or a value that is no YAML, and an assignment without a value.

    Examples
    --------
    >>> read_assignments(None, ["keep=30", "segmenter.explained=[0.8, 0.95]"])
    [('keep', 30), ('segmenter.explained', [0.8, 0.95])]
    """
    settings: list[tuple[str, Any]] = []
    if config is not None:
        try:
            record = parse_yaml(read_regular(config, MAX_TEXT).decode())
        except (OSError, UnicodeDecodeError, Unreadable) as error:
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise DataError(f"expected a YAML file of settings, got {config}: {reason}; correct it") from None
        if not isinstance(record, dict) or not all(isinstance(name, str) for name in record):
            raise DataError(f"expected names and values in {config}, got {str(record)[:60]!r}; write `keep: 30`")
        settings += list(record.items())
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise DataError(f"expected --set name=value, got {assignment!r}; for example --set keep=30")
        try:
            settings.append((name.strip(), parse_yaml(value)))
        except Unreadable:
            raise DataError(f"expected {name} to be a value in YAML, got {value[:60]!r}; correct it") from None
    return settings


def job_record(job: Job, changes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The job as plain JSON, with its settings as the preset and ``changes``, pairs of a name and a value."""
    plain = asdict(Network())
    # Options that came later are named where they are set, so that the record of other jobs stays as it was.
    first = ("net", "weights", "model", "layer", "device", "batch_size")
    network = {k: v for k, v in asdict(job.network).items() if k in first or v != plain[k]}
    return {
        "data": str(job.data.resolve()),
        "hold_out": list(job.held.hold_out),
        "split": job.held.split and str(job.held.split.resolve()),
        "dataset": job.held.dataset,
        "fold": job.held.fold,
        **({"images": True} if job.held.images else {}),
        **_files_record(job.held.files),
        "random": str(job.random.resolve()),
        "classes": list(job.classes),
        "network": {name: _from_everywhere(name, value) for name, value in network.items()},
        "preset": job.preset,
        "seed": job.settings.seed,
        "whole": job.whole,
        "budget": job.budget,
        "settings": [[name, value] for name, value in changes],
        **({"target": job.target} if job.target else {}),
        **({"damaged": job.damaged} if job.damaged != "skip" else {}),
    }


def _from_everywhere(name: str, value: Any) -> Any:
    """An option of the network for JSON, with files and folders as absolute paths."""
    if name == "net" and value and value.startswith("hf:") and Path(value[3:]).is_dir():
        return f"hf:{Path(value[3:]).resolve()}"
    if name not in ("weights", "classes") or not value:
        return value
    fresh = name == "weights" and value == Path("random")  # no file
    return str(value) if fresh else str(Path(value).resolve())


# Fields of job.json: types, and whether they may be missing.
_SCHEMA: dict[str, tuple[tuple[type, ...], bool]] = {
    "data": ((str,), False),
    "random": ((str,), False),
    "classes": ((list,), False),
    "network": ((dict,), False),
    "preset": ((str,), False),
    "seed": ((int,), False),
    "whole": ((bool,), False),
    "settings": ((list,), False),
    "hold_out": ((list,), True),
    "split": ((str, NoneType), True),
    "dataset": ((str, NoneType), True),
    "fold": ((int,), True),
    "images": ((bool,), True),
    "list": ((dict,), True),
    "budget": ((int, float, NoneType), True),
    "target": ((str, NoneType), True),
    "damaged": ((str,), True),
}


def read_job(folder: Path) -> Job:
    """Read job.json of a run's folder. Raises DataError where it is missing or damaged."""
    try:
        return _job(folder, read_json(folder / "job.json"))
    except OSError:
        raise DataError(
            f"expected the folder of a run with its job.json, got {folder}; make one with `voxplain concepts`"
        ) from None
    except VoxplainError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"expected a whole job.json in {folder}, got a damaged one ({reason}); make the run again with "
            "`voxplain concepts`"
        ) from None


def _check_job(record: Any) -> None:
    """Raise ValueError where a field of job.json is missing, unknown or of another type."""
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}, not fields")
    if unknown := sorted(set(record) - set(_SCHEMA)):
        raise ValueError(f"unknown field {unknown[0][:40]!r}")
    for name, (kinds, optional) in _SCHEMA.items():
        if name not in record:
            if not optional:
                raise ValueError(f"no field {name!r}")
        elif type(record[name]) not in kinds:
            raise ValueError(f"{name} is a {type(record[name]).__name__}")
    for name in ("classes", "hold_out"):
        if not all(isinstance(item, str) for item in record.get(name, [])):
            raise ValueError(f"{name} holds others than texts")
    if not all(isinstance(x, list) and len(x) == 2 and isinstance(x[0], str) for x in record["settings"]):
        raise ValueError("settings holds others than pairs of a name and a value")
    if record["preset"] not in PRESETS:
        raise ValueError(f"preset {record['preset'][:40]!r} is not known")
    if record.get("damaged", "skip") not in get_args(Damaged):
        raise ValueError("damaged is none of skip, use and fail")
    _check_network(record["network"])


def _check_network(options: dict[str, Any]) -> None:
    hints = get_type_hints(Network)
    known = {f.name for f in fields(Network)}
    if wrong := sorted(set(options) - known):
        raise ValueError(f"unknown field {wrong[0][:40]!r} of network")
    for name in ("net", "weights", "model", "layer", "device", "batch_size"):
        if name not in options:
            raise ValueError(f"no field {name!r} of network")
    for name, value in options.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{name} of network is {str(value)[:40]!r}")
    if options["batch_size"] < 1:
        raise ValueError(f"batch_size of network is {options['batch_size']}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is one of a type: texts for paths, lists for tuples, whole numbers for others, too."""
    kinds, parts = get_origin(hint), get_args(hint)
    if kinds in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kinds is Literal:
        return value in [part for part in parts if type(part) is type(value)]
    if kinds is tuple:
        items = parts[:1] * len(value) if isinstance(value, list) and parts[-1] is Ellipsis else parts
        return isinstance(value, list) and len(value) == len(items) and all(map(_fits, value, items))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is (str if hint is Path else hint)


def _job(folder: Path, record: Any) -> Job:
    _check_job(record)
    settings = replace(PRESETS[record["preset"]], seed=record["seed"])
    for name, value in record["settings"]:
        settings = override(settings, name, value)
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record["network"].items()}
    paths = {k: Path(options[k]) for k in ("weights", "classes") if options.get(k)}
    network = Network(**{**options, **paths})
    split = record.get("split")
    held = HeldOut(
        split and Path(split),
        tuple(record.get("hold_out", ())),
        record.get("dataset"),
        record.get("fold", 1),
        record.get("images", False),
        _files(record.get("list", {})),
    )
    return Job(
        Path(record["data"]),
        Path(record["random"]),
        folder,
        tuple(record["classes"]),
        network,
        settings,
        record["preset"],
        held,
        whole=record["whole"],
        budget=record.get("budget"),
        target=record.get("target"),
        damaged=record.get("damaged", "skip"),
    )


def _files_record(files: FileList) -> dict[str, Any]:
    """The lists, where there are any, so that the record of folders stays as it was."""
    if files.list_ is None:
        return {}
    test = files.test_list and str(files.test_list.resolve())
    return {"list": {"train": str(files.list_.resolve()), "test": test, "first_label": files.first_label}}


def _files(record: dict[str, Any]) -> FileList:
    if not record:
        return FileList()
    test = record["test"] and Path(record["test"])
    return FileList(Path(record["train"]), test, first_label=record["first_label"])
