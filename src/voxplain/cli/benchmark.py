"""`voxplain benchmark`."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from voxplain.benchmark.comparison import Comparison, class_markdown, compare, comparison_csv, comparison_markdown
from voxplain.benchmark.paired_tests import Agreement, Pair, pair_rows, paired, pairs_markdown, ranks_agreement
from voxplain.benchmark.ranks_figure import ranks_figure
from voxplain.benchmark.run import BenchmarkClip, MethodResult, run_benchmark
from voxplain.cli.benchmark_options import choose_metrics, configured, skipped, spread_clips
from voxplain.cli.held_out import HeldOut, split_videos
from voxplain.cli.network import Network, open_model
from voxplain.datasets import VideoSet
from voxplain.datasets.ground_truth import TRUTHS, truth_mask
from voxplain.errors import DataError
from voxplain.explain import methods_by_name
from voxplain.model import VideoModel
from voxplain.progress import progress_bar
from voxplain.report.tables import plain
from voxplain.runtime import read_shard
from voxplain.store import Store, write_csv, write_whole
from voxplain.version import __version__

__all__ = ["benchmark_command"]

SINGLE = ("map", "mask", "time", "method")  # what is measured clip by clip; the others need networks of their own
ELSEWHERE = "expected metrics that judge clip by clip, got {}, which train or compare networks; see `voxplain retrain`"


def benchmark_command(
    data: Path,
    *,
    methods: str = "all",
    metrics: str = "all",
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative="")] = (),
    truth: str | None = None,
    limit: int = 60,
    sanity: int = 8,
    passes: int = 200,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True, negative="")] = (),
    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    shard_: Annotated[str | None, Parameter(name="--shard")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Judge attribution methods on many videos: faithful, well placed, sane, and at what cost?

    Writes tables with intervals over clips (Markdown, CSV), tests against a random map, what each method costs, a
    picture of objective against subjective ranks and how they correlate, and tests against methods that are named.
    Whatever was computed is found again; shards of one benchmark write into one output folder, and the last run
    without --shard puts them together.

    Examples:
        voxplain benchmark data --net planted --truth planted -o runs/benchmark
        voxplain benchmark jhmdb --dataset jhmdb --truth jhmdb --net compact --weights w.safetensors -o runs/jhmdb
        voxplain benchmark data --net planted --methods grad_cam,step --set step.iterations=400 -o runs/b --shard 1/4
        voxplain benchmark data --net planted --methods grad_cam,step,ep_3d --against step:ep_3d,grad_cam -o runs/b

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
    against
        Methods that others are tested against, clip by clip: step, or step:ep_3d,grad_cam for those two only. P-values
        are corrected for the methods tested against one by one metric.
    shard_
        Which part of how many, as 2/8.
    output
        Folder for results; also keeps what has been computed.
    """
    console = Console()
    asked, needs = configured(methods_by_name(methods), choose_metrics(metrics, SINGLE, ELSEWHERE), set_)
    references = _references(against, asked)
    train, test = split_videos(data, held)
    videos = test if test is not None else train
    model = open_model(network, videos.classes)
    cases = _some_again(_cases(model, videos, class_, truth, data, limit, console), sanity)
    part = read_shard(shard_) if shard_ else None
    judged = run_benchmark(
        model, cases, asked, needs, store=Store(output / "store"), passes=passes, shard=part, progress=progress_bar
    )
    if part is not None:
        done = sum(part.owns(case.clip.frames) for case in cases)
        console.print(f"shard {part}: {done} of {len(cases)} videos done; run without --shard for the tables")
        return
    found = compare(judged, needs)
    pairs, agreement = paired(judged, needs, references), ranks_agreement(judged, needs)
    _write(output, found, judged, asked, needs, model, pairs, agreement)
    text = comparison_markdown(found)
    text += f"\n{agreement.sentence()}\n" if agreement else ""
    text += f"\n{pairs_markdown(pairs)}" if pairs else ""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"tables: {output}", markup=False, highlight=False, soft_wrap=True)


def _references(words: Sequence[str], methods: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Reference → the methods tested against it, none: all; checked before any work is done."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, _, others = word.partition(":")
        found[name] = (*found.get(name, ()), *(n.strip() for n in others.split(",") if n.strip()))
    if lost := [n for name, others in found.items() for n in (name, *others) if n not in methods]:
        raise DataError(
            f"expected --against METHOD or METHOD:OTHER,OTHER of this benchmark ({', '.join(methods)}), got "
            f"{', '.join(lost)}; correct it"
        )
    return found


def _cases(
    model: VideoModel,
    videos: VideoSet,
    only: Sequence[str],
    truth: str | None,
    root: Path,
    limit: int,
    console: Console,
) -> list[BenchmarkClip]:
    """Clips spread over the classes, with masks, each with the next class's clip as the other."""
    if truth is not None and truth not in TRUTHS:
        raise DataError(f"expected --truth {', '.join(TRUTHS)}, got {truth!r}; choose one, or leave it out")
    reader, read = model.reader(), spread_clips(model, videos, only, limit, console)
    cases = []
    for i, (name, clip) in enumerate(read):
        mask = None
        if truth is not None:
            try:
                mask = truth_mask(truth, root, Path(clip.source), name, reader)
            except DataError as error:
                skipped(console, str(error))
                continue
            mask = mask if mask.any() else None
        others = [c for n, c in read[i + 1 :] + read[:i] if n != name]
        cases.append(BenchmarkClip(clip, model.class_index(name), mask, others[0] if others else None))
    if not cases:
        raise DataError(f"expected videos with a truth in {root}, got none; name another --truth or leave it out")
    return cases


def _some_again(cases: Sequence[BenchmarkClip], count: int) -> list[BenchmarkClip]:
    """As many cases, spread evenly over all, are those on which methods are called again: the same in every shard."""
    chosen = set(np.linspace(0, len(cases) - 1, min(max(count, 0), len(cases))).round().astype(int).tolist())
    return [replace(case, again=i in chosen) for i, case in enumerate(cases)]


def _write(
    output: Path,
    found: Comparison,
    judged: Sequence[MethodResult],
    methods: dict[str, Any],
    metrics: dict[str, Any],
    model: VideoModel,
    pairs: Sequence[Pair],
    agreement: Agreement | None,
) -> None:
    write_whole(output / "table.md", comparison_markdown(found).encode())
    if pairs:
        write_whole(output / "against.md", pairs_markdown(pairs).encode())
        write_csv(output / "against.csv", pair_rows(pairs))
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
        "rank_agreement": agreement,
        "against": pairs,
        "judged": [asdict(j) for j in judged],
    }
    write_whole(output / "results.json", json.dumps(plain(record), indent=1).encode())


def _plain(method: Any) -> dict[str, Any]:
    return {"method": type(method).__name__, **{k: str(v) for k, v in asdict(method).items()}}
