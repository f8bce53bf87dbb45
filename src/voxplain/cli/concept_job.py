"""A job from its videos to its report: what `concepts`, `evaluate` and `demo` share."""

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from voxplain.cli.execution import Execution
from voxplain.cli.held_out import split_videos
from voxplain.cli.job import Job
from voxplain.cli.network import open_model
from voxplain.cli.profile import print_profile
from voxplain.cli.rerun_command import command_of
from voxplain.cli.results import write_evaluation, write_run
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun, combined_evaluation
from voxplain.concepts.settings import PRESETS
from voxplain.datasets import ClipSet, VideoSet, read_clips, scan_folder
from voxplain.errors import DataError
from voxplain.explain import Budget, evaluate_concepts, explain_concepts, explain_within_budget
from voxplain.inference import metered
from voxplain.model import VideoModel
from voxplain.progress import progress_bar, timed
from voxplain.report import Origin, evaluation_sentences, order_test_sentence, report_page, table_text
from voxplain.runtime import MissingShards, cores
from voxplain.store import RUN_FILES, Store, load_run, remove_abandoned, write_whole

__all__ = ["run_job"]

HERE = Execution()


def run_job(job: Job, *, evaluate: bool, execution: Execution = HERE) -> list[ConceptRun]:
    """Explain every class at every layer, write the results, print the tables; returns the runs.

    Raises MissingShards, once every class has been taken as far as it goes, where results of other shards are missing.
    """
    console, seconds = Console(), dict[str, float]()
    videos, rest = split_videos(job.data, job.held)
    store = Store(job.store or job.output / "store")
    remove_abandoned(job.output)
    course = _Course(
        job,
        videos,
        _test_videos(job, rest) if evaluate else None,
        console,
        {"store": store, "progress": timed(progress_bar, seconds), **execution.options()},
        None if job.budget is None else time.monotonic() + job.budget,
    )
    runs: list[ConceptRun] = []
    waits: list[MissingShards] = []
    layers = job.network.layer or (None,)
    for place, layer in enumerate(layers):
        model = open_model(job.network, videos.classes, layer=layer)
        with metered(model.net) if execution.profile else nullcontext() as meter:
            found, missing = course.layer(model, len(layers) - place - 1)
        runs, waits = [*runs, *found], [*waits, *missing]
        if meter is not None:
            print_profile(console, seconds, meter, model, execution.workers or cores())
    if waits:
        raise waits[-1]
    path = job.output / "report.html"
    origin = Origin(command_of(job, evaluate=evaluate), seconds)
    write_whole(job.output / "origin.json", json.dumps(asdict(origin), indent=1).encode())
    write_whole(path, report_page(runs, origin=origin))
    console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    return runs


@dataclass(frozen=True, eq=False)
class _Course:
    """A job under way: its videos, those it is proved on if it is, where it tells, works and ends."""

    job: Job
    videos: VideoSet
    held_out: VideoSet | None
    console: Console
    tools: dict[str, Any]  # store, progress and place of computing of `explain_concepts`
    end: float | None

    def layer(self, model: VideoModel, more: int) -> tuple[list[ConceptRun], list[MissingShards]]:
        """Every class at one layer, ``more`` layers to come, and what other shares have not done yet."""
        job = self.job
        random = _read(
            model, scan_folder(job.random), job, job.settings.unrelated_videos, "unrelated videos", self.console
        )
        own: list[ConceptRun] = []
        waits: list[MissingShards] = []
        for place, name in enumerate(job.classes):
            try:
                run = self.one(model, name, random, len(job.classes) * (more + 1) - place)
            except MissingShards as error:
                waits.append(error)
                continue
            write_run(self.job.output / name / self.below(model), run)
            _tell(self.console, run)
            own.append(run)
        if self.held_out is not None and len(own) > 1 and not waits:
            together = combined_evaluation(own)
            write_evaluation(self.job.output / self.below(model), together)
            self.console.print(f"{len(own)} classes together:")
            _tell_evaluation(self.console, together)
        return own, waits

    def one(self, model: VideoModel, name: str, random: ClipSet, left: int) -> ConceptRun:
        """One class explained, and proved where the job asks for it; ``left`` classes share the time."""
        job, s = self.job, self.job.settings
        clips = _read(model, self.videos.of_class(name), job, s.videos, f"“{name}”", self.console)
        options = {
            "random": random.clips,
            "target": name,
            "settings": s,
            "preset": job.preset if job.preset in PRESETS else None,
            **self.tools,
            "skipped": [(str(x.path), x.reason) for x in (*clips.skipped, *random.skipped)],
        }
        run = self.explained(model, clips, left, options)
        if job.preset not in PRESETS:  # the setting of an experiment
            run = replace(run, preset=job.preset)
        if self.held_out is None:
            return run
        test = _read(model, self.held_out.of_class(name), job, None, f"test videos of “{name}”", self.console)
        return evaluate_concepts(run, test.clips, model=model, settings=s, **self.tools)

    def explained(self, model: VideoModel, clips: ClipSet, left: int, options: dict[str, Any]) -> ConceptRun:
        """A class explained by all its clips, or by as many as the time allows."""
        if self.end is None:
            return explain_concepts(model, clips.clips, **options)
        folder = self.job.output / options["target"] / self.below(model)
        if self.held_out is not None and (folder / RUN_FILES[-1]).is_file():
            return load_run(folder)  # what a clock decided cannot be decided again
        return explain_within_budget(
            Budget(max(self.end - time.monotonic(), 1.0) / left), model, clips.clips, **options
        )

    def below(self, model: VideoModel) -> str:
        """The folder of a layer below that of a class, where there are several layers."""
        return model.layer if len(self.job.network.layer) > 1 else ""


def _tell(console: Console, run: ConceptRun) -> None:
    console.print(table_text(run))
    console.print(run.sentence(), markup=False, highlight=False)
    for warning in run.warnings:
        console.print(f"note: {warning}", markup=False, highlight=False)
    if run.evaluation is not None:
        _tell_evaluation(console, run.evaluation)


def _tell_evaluation(console: Console, evaluation: EvaluationRun) -> None:
    shown = [c for c in evaluation.order_tests if c.measure == "accuracy"]  # the report also has those of the log-odds
    for words in (*evaluation_sentences(evaluation), *map(order_test_sentence, shown)):
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
