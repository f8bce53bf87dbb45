"""Run a job from its videos to its report, for `concepts`, `evaluate`, `demo` and `reproduce`."""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.cli.answer import answer_record, print_answer, print_note
from voxplain.cli.console import Console
from voxplain.cli.estimate import within_memory
from voxplain.cli.execution import Execution
from voxplain.cli.file_list import folder_or_list, print_list
from voxplain.cli.held_out import named_videos, split_videos
from voxplain.cli.job import Job
from voxplain.cli.memory import read_bytes, readable_bytes
from voxplain.cli.network import open_model
from voxplain.cli.printed import Printed
from voxplain.cli.profile import print_profile
from voxplain.cli.rerun_command import command_of
from voxplain.cli.results import write_evaluation, write_run
from voxplain.cli.sources import place_in, with_places
from voxplain.cli.work_estimate import Estimate, begun
from voxplain.concepts.concept_run import ConceptRun, EvaluationRun, combined_evaluation
from voxplain.concepts.settings import PRESETS
from voxplain.datasets import ClipSet, VideoSet, read_clips
from voxplain.errors import DataError, VideoError
from voxplain.explain import Budget, evaluate_concepts, explain_concepts, explain_within_budget
from voxplain.inference import metered
from voxplain.model import VideoModel
from voxplain.plain_text import safe_name
from voxplain.progress import timed
from voxplain.report import (
    Origin,
    dependence_sentence,
    evaluation_sentences,
    order_test_sentence,
    table_text,
    write_pages,
    write_report,
)
from voxplain.report.effect_sentences import effect_sentences
from voxplain.runtime import MissingShards, cores
from voxplain.store import RUN_FILES, Store, load_run, remove_abandoned, write_whole
from voxplain.video.lost_videos import noted_losses

__all__ = ["limited", "run_job", "test_videos"]

THREADS, ANSWER = Execution(), Printed()
WHOLE_OF_A_VOXEL = 360  # bytes that the segmentation of a whole video takes, measured on 128 and 512 frames of 64×64
WHOLE_BYTES = 3 << 29  # of a worker, without --max-memory


def limited(job: Job, execution: Execution, printed: Printed = ANSWER) -> tuple[Job, Execution, int]:
    """A job, where it is computed, and the most voxels of a whole video, within ``--max-memory``.

    Parameters
    ----------
    job : Job
    execution : Execution
    printed : Printed
        Where workers and passes are printed if there is a limit.

    Returns
    -------
    (Job, Execution, int)

    Raises
    ------
    DataError
        Where the memory does not suffice.
    """
    if execution.max_memory is None:
        return job, execution, WHOLE_BYTES // WHOLE_OF_A_VOXEL
    limit = read_bytes(execution.max_memory)
    videos, _ = split_videos(job.data, job.held)
    model = open_model(job.network, videos.classes, layer=(job.network.layer or (None,))[0])
    execution, job = within_memory(execution, job, model, named_videos(model, videos, job.held))
    said = f"{execution.workers} workers, passes of {job.network.batch_size} clips at most"
    printed.console().print(said, highlight=False)
    return job, execution, limit // (WHOLE_OF_A_VOXEL * (execution.workers or 1))


