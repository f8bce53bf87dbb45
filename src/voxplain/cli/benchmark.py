"""`voxplain benchmark`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses, write_lost_videos
from voxplain.cli.memory_limit import MemoryLimit
from voxplain.cli.network import Network
from voxplain.cli.options import Assignments, Classes, Output, Words
from voxplain.cli.printed import MOST_LINES, Printed

__all__ = ["benchmark_command"]


def benchmark_command(
    data: Path | None = None,
    *,
    methods: str = "all",
    metrics: str = "all",
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    class_: Classes = (),
    truth: str | None = None,
    limit: int = 60,
    sanity: int = 8,
    passes: int = 200,
    set_: Assignments = (),
    against: Words = (),
    method: Words = (),
    submit_format: bool = False,
    shard: str | None = None,
    losses: Losses = Losses(),  # noqa: B008 - frozen
    memory: MemoryLimit = MemoryLimit(),  # noqa: B008 - frozen
    output: Output,
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Compare attribution methods on many videos: faithfulness, localisation, sanity checks and cost.

    Writes tables with intervals over clips (Markdown, CSV), tests against a random map, what each method costs, a
    figure of objective against subjective ranks and their correlation, and tests against methods that are named.
    Stored results are used again; shards of one benchmark write into one output folder, and the last run without
    --shard writes the tables.

    Examples:

        voxplain benchmark data --net planted --truth planted -o runs/benchmark
        voxplain benchmark jhmdb --dataset jhmdb --truth jhmdb --net compact --weights w.safetensors -o runs/jhmdb
        voxplain benchmark data --net planted --methods grad_cam,step --set step.iterations=400 -o runs/b --shard 1/4
        voxplain benchmark data --net planted --methods grad_cam,step,ep_3d --against step:ep_3d,grad_cam -o runs/b

        voxplain benchmark data --net planted --methods grad_cam --method mypkg.methods:mine -o runs/b
        voxplain benchmark --submit-format --methods grad_cam,random --method mypkg.methods:mine -o runs/submission

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/; with --list the folder of its paths. The test videos are
        used where there are some.
    methods
        Attribution methods joined by commas, or all.
    metrics
        Metrics joined by commas, or all that are measured clip by clip.
    class_
        Only videos of these classes.
    truth
        The true masks, for localisation: planted, jhmdb or silhouette; default: localisation is not measured.
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
    method
        Methods of yours beside them, each as package.module:function, see docs/benchmark.md.
    submit_format
        Measure the methods on the network and the planted clips that are fixed for all, without data of yours, and
        write submission.json, see docs/benchmark.md.
    shard
        Compute one shard of the videos, such as 2/8.
    output
        Folder for results; also keeps what has been computed.
    """
    from voxplain.benchmark.comparison import compare, comparison_markdown
    from voxplain.benchmark.paired_tests import paired, pairs_markdown, ranks_agreement
    from voxplain.benchmark.run import BenchmarkClip, MethodResult, run_benchmark
    from voxplain.benchmark.third_party import third_party_methods
    from voxplain.cli.benchmark_options import (
        benchmark_clips,
        choose_metrics,
        configured,
        print_skipped,
        reference_methods,
        repeat_on,
    )
    from voxplain.cli.benchmark_output import comparison_answer, write_benchmark
    from voxplain.cli.estimate_benchmark import benchmark_estimate
    from voxplain.cli.file_list import data_folder, print_list
    from voxplain.cli.held_out import named_videos, split_videos
    from voxplain.cli.network import open_model
    from voxplain.cli.work_estimate import begun
    from voxplain.explain import methods_by_name
    from voxplain.files import in_use
    from voxplain.large import LARGE
    from voxplain.report.tables import plain
    from voxplain.runtime import read_shard
    from voxplain.store import Store

    console = printed.console()
    if submit_format:
        from voxplain.cli.submission import write_submission

        chosen, _ = configured(methods_by_name(methods), {}, set_)
        write_submission({**chosen, **third_party_methods(method)}, output, console)
        return 0
    part = None if shard is None else read_shard(shard)
    by_clip = choose_metrics(
        metrics,
        ("map", "mask", "time", "method"),
        "expected metrics that are measured clip by clip, got {}, which train or compare networks; see `voxplain roar`",
    )
    chosen, by_clip = configured(methods_by_name(methods), by_clip, set_)
    chosen |= third_party_methods(method)
    references = reference_methods(against, chosen)
    train, test = split_videos(data, held)
    videos = test if test is not None else train
    print_list(videos)
    model, folder = open_model(network, videos.classes), data_folder(data, held.files)
    videos = named_videos(model, videos, held)
    read, lost = benchmark_clips(model, videos, class_, truth, folder, limit, console, losses.damaged)
    cases = repeat_on(sanity, read)
    if memory.asked:
        first = read[0].clip
        kept = 3 * LARGE + 2 * first.frames.size * 8  # frames and masks that are in use, and two clips joined
        model, forecast = memory.within(model, first, chosen, kept, read[0].target)
        work = f"{len(cases)} videos, {len(chosen)} methods, {len(by_clip)} metrics"
        for line in (work, *memory.printed(forecast, model)):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if memory.dry_run:
            return losses.exit_code(bool(lost))

    def measure(some: Sequence[BenchmarkClip]) -> list[MethodResult]:
        options: dict[str, Any] = {"store": Store(output / "store"), "passes": passes, "progress": printed.progress()}
        return run_benchmark(model, some, chosen, by_clip, shard=part, **options)

    with in_use(output, shared=part is not None):
        of_shard = [case for case in cases if part is None or part.owns(case.clip.frames)]
        watch = begun(console, lambda: benchmark_estimate(model, of_shard, chosen, by_clip, measure))
        results = measure(cases)
        failures = [f"{r.clip}: {r.method}: {text}" for r in results for text in r.failed]
        for text in failures[:MOST_LINES]:
            print_skipped(console, text)
        if len(failures) > MOST_LINES:
            console.print(f"{len(failures) - MOST_LINES} more maps and metrics failed", highlight=False)
        incomplete = bool(lost or failures)
        if part is not None:
            own = sum(part.owns(case.clip.frames) for case in cases)
            console.print(f"shard {part}: {own} of {len(cases)} videos done; run without --shard for the tables")
            console.print(f"time: {watch.sentence()}", markup=False, highlight=False)
            return losses.exit_code(incomplete)
        comparison = compare(results, by_clip)
        pairs, agreement = paired(results, by_clip, references), ranks_agreement(results, by_clip)
        write_benchmark(output, comparison, results, chosen, by_clip, model, pairs, agreement)
        text = comparison_markdown(comparison) if printed.verbose else comparison_answer(comparison)
        text += f"\n{agreement.sentence()}\n" if agreement else ""
        text += f"\n{pairs_markdown(pairs)}" if pairs else ""
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        write_lost_videos(output, lost)
        watch.write(output)
        console.print(f"tables: {output} ({watch.sentence()})", markup=False, highlight=False, soft_wrap=True)
        printed.answers(
            plain(
                {"ranks": comparison.ranks, "without_maps": comparison.errors, "against": pairs, "tables": str(output)}
            )
        )
        return losses.exit_code(incomplete)
