"""`Job`: all that a run of `voxplain concepts` depends on, and job.json, which keeps it beside the results."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from voxplain.cli.held_out import HeldOut
from voxplain.cli.network import Network
from voxplain.concepts.settings import PRESETS, ConceptSettings, override
from voxplain.errors import DataError, VoxplainError

__all__ = ["Job", "configured", "job_record", "read_job"]


@dataclass(frozen=True)
class Job:
    """Everything that a run of `voxplain concepts` depends on, as it stands in RUN/job.json."""

    data: Path
    random: Path
    output: Path
    classes: tuple[str, ...]
    network: Network
    settings: ConceptSettings
    preset: str
    held: HeldOut = HeldOut()  # noqa: RUF009 - frozen
    test: Path | None = None  # a folder of its own; otherwise the part of `data` that is held out
    whole: bool = False
    store: Path | None = None  # where results are kept; default: below the output
    budget: float | None = None  # seconds for all classes together; None: all videos, whatever it takes


def configured(config: Path | None, assignments: Sequence[str]) -> list[tuple[str, Any]]:
    """Settings of the YAML file, then of the command line, which wins."""
    found: list[tuple[str, Any]] = []
    if config is not None:
        try:
            record = yaml.safe_load(config.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            said = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise DataError(f"expected a YAML file of settings, got {config}: {said}; correct it") from None
        if not isinstance(record, dict) or not all(isinstance(name, str) for name in record):
            raise DataError(f"expected names and values in {config}, got {str(record)[:60]!r}; write `keep: 30`")
        found += list(record.items())
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise DataError(f"expected --set name=value, got {assignment!r}; for example --set keep=30")
        try:
            found.append((name.strip(), yaml.safe_load(value)))
        except yaml.YAMLError:
            raise DataError(f"expected {name} to be a value in YAML, got {value!r}; correct it") from None
    return found


def job_record(job: Job, changes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The job as plain JSON; settings are written as the preset and ``changes``, names and values."""
    network = asdict(job.network)
    return {
        "data": str(job.data.resolve()),
        "hold_out": list(job.held.hold_out),
        "split": job.held.split and str(job.held.split.resolve()),
        "dataset": job.held.dataset,
        "fold": job.held.fold,
        "random": str(job.random.resolve()),
        "classes": list(job.classes),
        "network": {k: str(Path(v).resolve()) if k == "weights" and v else v for k, v in network.items()},
        "preset": job.preset,
        "seed": job.settings.seed,
        "whole": job.whole,
        "budget": job.budget,
        "settings": [[name, value] for name, value in changes],
    }


def read_job(folder: Path) -> Job:
    """The job of a run's folder. Raises DataError where there is none or a broken one."""
    try:
        return _job(folder, json.loads((folder / "job.json").read_text()))
    except VoxplainError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"expected the folder of a run with its job.json, got {folder}; make one with `voxplain concepts`"
        ) from None


def _job(folder: Path, record: dict[str, Any]) -> Job:
    settings = replace(PRESETS[record["preset"]], seed=record["seed"])
    for name, value in record["settings"]:
        settings = override(settings, name, value)
    facts = record["network"]
    network = Network(
        **{**facts, "layer": tuple(facts["layer"]), "weights": facts["weights"] and Path(facts["weights"])}
    )
    split = record.get("split")
    held = HeldOut(
        split and Path(split), tuple(record.get("hold_out", ())), record.get("dataset"), record.get("fold", 1)
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
    )