def run_job(
    job: Job,
    *,
    evaluate: bool,
    execution: Execution = THREADS,
    printed: Printed = ANSWER,
    whole_voxels: int = WHOLE_BYTES // WHOLE_OF_A_VOXEL,
    work: Callable[[Job, int | None], Estimate | None] | None = None,
) -> list[ConceptRun]:
    """Explain every class at every layer, write the results and print the answers.

    Parameters
    ----------
    job : Job
        What is computed.
    evaluate : bool
        Whether to evaluate the ranking on the test videos, too.
    execution : Execution, optional
        Where it is computed; default: on threads.
    printed : Printed, optional
        How much is printed; default: the answers.
    whole_voxels : int
        Most voxels of a whole video; larger ones are left out.
    work : callable, optional
        Gives the estimate of a job, by so many workers, for the comparison at the end; default: none is made.

    Returns
    -------
    list of ConceptRun
        A run for each layer and class.

    Raises
    ------
    MissingShards
        Where results of other shards are missing, once everything else of this shard is computed.
    """
    console, seconds = printed.console(), dict[str, float]()
    videos, held_out = split_videos(job.data, job.held)
    print_list(videos)
    watch = begun(console, lambda: work(job, execution.workers) if work else None)
    store = Store(job.store or job.output / "store")
    remove_abandoned(job.output)
    runner = _JobRunner(
        job,
        videos,
        test_videos(job, held_out) if evaluate else None,
        console,
        printed,
        {"store": store, "progress": timed(printed.progress(), seconds), **execution.options()},
        None if job.budget is None else time.monotonic() + job.budget,
        whole_voxels,
    )
    runs: list[ConceptRun] = []
    missing: list[MissingShards] = []
    layers = job.network.layer or (None,)
    for place, layer in enumerate(layers):
        model = open_model(job.network, videos.classes, layer=layer)
        runner = runner.with_names_of(model)
        with metered(model.net) if execution.profile else nullcontext() as meter:
            own, own_missing = runner.explain_layer(model, len(layers) - place - 1)
        runs, missing = [*runs, *own], [*missing, *own_missing]
        if meter is not None:
            print_profile(console, seconds, meter, model, execution.workers or cores())
    if missing:
        raise missing[-1]
    path = job.output / "report.html"
    origin = Origin(command_of(job, evaluate=evaluate))
    write_whole(job.output / "origin.json", json.dumps({"command": origin.command}, indent=1).encode())
    with timed(printed.progress(), seconds)("writing the report", len(runs)) as advance:
        (write_pages if len(runs) > 1 else write_report)(runs, path, origin=origin, advance=advance)
    watch.write(job.output, seconds)
    for run in runs:
        (print_details if printed.verbose else print_answer)(console, run)
    console.print(f"report: {path} ({watch.sentence()})", markup=False, highlight=False, soft_wrap=True)
    printed.answers(answer_record(runs, path))
    return runs


@dataclass(frozen=True, eq=False)
class _JobRunner:
    """The classes of a job, explained layer by layer."""

    job: Job
    videos: VideoSet
    held_out: VideoSet | None  # None: not evaluated
    console: Console
    printed: Printed
    tools: dict[str, Any]  # store, progress and executor of `explain_concepts`
    end: float | None  # of the budget, by time.monotonic
    whole_voxels: int  # of a whole video, at most

    def with_names_of(self, model: VideoModel) -> "_JobRunner":
        """The runner with the model's names of the classes of a list."""
        held_out = self.held_out and named_videos(model, self.held_out, self.job.held)
        return replace(self, videos=named_videos(model, self.videos, self.job.held), held_out=held_out)

    def explain_layer(self, model: VideoModel, more: int) -> tuple[list[ConceptRun], list[MissingShards]]:
        """Runs of every class at one layer, with ``more`` layers to follow, and what other shards lack."""
        job = self.job
        unrelated = folder_or_list(job.random, job.data, job.held.files, images=job.held.images)
        limit = job.settings.unrelated_videos
        random = self.read(model, unrelated, limit, "unrelated videos", job.random)
        own: list[ConceptRun] = []
        missing: list[MissingShards] = []
        for place, name in enumerate(job.classes):
            try:
                run = self.explain_class(model, name, random, len(job.classes) * (more + 1) - place)
            except MissingShards as error:
                missing.append(error)
                continue
            write_run(self.job.output / safe_name(name) / self.layer_folder(model), run)
            own.append(run)
        alike = len({run.classes for run in own}) == 1  # labels are questions of their own
        if self.held_out is not None and len(own) > 1 and alike and not missing:
            together = combined_evaluation(own)
            write_evaluation(self.job.output / self.layer_folder(model), together)
            if self.printed.verbose:
                self.console.print(f"{len(own)} classes together:")
                _print_evaluation(self.console, together)
        return own, missing

    def explain_class(self, model: VideoModel, name: str, random: ClipSet, left: int) -> ConceptRun:
        """The run of one class, evaluated if the job is; ``left`` classes share the time that is left."""
        job, s = self.job, self.job.settings
        clips = self.read(model, self.videos.of_class(name), s.videos, f"“{name}”", job.data)
        options = {
            "random": random.clips,
            "target": job.target or name,
            "settings": s,
            "preset": job.preset if job.preset in PRESETS else None,
            **self.tools,
            "skipped": [*_skipped(clips, job.data), *_skipped(random, job.random)],
        }
        run = self.explain_clips(model, clips, left, options, name)
        if job.preset not in PRESETS:  # the setting of an experiment
            run = replace(run, preset=job.preset)
        if self.held_out is None:
            return run
        own, root = self.held_out.of_class(name), job.test or job.data
        test = self.read(model, own, None, f"test videos of “{name}”", root)
        return evaluate_concepts(run, test.clips, model=model, settings=s, **self.tools)

    def explain_clips(
        self, model: VideoModel, clips: ClipSet, left: int, options: dict[str, Any], name: str
    ) -> ConceptRun:
        """A class explained by all its clips, or by as many as the time allows."""
        if self.end is None:
            return explain_concepts(model, clips.clips, **options)
        folder = self.job.output / safe_name(name) / self.layer_folder(model)
        if self.held_out is not None and (folder / RUN_FILES[-1]).is_file():
            return load_run(folder)  # computed again, another number of videos would fit into the time
        return explain_within_budget(
            Budget(max(self.end - time.monotonic(), 1.0) / left), model, clips.clips, **options
        )

    def read(self, model: VideoModel, videos: VideoSet, limit: int | None, what: str, root: Path) -> ClipSet:
        """Clips of the network's length, or whole videos, named by their places below ``root``."""
        reader = replace(model.reader(), damaged=self.job.damaged)
        if self.job.whole:
            reader = replace(reader, sampler=_Whole(model.grid, model.stride, self.whole_voxels))
        total, seed = len(videos) if limit is None else min(limit, len(videos)), self.job.settings.seed
        with self.printed.progress()(f"reading {what}", total) as advance, noted_losses() as noted:
            clips = read_clips(videos, reader, limit=limit, seed=seed, progress=lambda done, all_: advance())
        if clips.skipped or clips.damaged:
            self.console.print(clips.summary(), markup=False, highlight=False)
        if sentence := noted.short_sentence():
            self.console.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)
        return replace(clips, clips=with_places(clips.clips, root))

    def layer_folder(self, model: VideoModel) -> str:
        """The folder of a layer below that of a class, where there are several layers."""
        return model.layer if len(self.job.network.layer) > 1 else ""


