"""`voxplain concepts` and `voxplain evaluate`."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.cli.execution import Execution, read_duration
from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses
from voxplain.cli.network import Network
from voxplain.cli.options import Classes, Output
from voxplain.cli.printed import Printed
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.cli.job import Job
    from voxplain.cli.work_estimate import Estimate
    from voxplain.concepts.concept_run import ConceptRun

__all__ = ["concepts_command", "evaluate_command"]


def concepts_command(
    data: Path | None = None,
    *,
    class_: Classes = (),
    target: str | None = None,
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    random: Path | None = None,
    output: Output,
    preset: str = "default",
    budget: str | None = None,
    config: Path | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    seed: int = 0,
    whole: bool = False,
    dry_run: bool = False,
    losses: Losses = Losses(),  # noqa: B008 - frozen
    execution: Execution = Execution(),  # noqa: B008 - frozen
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Find the concepts that a network relies on for a class, and test how much.

    Writes a report page, a table (CSV, JSON) and a picture of each concept. The same command continues an interrupted
    run. Any setting can be given as an option: --keep 30, --segmenter.explained 0.8 0.95,
    --clusterer.max_clusters 15, --ranking tcav; `voxplain methods` lists them all.
    --thorough measures the effect of every concept in every clip with every fill.

    Examples:

        voxplain concepts data --class bend --net r3d --weights r3d.safetensors --random unrelated -o runs/bend
        voxplain concepts data --class bend run --net c3d --weights w.pt --random unrelated --preset paper -o runs/p
        voxplain concepts weizmann --hold-out ido lena moshe --net tiny --weights w.pt --random unrelated -o runs/w
        voxplain concepts data --class bend --model mypkg.nets:build --layer blocks.5 --random unrelated -o runs/b
        voxplain concepts data --net r3d --weights w.pt --random unrelated --budget 30m -o runs/all
        voxplain concepts data --net r3d --weights w.pt --random unrelated --shard 2/8 -o runs/all

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/; with --list the folder of its paths. Concepts come from
        the videos that are not held out.
    class_
        The classes to explain; default: all.
    target
        What is explained in the clips of the one class, where that is not the class itself: "not X" of a label, "rise
        of X" or "fall of X" of a quantity, "X vs Y".
    random
        Folder, or list, of unrelated videos for the random sets; default: DATA/unrelated.
    output
        Folder for results; also keeps what has been computed.
    preset
        default, paper, paper-small or reference-code.
    budget
        Stop when the ranking is stable or after this time for all classes together, such as 90s, 5m or 2h. Videos are
        added in seeded order; the report has the reason of the stop and an estimate of what more time would change.
    config
        A YAML file of settings.
    set_
        One setting, as name=value.
    seed
        The same seed gives the same bytes.
    whole
        Explain whole videos instead of their middle clip (features are means over windows).
    dry_run
        Print the work of the run and estimates of its time and memory, and write nothing.
    """
    from voxplain.cli.concept_job import limited, run_job
    from voxplain.cli.estimate import explained_work, print_estimate
    from voxplain.cli.file_list import data_folder, print_list
    from voxplain.cli.held_out import named_videos, split_videos
    from voxplain.cli.job import Job, job_record, read_assignments
    from voxplain.cli.network import open_model
    from voxplain.cli.own_runs import mark_own
    from voxplain.concepts.settings import PRESETS, override
    from voxplain.files import in_use
    from voxplain.model import narrow
    from voxplain.store import write_whole

    if preset not in PRESETS:
        raise DataError(f"expected a preset of {sorted(PRESETS)}, got {preset!r}; choose one")
    seconds = None if budget is None else read_duration(budget)
    if seconds is not None and execution.shard is not None:
        raise DataError("expected either --budget or --shard, got both; shards have to explain the same videos")
    folder = data_folder(data, held.files)
    unrelated = random or folder / "unrelated"
    if not unrelated.exists():
        raise DataError(
            f"expected a folder of unrelated videos, got {unrelated}, which does not exist; give one with --random DIR"
        )
    videos, _ = split_videos(data, held)
    # Unknown classes, wrong layers and classes that the network lacks are errors before any work.
    for name in () if held.files.list_ else class_ or videos.classes:
        videos.of_class(name)
    for layer in reversed(network.layer or (None,)):
        model = open_model(network, videos.classes, layer=layer)
    videos = named_videos(model, videos, held)
    classes = tuple(class_) or videos.classes
    for name in classes:
        videos.of_class(name)
    if target is not None and len(classes) != 1:
        raise DataError(f"expected one --class with --target {target!r}, got {len(classes)}; name the one to explain")
    for name in (target,) if target is not None else classes:
        narrow(model, name)
    held = replace(held, files=replace(held.files, root=None))  # DATA of the job
    settings = replace(PRESETS[preset], seed=seed)
    changes = read_assignments(config, set_)
    for name, value in changes:
        settings = override(settings, name, value)
    job = Job(
        folder,
        unrelated,
        output,
        classes,
        network,
        settings,
        preset,
        held,
        whole=whole,
        budget=seconds,
        target=target,
        damaged=losses.damaged,
    )
    if dry_run:
        print_list(videos)
        print_estimate(job, model, videos, execution.workers)
        return 0
    known = execution.estimable and seconds is None  # else the time is what was asked for

    def work(limited: Job, workers: int | None) -> "Estimate | None":
        own = replace(model, batch_size=limited.network.batch_size)
        return explained_work(limited, own, videos, workers) if known else None

    record = json.dumps(job_record(job, changes), indent=1).encode()
    job, execution, whole_voxels = limited(job, execution, printed)
    run = partial(run_job, evaluate=False, printed=printed, whole_voxels=whole_voxels, work=work)
    with in_use(output, shared=execution.shard is not None):
        write_whole(output / "job.json", record)
        if network.model is not None or network.geometry is not None:  # which may name code
            mark_own(output)
        return _run(run, job, losses, execution, printed)


