"""`voxplain merge`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from voxplain.cli.concept_job import run_job
from voxplain.cli.execution import Execution
from voxplain.cli.job import read_job
from voxplain.errors import DataError
from voxplain.store import Store, gather, write_whole

__all__ = ["merge_command"]


def merge_command(
    runs: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")],
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    evaluate: bool = False,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> None:
    """Put the shares of a run together and finish it: the same bytes as one process gives.

    Each share is the output folder of the same `voxplain concepts` command with a --shard of its own. Whatever no share
    has done is computed here.

    Examples:
        voxplain merge runs/share1 runs/share2 -o runs/bend
        voxplain merge runs/share1 runs/share2 -o runs/bend --evaluate

    Parameters
    ----------
    runs
        The output folders of the shares.
    output
        Folder for results; may be one of the shares.
    evaluate
        Prove the ranking on the held-out videos, too.
    """
    if not runs:
        raise DataError("expected the output folders of one share or more, got none; name them before -o")
    first = read_job(runs[0])
    said = [json.loads((run / "job.json").read_text()) for run in runs if read_job(run)]
    for run, other in zip(runs, said, strict=True):
        if other != said[0]:
            differs = ", ".join(sorted(k for k in {*other, *said[0]} if other.get(k) != said[0].get(k)))
            raise DataError(
                f"expected shares of one run, got {run} and {runs[0]} with different {differs}; merge what one command "
                "made"
            )
    copied = gather(Store(output / "store"), [run / "store" for run in runs if run.resolve() != output.resolve()])
    Console().print(f"{copied} results of {len(runs)} shares put together", highlight=False)
    write_whole(output / "job.json", (runs[0] / "job.json").read_bytes())
    run_job(replace(first, output=output), evaluate=evaluate, execution=execution)