def print_details(console: Console, run: ConceptRun) -> None:
    """Print the table of a run and all that was found of it."""
    console.print(table_text(run))
    console.print(run.sentence(), markup=False, highlight=False)
    if run.recognition is not None and run.recognition.holds:  # where it does not, a warning says so
        console.print(run.recognition.sentence(run.target), markup=False, highlight=False)
    if math.isfinite(run.clip_dependence):
        console.print(dependence_sentence(run), markup=False, highlight=False)
    for sentence in effect_sentences(run):
        console.print(sentence, markup=False, highlight=False)
    for warning in run.warnings:
        if warning.code != "assumed_classes":  # said when the network was loaded
            print_note(console, warning)
    if run.evaluation is not None:
        _print_evaluation(console, run.evaluation)


def _print_evaluation(console: Console, evaluation: EvaluationRun) -> None:
    # The report has those of the log-odds, too.
    shown = [c for c in evaluation.order_tests if c.measure in ("accuracy", "output")]
    for words in (*evaluation_sentences(evaluation), *map(order_test_sentence, shown)):
        console.print(f"  {words}", markup=False, highlight=False)


def _skipped(clips: ClipSet, root: Path) -> list[tuple[str, str]]:
    """Videos that could not be read and why, with their places in the data."""
    return [(place_in(str(x.path), root), x.reason.replace(str(x.path), x.path.name)) for x in clips.skipped]


@dataclass(frozen=True)
class _Whole:
    """Sampler of every ``stride``-th frame of the video; shorter ones are looped to the network's length.

    Videos of more than ``most`` voxels are an error: all supervoxels of a clip are computed together.
    """

    grid: tuple[int, int, int]
    stride: int
    most: int

    def __call__(self, count: int, rng: np.random.Generator | None = None) -> np.ndarray:
        frames, height, width = self.grid
        needed, most = -(-count // self.stride), max(frames, self.most // (height * width))
        if needed > most:
            raise VideoError(
                f"expected at most {most} frames of {height}×{width} with --whole, got {needed}: the supervoxels of "
                f"more take about {readable_bytes(needed * height * width * WHOLE_OF_A_VOXEL)}; cut the video, give "
                "more memory with --max-memory, or leave --whole out"
            )
        return np.arange(0, max(count, frames * self.stride), self.stride, dtype=np.int64)[None] % count


def test_videos(job: Job, held_out: VideoSet | None) -> VideoSet:
    """The test videos that a job names, or those that are held out. DataError where there are none."""
    if job.test is not None:
        return folder_or_list(job.test, job.data, job.held.files, images=job.held.images)
    if held_out is None:
        raise DataError(
            f"expected test videos beside those explained, got none in {job.data}; give some with --test DIR, or hold "
            "some out with `voxplain concepts --hold-out`"
        )
    return held_out