def evaluate_command(
    run: Path,
    *,
    test: Path | None = None,
    model: str | None = None,
    strict: bool = False,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Evaluate a run's ranking: add and remove its concepts in held-out test videos.

    Uses the run's own settings and stored results, and writes the report again with the curves.

    Examples:

        voxplain evaluate runs/bend
        voxplain evaluate runs/bend --test data/held_out

    Parameters
    ----------
    run
        The output folder of `voxplain concepts`.
    test
        Folder of class folders of test videos, or a list; default: what the run held out, or DATA/test.
    model
        The run's own network again, package.module:function: needed where the run was not made here by this user,
        because its code is imported.
    strict
        End with exit code 1 instead of 3 where videos are lost or damaged.
    """
    from voxplain.cli.concept_job import limited, run_job
    from voxplain.cli.estimate_evaluation import evaluated_work
    from voxplain.cli.job import read_job
    from voxplain.cli.own_runs import check_code
    from voxplain.files import in_use

    job = check_code(run, read_job(run), model)
    losses = Losses(job.damaged, strict)
    job = replace(job, test=test or job.test)
    work = evaluated_work if execution.estimable else None
    job, execution, whole_voxels = limited(job, execution, printed)
    computed = partial(run_job, evaluate=True, printed=printed, whole_voxels=whole_voxels, work=work)
    with in_use(run, shared=execution.shard is not None):
        return _run(computed, job, losses, execution, printed)


def _run(
    run: "Callable[..., list[ConceptRun]]", job: "Job", losses: Losses, execution: Execution, printed: Printed
) -> int:
    """Run a job; for one shard, print what is missing instead of raising an error. Returns the exit code."""
    from voxplain.runtime import MissingShards

    try:
        runs = run(job, execution=execution)
    except MissingShards as missing:
        printed.console().print(f"shard {execution.shard}: {missing}", markup=False, highlight=False, soft_wrap=True)
        return 0
    return losses.exit_code(any(run.skipped or "damaged" in {w.code for w in run.warnings} for run in runs))
