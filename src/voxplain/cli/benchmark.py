"""`voxplain benchmark`."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from cyclopts import Parameter
from rich.console import Console

from voxplain.attribution import AttributionMethod
from voxplain.cli.data import Held, parts
from voxplain.cli.network import Network, open_model
from voxplain.concepts.settings import override
from voxplain.datasets import ClipSet, VideoSet, read_clips
from voxplain.datasets.truth import TRUTHS, truth_mask
from voxplain.errors import DataError
from voxplain.experiments.comparison import Comparison, class_markdown, compare, comparison_csv, comparison_markdown
from voxplain.experiments.ranks_figure import ranks_figure
from voxplain.explain import resolve_methods
from voxplain.explain.benchmark import Case, Judged, judge_all, shard
from voxplain.metrics import METRICS
from voxplain.model import VideoModel
from voxplain.progress import progress_bar
from voxplain.report.tables import plain
from voxplain.store import Store, write_whole
from voxplain.version import __version__

__all__ = ["benchmark_command"]

SINGLE = ("map", "place", "time", "method")  # what is measured clip by clip; the others need networks of their own


def benchmark_command(
    data: Path,
    *,
    methods: str = "all",
    metrics: str = "all",
    network: Network = Network(),  # noqa: B008 - frozen
    held: Held = Held(),  # noqa: B008 - frozen
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    truth: str | None = None,
    limit: int = 60,
    sanity: int = 8,
    passes: int = 200,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")] = (),
    shard_: Annotated[str | None, Parameter(name="--shard")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Judge attribution methods on many videos: faithful, well placed, sane, and at what cost?

    Writes tables with intervals over clips (Markdown, CSV), tests against a random map, what each method costs, and a
    picture of objective against subjective ranks. Whatever was computed is found again; shards of one benchmark write
    into one output folder, and the last run without --shard puts them together.

    Examples:
        voxplain benchmark data --net planted --truth planted -o runs/benchmark
        voxplain benchmark jhmdb --dataset jhmdb --truth jhmdb --net compact --weights w.safetensors -o runs/jhmdb
        voxplain benchmark data --net planted --methods grad_cam,step --set step.iterations=400 -o runs/b --shard 1/4

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/; the test videos are used where there are some.
    methods
        Attribution methods joined by commas, or all.
    metrics
        Metrics joined by commas, or all that are measured clip by clip.
    class_
        Only videos of these classes.
    truth
        Where the truth is, for localisation: planted, jhmdb or silhouette; default: localisation is not measured.
    limit
        Videos, spread evenly over the classes.
    sanity
        Videos, spread evenly, on which metrics that call a method again (sanity, sensitivity) are measured.
    passes
        Those metrics are left out for methods that take more clips than this through the network for one map.
    set_
        Parameters of methods or metrics, as name.field=value.
    shard_
        Which part of how many, as 2/8.
    output
        Folder for results; also keeps what has been computed.
    """
    console = Console()
    asked, judges = _configured(resolve_methods(methods), _metrics(metrics, console), set_)
    train, test = parts(data, held)
    videos = test if test is not None else train
    model = open_model(network, videos.classes)
    cases = _some_again(_cases(model, videos, class_, truth, data, limit, console), sanity)
    part = shard(cases, *_part(shard_)) if shard_ else cases
    judged = judge_all(model, part, asked, judges, store=Store(output / "store"), passes=passes, progress=progress_bar)
    if shard_:
        console.print(f"shard {shard_}: {len(part)} of {len(cases)} videos done; run without --shard for the tables")
        return
    found = compare(judged, judges)
    _write(output, found, judged, asked, judges, model)
    console.print(comparison_markdown(found), markup=False, highlight=False, soft_wrap=True)
    console.print(f"tables: {output}", markup=False, highlight=False, soft_wrap=True)


def _metrics(names: str, console: Console) -> dict[str, Any]:
    known = {n: make() for n, make in METRICS.items()}
    wanted = [n for n, m in known.items() if m.judges in SINGLE] if names == "all" else names.split(",")
    wanted = [n.strip() for n in wanted if n.strip()]
    if unknown := [n for n in wanted if n not in known]:
        raise DataError(f"expected metrics among {', '.join(known)} or all, got {', '.join(unknown)}; choose others")
    if other := [n for n in wanted if known[n].judges not in SINGLE]:
        raise DataError(
            f"expected metrics that judge clip by clip, got {', '.join(other)}, which train or compare networks; call "
            "voxplain.metrics from Python for those"
        )
    return {n: known[n] for n in wanted}


