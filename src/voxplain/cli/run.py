"""A job from its videos to its report: what `concepts`, `evaluate` and `demo` share."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from voxplain.cli.command import command_of
from voxplain.cli.data import parts
from voxplain.cli.execution import Execution
from voxplain.cli.job import Job
from voxplain.cli.network import open_model
from voxplain.cli.results import write_evaluation, write_run
from voxplain.concepts.run import ConceptRun, EvaluationRun, combined_evaluation
from voxplain.datasets import ClipSet, VideoSet, read_clips, scan_folder
from voxplain.errors import DataError
from voxplain.explain import Budget, evaluate_concepts, explain_concepts, explain_within
from voxplain.model import VideoModel
from voxplain.progress import progress_bar, timed
from voxplain.report import Origin, contrast_words, evaluation_words, report_page, table_text
from voxplain.scale import Missing
from voxplain.store import RUN_FILES, Store, load_run, remove_abandoned, write_whole
from voxplain.video import Clip

__all__ = ["run_job"]

HERE = Execution()


def run_job(job: Job, *, evaluate: bool, execution: Execution = HERE) -> list[ConceptRun]:
    """Explain every class at every layer, write the results, print the tables; returns the runs.

    Raises Missing, once every class has been taken as far as it goes, where results of other shares are not there.
    """
    console = Console()
    videos, rest = parts(job.data, job.held)
    held_out = _test_videos(job, rest) if evaluate else None
    store = Store(job.store or job.output / "store")
    remove_abandoned(job.output)
    runs: list[ConceptRun] = []
    seconds: dict[str, float] = {}
    progress = timed(progress_bar, seconds)
    on, waits = execution.on(), None
    end = None if job.budget is None else time.monotonic() + job.budget
    left = len(job.classes) * max(1, len(job.network.layer))
    for layer in job.network.layer or (None,):
        model = open_model(job.network, videos.classes, layer=layer)
        random = _read(model, scan_folder(job.random), job, job.settings.random_videos, "unrelated videos", console)
        own = []
        for name in job.classes:
            clips = _read(model, videos.of_class(name), job, job.settings.videos, f"“{name}”", console)
            try:
                share = None if end is None else max(end - time.monotonic(), 1.0) / left
                left -= 1
                run = _explained(
                    job, model, clips.clips, share, evaluate, random=random.clips, target=name,
                    settings=job.settings, preset=job.preset, store=store, progress=progress, on=on,
                    skipped=[(str(s.path), s.reason) for s in (*clips.skipped, *random.skipped)],
                )  # fmt: skip
                if held_out is not None:
                    test = _read(model, held_out.of_class(name), job, None, f"test videos of “{name}”", console)
                    run = evaluate_concepts(
                        model, run, test.clips, settings=job.settings, store=store, progress=progress, on=on
                    )  # fmt: skip
            except Missing as error:
                waits = error
                continue
            place = run.layer if len(job.network.layer) > 1 else ""
            write_run(job.output / name / place, run)
            _tell(console, run)
            own.append(run)
        if evaluate and len(own) > 1 and waits is None:
            together = combined_evaluation(own)
            write_evaluation(job.output / place, together)
            console.print(f"{len(own)} classes together:")
            _tell_evaluation(console, together)
        runs += own
    if waits is not None:
        raise waits
    path = job.output / "report.html"
    origin = Origin(command_of(job, evaluate=evaluate), seconds)
    write_whole(job.output / "origin.json", json.dumps(asdict(origin), indent=1).encode())
    write_whole(path, report_page(runs, origin=origin))
    console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    return runs


def _explained(
    job: Job, model: VideoModel, clips: Sequence[Clip], seconds: float | None, again: bool, **options: Any
) -> ConceptRun:
    """A class explained by all its clips, or by as many as ``seconds`` allow.

    ``again``: a run within a time is taken up as it was left; what a clock decided cannot be decided again.
    """
    if seconds is None:
        return explain_concepts(model, clips, **options)
    folder = job.output / options["target"]
    folder = folder / model.layer if len(job.network.layer) > 1 else folder
    if again and (folder / RUN_FILES[-1]).is_file():
        return load_run(folder)
    return explain_within(Budget(seconds), model, clips, **options)


def _tell(console: Console, run: ConceptRun) -> None:
    console.print(table_text(run))
    console.print(run.sentence(), markup=False, highlight=False)
    for warning in run.warnings:
        console.print(f"note: {warning}", markup=False, highlight=False)
    if run.evaluation is not None:
        _tell_evaluation(console, run.evaluation)


def _tell_evaluation(console: Console, evaluation: EvaluationRun) -> None:
    shown = [c for c in evaluation.contrasts if c.measure == "accuracy"]  # the report has those of the margin, too
    for words in (*evaluation_words(evaluation), *map(contrast_words, shown)):
        console.print(f"  {words}", markup=False, highlight=False)


def _read(model: VideoModel, videos: VideoSet, job: Job, limit: int | None, what: str, console: Console) -> ClipSet:
    """Clips of the network's length, or whole videos; what was skipped is said."""
    reader = model.reader()
    if job.whole:
        reader = replace(reader, sampler=_Whole(model.grid[0], model.stride))
    total = len(videos) if limit is None else min(limit, len(videos))
    with progress_bar(f"reading {what}", total) as advance:
        clips = read_clips(videos, reader, limit=limit, seed=job.settings.seed, progress=lambda done, all_: advance())
    if clips.skipped:
        console.print(clips.summary(), markup=False, highlight=False)
    return clips


@dataclass(frozen=True)
class _Whole:
    """Every ``stride``-th frame of the video; shorter ones are looped to the network's length."""

    frames: int
    stride: int

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> np.ndarray:
        return np.arange(0, max(count, self.frames * self.stride), self.stride, dtype=np.int64)[None] % count


def _test_videos(job: Job, rest: VideoSet | None) -> VideoSet:
    if job.test is not None:
        return scan_folder(job.test)
    if rest is None:
        raise DataError(
            f"expected test videos beside those explained, got none in {job.data}; give some with --test DIR, or hold "
            "some out with `voxplain concepts --hold-out`"
        )
    return rest
