"""`voxplain audit`."""

import json
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from voxplain.cli.execution import Execution, read_duration
from voxplain.cli.losses import Losses, printed_losses
from voxplain.cli.network import Network
from voxplain.cli.options import Output
from voxplain.cli.printed import Printed
from voxplain.errors import DataError

if TYPE_CHECKING:
    from voxplain.audits import AuditRun
    from voxplain.progress import ShowProgress
    from voxplain.report import Origin

__all__ = ["audit_command"]


def audit_command(
    data: Path,
    *,
    network: Network = Network(),  # noqa: B008 - frozen
    random: Path | None = None,
    output: Output,
    limit: int | None = None,
    preset: str = "default",
    budget: str | None = None,
    config: Path | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    seed: int = 0,
    losses: Losses = Losses(),  # noqa: B008 - frozen
    execution: Execution = Execution(),  # noqa: B008 - frozen
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Audit a network on labelled videos: what each class rests on, and which concepts go with its mistakes.

    Writes a page with one row a class and links to the page of each class, audit.json, audit.csv, and for each class
    the results of `voxplain concepts`. The same command continues an interrupted audit. Settings are given as in
    `voxplain concepts`: --videos 60.

    Examples:

        voxplain audit data --net r3d --weights w.safetensors -o runs/audit
        voxplain audit data --model mypkg.nets:build --random unrelated --budget 2h -o runs/audit
        voxplain audit data --net r3d --weights w.safetensors --shard 2/8 -o runs/audit

    Parameters
    ----------
    data
        Folder of class folders, or one with test/, which is then audited: videos that the network was not trained on.
    random
        Folder of unrelated videos; default: DATA/unrelated, or else the videos of the other classes.
    output
        Folder for results; also keeps what has been computed.
    limit
        Videos a class at most, drawn by the seed; default: all.
    preset
        default, paper, paper-small or reference-code.
    budget
        Time for the whole audit, such as 90s, 5m or 2h; what there is no time for is left out and named.
    config
        A YAML file of settings.
    set_
        One setting, as name=value.
    seed
        The same seed gives the same bytes.
    """
    from voxplain.cli.estimate_audit import audited_work, within_memory
    from voxplain.cli.job import read_assignments
    from voxplain.cli.network import open_model
    from voxplain.cli.work_estimate import begun
    from voxplain.concepts.settings import PRESETS, override
    from voxplain.explain import audit
    from voxplain.explain.audit_clips import audited_videos
    from voxplain.files import in_use
    from voxplain.progress import timed
    from voxplain.report import Origin
    from voxplain.runtime import MissingShards
    from voxplain.store import remove_abandoned

    if preset not in PRESETS:
        raise DataError(f"expected a preset of {sorted(PRESETS)}, got {preset!r}; choose one")
    if limit is not None and limit < 1:
        raise DataError(f"expected --limit of 1 video or more, got {limit}; leave it out for all")
    seconds = None if budget is None else read_duration(budget)
    if seconds is not None and execution.shard is not None:
        raise DataError("expected either --budget or --shard, got both; shards have to explain the same videos")
    if random is not None and not random.is_dir():
        raise DataError(f"expected a folder of unrelated videos, got {random}, which is none; correct --random")
    if len(network.layer) > 1:
        raise DataError(f"expected one --layer, got {len(network.layer)}; audit layer by layer")
    settings = replace(PRESETS[preset], seed=seed)
    for name, value in read_assignments(config, set_):
        settings = override(settings, name, value)
    layer = network.layer[0] if network.layer else None
    videos = audited_videos(data)
    model = open_model(network, videos.classes, layer=layer)
    unrelated = random or (data / "unrelated" if (data / "unrelated").is_dir() else None)
    if execution.max_memory is not None:
        execution, model = within_memory(execution, settings, model, videos, unrelated, limit, losses.damaged)
        said = f"{execution.workers} workers, passes of {model.batch_size} clips at most"
        printed.console().print(said, highlight=False)
    with in_use(output, shared=execution.shard is not None):
        remove_abandoned(output)
        took: dict[str, float] = {}
        console = printed.console()
        known = execution.estimable and seconds is None
        work = (settings, model, videos, unrelated, limit, execution.workers, losses.damaged)
        watch = begun(console, lambda: audited_work(*work) if known else None)
        try:
            with printed_losses(console) as lost:
                found = audit(
                    model,
                    data,
                    random=random,
                    settings=settings,
                    preset=preset,
                    limit=limit,
                    damaged=losses.damaged,
                    budget=seconds,
                    store=output / "store",
                    progress=timed(printed.progress(), took),
                    **execution.options(),
                )
        except MissingShards as missing:
            console.print(f"shard {execution.shard}: {missing}", markup=False, highlight=False, soft_wrap=True)
            return 0
        _write(output, found, Origin(_command()), printed.progress())
        watch.write(output, took)
        _print(output, found, watch.sentence(), printed, told=lost.skipped)
        return losses.exit_code(bool(lost))


def _write(output: Path, found: "AuditRun", origin: "Origin", progress: "ShowProgress") -> None:
    """The results of each class, then the audit's own files, its record last."""
    from voxplain.cli.results import write_run
    from voxplain.plain_text import safe_name
    from voxplain.report import audit_csv, audit_json, audit_page, report_page
    from voxplain.store import save_audit, write_whole

    with progress("writing the pages of the classes", len(found.runs)) as advance:
        for run in found.runs:
            write_run(output / safe_name(run.target), run)
            write_whole(output / safe_name(run.target) / "report.html", report_page(run, origin=origin))
            advance()
    links = {run.target: f"{safe_name(run.target)}/report.html" for run in found.runs}
    write_whole(output / "audit.csv", audit_csv(found).encode())
    write_whole(output / "audit.json", json.dumps(audit_json(found), indent=1, allow_nan=False).encode())
    write_whole(output / "audit.html", audit_page(found, links=links, origin=origin))
    save_audit(output, found)


def _print(output: Path, found: "AuditRun", time: str, printed: Printed, *, told: Container[str]) -> None:
    from voxplain.report import audit_json, audit_text
    from voxplain.report.audit_tables import audit_sentences

    console, worst = printed.console(), found.worst()[0]
    if printed.verbose:
        console.print(audit_text(found), markup=False)
    else:
        answer = (
            f"{found.network}: {100 * found.accuracy:.1f} % of the clips are right, the least share in “{worst.label}” "
            f"({100 * worst.accuracy:.1f} %)"
        )
        console.print(answer, markup=False, highlight=False, soft_wrap=True)
    notes = [f"left out: {source}: {reason}" for source, reason in found.skipped if source not in told]
    notes += [f"no time for {what}" for what in found.left_out]
    for sentence in (*audit_sentences(found), *notes, f"report: {output / 'audit.html'} ({time})"):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    printed.answers(audit_json(found) | {"report": str(output / "audit.html")})


def _command() -> str:
    import shlex
    import sys

    from voxplain.cli.sources import short_command

    return shlex.join(["voxplain", *short_command(sys.argv[1:])])
