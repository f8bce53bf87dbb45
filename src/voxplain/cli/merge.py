"""`voxplain merge`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.execution import Execution
from voxplain.cli.options import Output
from voxplain.errors import DataError

__all__ = ["merge_command"]


def merge_command(
    runs: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")],
    *,
    output: Output,
    evaluate: bool = False,
    model: str | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> None:
    """Merge the shards of a run and finish it: the same bytes as of one process.

    Each shard is the output folder of the same `voxplain concepts` command with its own --shard. Results that no shard
    holds are computed.

    Examples:

        voxplain merge runs/shard1 runs/shard2 -o runs/bend
        voxplain merge runs/shard1 runs/shard2 -o runs/bend --evaluate

    Parameters
    ----------
    runs
        The output folders of the shards.
    output
        Folder for results; may be one of the shards.
    evaluate
        Evaluate the ranking on the held-out videos, too.
    model
        The run's own network again, package.module:function: needed where the first shard was not made here by this
        user, because its code is imported.
    """
    from voxplain.cli.concept_job import limited, run_job
    from voxplain.cli.console import Console
    from voxplain.cli.job import read_job
    from voxplain.cli.own_runs import check_code, mark_own
    from voxplain.files import in_use
    from voxplain.reading import read_json
    from voxplain.store import Store, gather, write_whole

    if not runs:
        raise DataError("expected the output folders of one shard or more, got none; name them before -o")
    first = check_code(runs[0], read_job(runs[0]), model)
    records = [read_json(run / "job.json") for run in runs if read_job(run)]
    for run, record in zip(runs, records, strict=True):
        if record != records[0]:
            differs = ", ".join(sorted(k for k in {*record, *records[0]} if record.get(k) != records[0].get(k)))
            raise DataError(
                f"expected shards of one run, got {run} and {runs[0]} with different {differs}; merge the shards of "
                "one command"
            )
    job, execution, whole_voxels = limited(replace(first, output=output), execution)
    with in_use(output):
        copied = gather(Store(output / "store"), [run / "store" for run in runs if run.resolve() != output.resolve()])
        Console().print(f"{copied} results of {len(runs)} shards merged", highlight=False)
        write_whole(output / "job.json", (runs[0] / "job.json").read_bytes())
        if first.network.model is not None:
            mark_own(output)
        run_job(job, evaluate=evaluate, execution=execution, whole_voxels=whole_voxels)
