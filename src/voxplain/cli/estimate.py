"""The estimate of `voxplain concepts --dry-run`: passes of the network, time and disk, from a short calibration."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from voxplain.cli.console import Console
from voxplain.cli.execution import Execution
from voxplain.cli.file_list import folder_or_list
from voxplain.cli.job import Job
from voxplain.cli.memory import Forecast, peak_of, present, read_bytes, readable_bytes
from voxplain.concepts.cluster import Clusterer, KMeans
from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.datasets import VideoSet, read_clips
from voxplain.datasets.folder import KEPT
from voxplain.errors import DataError
from voxplain.explain.session import LABELS
from voxplain.inference import one_thread
from voxplain.model import VideoModel
from voxplain.progress import duration
from voxplain.runtime import cores
from voxplain.video import Clip

__all__ = ["Calibration", "calibrate", "forecast", "forwards_of", "print_estimate", "within_memory"]

CROPS = 8  # of one clip that are timed
CALIBRATED = 4  # classes of which a clip is measured

T = TypeVar("T")


@dataclass(frozen=True)
class Calibration:
    """Measurements on one clip of the data on one core of this machine.

    Parameters
    ----------
    segment : float
        Seconds of segmenting the clip.
    forward : float
        Seconds of one forward at the network's own input size.
    embed : float
        Seconds of embedding one supervoxel, or one clip where one pass embeds all of them.
    supervoxels : int
        Supervoxels of the clip.
    features : int
        Length D of a feature vector.
    clip_bytes : int
        Bytes of the clip's labels and features on disk.
    frame_bytes : int
        Bytes of the clip's frames.
    memory : int
        Bytes of memory that computing the clip takes.
    """

    segment: float
    forward: float
    embed: float
    supervoxels: int
    features: int
    clip_bytes: int
    frame_bytes: int = 0
    memory: int = 0


def calibrate(job: Job, model: VideoModel, videos: VideoSet) -> Calibration:
    """Segment one clip and embed some of its supervoxels, on one core and with the fast copy of the network."""
    s = job.settings
    wanted = (0, s.objective) if s.embedder.one_pass else None
    clip = _readable_clip(job, model, videos)
    with one_thread():
        s.segmenter(clip)  # compiles on its first call
        (supervoxels, segment), segmenting = peak_of(lambda: _timed(lambda: s.deduplicate(s.segmenter(clip))))
        ids = np.arange(supervoxels.count)[:CROPS]
        fast = s.inference(model, MaskedCrops().shown(model, clip, supervoxels, ids)).model
        crops = np.repeat(clip.frames[None, : model.grid[0]], min(CROPS, model.pass_size), 0)
        fast.logits(crops[:1])
        (_, forward), passing = peak_of(lambda: _timed(lambda: fast.logits(crops)))
        (found, embed), embedding = peak_of(
            lambda: _timed(lambda: s.embedder.embed(fast, clip, supervoxels, ids=ids, gradient_of=wanted))
        )
    labels = int(supervoxels.labels.nbytes / 24)  # packed: 44 KiB of three levels of 16×112×112
    each = embed / (1 if wanted else max(len(ids), 1))
    features = found.values.shape[1]
    disk = labels + supervoxels.count * features * 4
    memory = max(segmenting or 0, passing or 0, embedding or 0)
    frames = clip.frames.nbytes
    return Calibration(segment, forward / len(crops), each, supervoxels.count, features, disk, frames, memory)


def _readable_clip(job: Job, model: VideoModel, videos: VideoSet) -> Clip:
    """The first clip, in a seeded order, of the videos that can be read. DataError where there is none."""
    reader = replace(model.reader(), damaged=job.damaged)
    order = np.random.default_rng(job.settings.seed).permutation(len(videos))
    for i in order[:-1]:
        try:
            return read_clips(videos.select([i]), reader).clips[0]
        except DataError:
            if job.damaged == "fail":
                raise
    return read_clips(videos.select([order[-1]]), reader).clips[0]


def forwards_of(job: Job, measured: Calibration, clips: int, unrelated: int) -> dict[str, tuple[float, float]]:
    """(passes, seconds of one core) of each step of explaining a class of ``clips`` clips; a backward counts as one."""
    s = job.settings
    embedded, scored, half = clips + unrelated, min(clips, s.score_videos), unrelated // 2
    if s.embedder.one_pass:  # gradients and logits come with the features, but not with those of raw examples
        features, others = unrelated + clips * _class_passes(s.embedder), half if s.unrelated_examples == "raw" else 0
    else:
        drawn = min(s.unrelated_crops, measured.supervoxels)
        examples = half * (drawn if s.unrelated_examples == "matched" else 1)
        embedded = features = clips * measured.supervoxels + (unrelated - half) * drawn + examples
        others = 2 * scored + unrelated
    hidden = s.effect.forwards(min(clips, s.effect_videos), _most_concepts(s.clusterer))
    return {
        "supervoxels": (0, (clips + unrelated) * measured.segment),
        "features": (features, embedded * measured.embed),
        "gradients and logits": (others, others * measured.forward),
        "direct effects": (hidden, hidden * measured.forward),
    }


def print_estimate(job: Job, model: VideoModel, videos: VideoSet, workers: int | None) -> None:
    """Print the passes of the network that a run needs, and estimates of their time here and of the disk it fills."""
    console, workers = Console(highlight=False), workers or cores()
    others = folder_or_list(job.random, job.data, job.held.files, images=job.held.images)
    unrelated = min(job.settings.unrelated_videos, len(others))
    total, disk, memory = 0.0, 0, list[Forecast]()
    measured: Calibration | None = None
    for place, name in enumerate(job.classes):
        own = videos.of_class(name)
        if measured is None or place < CALIBRATED:  # of more classes, the last of these stands for the others
            measured = calibrate(job, model, own)
        clips = min(job.settings.videos, len(own))
        # The unrelated videos are the same for every class: only the first computes them.
        steps = forwards_of(job, measured, clips, unrelated if place == 0 else 0)
        seconds = sum(took for _, took in steps.values()) / workers
        count = sum(passes for passes, _ in steps.values())
        total, disk = total + seconds, disk + measured.clip_bytes * (clips + (unrelated if place == 0 else 0))
        console.print(
            f"“{name}”: {clips} videos, about {clips * measured.supervoxels} supervoxels, {count:.0f} passes "
            f"of the network, about {duration(seconds)} on {model.device} with {workers} workers",
            markup=False,
        )
        times = ", ".join(f"{step} {duration(took / workers)}" for step, (_, took) in steps.items() if took)
        console.print(f"  {times}", markup=False)
        memory.append(forecast(job, measured, clips, unrelated))
    if memory[0].worker:
        console.print(max(memory, key=lambda one: one.total(workers)).sentence(workers), markup=False)
    console.print(
        f"all classes: about {duration(total)} and {disk / 1e6:.0f} MB of disk; "
        f"with N machines like this and --shard about a N-th of the time"
    )
    console.print("nothing was written: this was a dry run")


def forecast(job: Job, measured: Calibration, clips: int, unrelated: int) -> Forecast:
    """The memory of explaining a class of ``clips`` clips, with the program and the network as they are loaded now."""
    videos = sum(min(KEPT, count * measured.frame_bytes) for count in (clips, unrelated))
    drawn = clips * measured.supervoxels + unrelated * min(job.settings.unrelated_crops, measured.supervoxels)
    rows = 2 * drawn * measured.features * 4  # a clip's own, and all together
    return Forecast(present() or 0, measured.memory, videos + LABELS + rows)


def within_memory(execution: Execution, job: Job, model: VideoModel, videos: VideoSet) -> tuple[Execution, Job]:
    """The execution and the job with as many workers, and as large passes, as ``--max-memory`` allows.

    Raises DataError where one worker with one clip in a pass takes more.
    """
    assert execution.max_memory is not None
    limit, given = read_bytes(execution.max_memory), job.network.batch_size
    own = videos.of_class(job.classes[0])
    unrelated = folder_or_list(job.random, job.data, job.held.files, images=job.held.images)
    counts = min(job.settings.videos, len(own)), min(job.settings.unrelated_videos, len(unrelated))
    for size in (given, *(n for n in (2, 1) if n < given)):
        found = forecast(job, calibrate(job, replace(model, batch_size=size), own), *counts)
        workers = found.workers(limit, execution.workers or cores())
        if workers or not found.worker:
            network = replace(job.network, batch_size=size)
            return replace(execution, workers=max(1, workers), max_memory=None), replace(job, network=network)
    raise DataError(
        f"expected --max-memory of {readable_bytes(found.total(1))} or more for this network and these videos, got "
        f"{execution.max_memory}; give more, or take fewer videos (--videos)"
    )


def _class_passes(embedder: Embedder) -> int:
    """Forward and backward passes in which one clip of the class is embedded, contributions included."""
    return 2 + 2 * (getattr(embedder, "steps", 0) if getattr(embedder, "contribution", 0) else 0)


def _most_concepts(clusterer: Clusterer) -> int:
    """Clusters asked for, or at most; the paper's number where the method has no such field."""
    return int(getattr(clusterer, "clusters", getattr(clusterer, "max_clusters", KMeans().clusters)))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