def _configured(
    methods: dict[str, AttributionMethod], metrics: dict[str, Any], assignments: Sequence[str]
) -> tuple[dict[str, AttributionMethod], dict[str, Any]]:
    """Methods and metrics with the fields that --set changes."""
    for text in assignments:
        place, equals, value = text.partition("=")
        name, dot, field = place.partition(".")
        home: dict[str, Any] = methods if name in methods else metrics
        known = [f.name for f in fields(home[name])] if name in home else []
        if not equals or not dot or field.partition(".")[0] not in known:
            what = f"a field of {name} ({', '.join(known)})" if known else "a method or metric of this benchmark"
            raise DataError(f"expected --set name.field=value with {what}, got {text!r}; correct it")
        home[name] = _changed(home[name], field, value)
    return methods, metrics


def _changed(method: Any, field: str, text: str) -> Any:
    if "." in field or getattr(method, field) is not None:
        return override(method, field, text)
    try:  # a field without a value tells nothing of the kind it takes
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise DataError(f"expected {field} to be a value in YAML, got {text!r}; correct it") from None
    return replace(method, **{field: tuple(value) if isinstance(value, list) else value})


def _cases(
    model: VideoModel,
    videos: VideoSet,
    only: Sequence[str],
    truth: str | None,
    root: Path,
    limit: int,
    console: Console,
) -> list[Case]:
    """Clips spread over the classes, with masks, each with the next class's clip as the other."""
    if truth is not None and truth not in TRUTHS:
        raise DataError(f"expected --truth {', '.join(TRUTHS)}, got {truth!r}; choose one, or leave it out")
    for name in only:
        videos.of_class(name)  # says which classes there are
    classes = [c for c in videos.classes if (c in only if only else c in model.classes or not model.classes)]
    if not classes or limit < 1:
        raise DataError(
            f"expected classes of the network with videos, and a limit of 1 or more, got {classes}, {limit}"
        )
    each, rest = divmod(limit, len(classes))
    reader = model.reader()
    read: list[tuple[str, Any]] = []
    with progress_bar("reading videos", len(classes)) as advance:
        for i, name in enumerate(classes):
            count = each + (i < rest)
            found = read_clips(videos.of_class(name), reader, limit=count) if count else ClipSet(())
            for lost in found.skipped:
                _skipped(console, lost.reason)
            read += [(name, clip) for clip in found]
            advance()
    cases = []
    for i, (name, clip) in enumerate(read):
        mask = None
        if truth is not None:
            try:
                mask = truth_mask(truth, root, Path(clip.source), name, reader)
            except DataError as error:
                _skipped(console, str(error))
                continue
            mask = mask if mask.any() else None
        others = [c for n, c in read[i + 1 :] + read[:i] if n != name]
        cases.append(Case(clip, model.class_index(name), mask, others[0] if others else None))
    if not cases:
        raise DataError(f"expected videos with a truth in {root}, got none; name another --truth or leave it out")
    return cases


def _skipped(console: Console, reason: str) -> None:
    console.print(f"skipped: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _some_again(cases: Sequence[Case], count: int) -> list[Case]:
    """As many cases, spread evenly over all, are those on which methods are called again: the same in every shard."""
    chosen = set(np.linspace(0, len(cases) - 1, min(max(count, 0), len(cases))).round().astype(int).tolist())
    return [replace(case, again=i in chosen) for i, case in enumerate(cases)]


def _part(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not (slash and first.isdigit() and last.isdigit()):
        raise DataError(f"expected a shard as 2/8, got {text!r}; write part/parts")
    return int(first), int(last)


def _write(
    output: Path, found: Comparison, judged: Sequence[Judged], methods: dict[str, Any], metrics: dict[str, Any],
    model: VideoModel,
) -> None:  # fmt: skip
    write_whole(output / "table.md", comparison_markdown(found).encode())
    if any("energy_inside" in j.values for j in judged):
        write_whole(output / "by_class.md", class_markdown(judged, model.classes).encode())
    write_whole(output / "table.csv", comparison_csv(found).encode())
    if found.ranks["faithfulness"] and found.ranks["localisation"]:
        for suffix, unwanted in (("png", "Software"), ("pdf", "CreationDate")):
            out = io.BytesIO()
            ranks_figure(found).savefig(out, format=suffix, dpi=150, metadata={unwanted: None})
            write_whole(output / f"ranks.{suffix}", out.getvalue())
    record = {
        "voxplain": __version__,
        "network": model.name,
        "clips": found.clips,
        "methods": {n: _plain(m) for n, m in methods.items()},
        "metrics": {n: _plain(m) for n, m in metrics.items()},
        "reliability": {n: m.value for n, m in found.reliability.items()},
        "alpha": dict(found.alpha),
        "ranks": {kind: dict(r) for kind, r in found.ranks.items()},
        "judged": [asdict(j) for j in judged],
    }
    write_whole(output / "results.json", json.dumps(plain(record), indent=1).encode())


def _plain(method: Any) -> dict[str, Any]:
    return {"method": type(method).__name__, **{k: str(v) for k, v in asdict(method).items()}}
