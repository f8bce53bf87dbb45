"""`voxplain concepts` and `voxplain evaluate`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from voxplain.cli.concept_job import run_job
from voxplain.cli.estimate import estimate
from voxplain.cli.execution import Execution, read_span
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.job import Job, configured, job_record, read_job
from voxplain.cli.network import Network, open_model
from voxplain.concepts.modes import mode_settings
from voxplain.concepts.settings import PRESETS, override
from voxplain.errors import DataError
from voxplain.runtime import MissingShards
from voxplain.store import write_whole

__all__ = ["concepts_command", "evaluate_command"]


def concepts_command(
    data: Path,
    *,
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    random: Path | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    preset: str = "default",
    mode: str = "exact",
    budget: str | None = None,
    config: Path | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    seed: int = 0,
    whole: bool = False,
    dry_run: bool = False,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> None:
    """Find the concepts a network relies on for a class, and test how much.

    Writes a report page, a table (CSV, JSON) and a picture of each concept. A command that was interrupted goes on
    where it was. Any setting can be given as an option: --keep 30, --segmenter.segments 15 30 60,
    --clusterer.clusters 15, --ranking tcav; `voxplain methods` lists them all.

    Examples:
        voxplain concepts data --class bend --net r3d --weights r3d.safetensors --random unrelated -o runs/bend
        voxplain concepts data --class bend run --net c3d --weights w.pt --random unrelated --preset paper -o runs/p
        voxplain concepts weizmann --hold-out ido lena moshe --net tiny --weights w.pt --random unrelated -o runs/w
        voxplain concepts data --class bend --model mypkg.nets:build --layer blocks.5 --random unrelated -o runs/b
        voxplain concepts data --net r3d --weights w.pt --random unrelated --mode two-stage --budget 30m -o runs/all
        voxplain concepts data --net r3d --weights w.pt --random unrelated --shard 2/8 -o runs/all

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/. Concepts come from the videos that are not held out.
    class_
        The classes to explain; default: all.
    random
        Folder of unrelated videos for the random sets; default: DATA/unrelated.
    output
        Folder for results; also keeps what has been computed.
    preset
        default, paper, paper-small or reference-code.
    mode
        exact, medium, small, tiny, two-stage or pooled: less work for other concepts; docs/performance.md has what is
        lost.
    budget
        Stop when the ranking stands or after this time for all classes together, such as 90s, 5m or 2h. Videos are
        added in seeded order; the report says why it stopped and what more time would buy.
    config
        A YAML file of settings.
    set_
        One setting, as name=value.
    seed
        The same seed gives the same bytes.
    whole
        Explain whole videos instead of their middle clip (features are means over windows).
    dry_run
        Say what would be done and about how long it takes, and do nothing.
    """
    if preset not in PRESETS:
        raise DataError(f"expected a preset of {sorted(PRESETS)}, got {preset!r}; choose one")
    seconds = None if budget is None else read_span(budget)
    if seconds is not None and execution.shard is not None:
        raise DataError("expected either --budget or --shard, got both; shares have to explain the same videos")
    pool = random or data / "unrelated"
    if not pool.is_dir():
        raise DataError(f"expected a folder of unrelated videos, got {pool}, which is none; give one with --random DIR")
    videos, _ = split_videos(data, held)
    chosen = tuple(class_) or videos.classes
    for name in chosen:
        videos.of_class(name)  # an unknown class is an error before any work
    # Wrong layers and classes that the network lacks are errors before any work, too.
    for layer in reversed(network.layer or (None,)):
        model = open_model(network, videos.classes, layer=layer)
    for name in chosen:
        model.class_index(name)
    settings = replace(PRESETS[preset], seed=seed)
    changes = [*mode_settings(settings, mode, model.grid[1]), *configured(config, set_)]
    for name, value in changes:
        settings = override(settings, name, value)
    job = Job(data, pool, output, chosen, network, settings, preset, held, whole=whole, budget=seconds)
    if dry_run:
        estimate(job, model, videos, execution.workers)
        return
    write_whole(output / "job.json", json.dumps(job_record(job, changes), indent=1).encode())
    run_concepts(job, evaluate=False, execution=execution)


def evaluate_command(
    run: Path,
    *,
    test: Path | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> None:
    """Prove a run's ranking: add and remove its concepts in held-out test videos.

    Takes up the run's own settings and whatever it has computed, and writes the report again with the curves.

    Examples:
        voxplain evaluate runs/bend
        voxplain evaluate runs/bend --test data/held_out

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`.
    test
        Folder of class folders of test videos; default: what the run held out, or DATA/test.
    """
    job = read_job(run)
    run_concepts(replace(job, test=test or job.test), evaluate=True, execution=execution)


def run_concepts(job: Job, *, evaluate: bool, execution: Execution) -> None:
    """Run a job; where it is one share of it, say how far that goes instead of calling it an error."""
    try:
        run_job(job, evaluate=evaluate, execution=execution)
    except MissingShards as waits:
        Console().print(f"share {execution.shard}: {waits}", markup=False, highlight=False, soft_wrap=True)
