"""Estimates of concepts and of their evaluation: passes of the network, time and disk, from a short calibration."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from voxplain.cli.console import Console
from voxplain.cli.execution import Execution
from voxplain.cli.file_list import folder_or_list
from voxplain.cli.job import Job
from voxplain.cli.memory import Forecast, peak_of, present, read_bytes, readable_bytes
from voxplain.cli.work_estimate import Estimate, Work
from voxplain.concepts.cluster import Clusterer, KMeans
from voxplain.concepts.features import Embedder, MaskedCrops
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import VideoSet, read_clips
from voxplain.datasets.folder import KEPT
from voxplain.errors import DataError, ModelError
from voxplain.explain.session import LABELS
from voxplain.inference import one_thread, replicas
from voxplain.inference.threads import stay_on_one_thread
from voxplain.model import VideoModel
from voxplain.perturb import base_clip, hide
from voxplain.progress import duration
from voxplain.report.draw import stacked_mask
from voxplain.report.embed import clip_uri
from voxplain.runtime import cores
from voxplain.segment import Supervoxels, volume_matched
from voxplain.video import Clip

__all__ = [
    "Calibration",
    "calibrate",
    "class_passes",
    "expected_concepts",
    "explained_work",
    "explanation_estimate",
    "forecast",
    "forwards_of",
    "page_seconds",
    "print_estimate",
    "readable_clip",
    "side_by_side",
    "within_memory",
]

CROPS = 8  # of one clip that are timed
CALIBRATED = 4  # classes of which a clip is measured
ON_DEVICE = 3  # passes at once on a GPU, as `ThreadExecutor` does
READERS = 2  # threads of `read_clips`


@dataclass(frozen=True)
class Calibration:
    """Measurements on one clip of the data, by as many workers at the same time as the run has, as it is now.

    Seconds are those by the clock for one of many, with all workers.

    Parameters
    ----------
    segment : float
        Seconds of segmenting the clip.
    forward : float
        Seconds of one forward of a clip with hidden voxels, the hiding included.
    embed : float
        Seconds of embedding one supervoxel, or one clip where one pass embeds all of them.
    supervoxels : int
        Supervoxels of the clip.
    features : int
        Length D of a feature vector.
    clip_bytes : int
        Bytes of the clip's labels and features on disk.
    read : float
        Seconds of reading the clip.
    drawn : float
        Seconds of drawing and encoding one moving picture of it.
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
    read: float = 0.0
    drawn: float = 0.0
    frame_bytes: int = 0
    memory: int = 0


def calibrate(
    settings: ConceptSettings, model: VideoModel, clip: Clip, *, workers: int = 1, read: float = 0.0
) -> Calibration:
    """Segment one clip and embed some of its supervoxels with the fast copy of the network, on every worker at once."""
    s = settings
    wanted = (0, s.objective) if s.embedder.one_pass else None
    with one_thread():
        s.segmenter(clip)  # compiles on its first call
        supervoxels, segmenting = peak_of(lambda: s.deduplicate(s.segmenter(clip)))
        ids = np.arange(supervoxels.count)[:CROPS]
        fast = s.inference(model, MaskedCrops().shown(model, clip, supervoxels, ids)).model
    segment = side_by_side(lambda: s.deduplicate(s.segmenter(clip)), workers)
    at_once = workers if model.device.type == "cpu" else min(workers, ON_DEVICE)
    try:
        nets = replicas(fast, at_once)
    except ModelError:  # a network that cannot be copied is used by one thread, as it is
        nets, at_once = [fast], 1
    fill = (getattr(s.effect, "fills", None) or (s.evaluation.fill,))[0]
    with one_thread():
        found, embedding = peak_of(lambda: _embedded(s, nets[0], clip, supervoxels, ids, wanted))
        _, passing = peak_of(lambda: _variants(nets[0], clip, supervoxels, fill))
    memory = max(segmenting or 0, passing or 0, embedding or 0)

    def embed() -> None:
        net = nets.pop()
        _embedded(s, net, clip, supervoxels, ids, wanted)
        nets.append(net)

    def variants() -> None:
        net = nets.pop()
        _variants(net, clip, supervoxels, fill)
        nets.append(net)

    for net in nets[1:]:
        _variants(net, clip, supervoxels, fill)
    embedded, hidden = side_by_side(embed, at_once), side_by_side(variants, at_once)
    labels = int(supervoxels.labels.nbytes / 24)  # packed: 44 KiB of three levels of 16×112×112
    disk = labels + supervoxels.count * found * 4
    each = embedded / (1 if wanted else max(len(ids), 1))
    mask = supervoxels.mask(int(ids[0]))
    start = time.perf_counter()
    clip_uri(stacked_mask(clip.frames, mask, 0)[0], 8)
    drawn = time.perf_counter() - start
    return Calibration(
        segment, hidden / CROPS, each, supervoxels.count, found, disk, read, drawn, clip.frames.nbytes, memory
    )


def side_by_side(work: Callable[[], object], workers: int) -> float:
    """Seconds by the clock for one of many calls, where ``workers`` are made at the same time.

    Parameters
    ----------
    work : callable
        Called twice by each worker.
    workers : int
        Threads, each on one core.

    Returns
    -------
    float
    """
    start = time.perf_counter()
    if workers == 1:
        with one_thread():
            work()
            work()
    else:
        with ThreadPoolExecutor(workers, initializer=stay_on_one_thread) as pool:
            list(pool.map(lambda _: work(), range(2 * workers)))
    return (time.perf_counter() - start) / (2 * workers)


def _embedded(
    s: ConceptSettings, model: VideoModel, clip: Clip, supervoxels: Supervoxels, ids: np.ndarray, wanted: object
) -> int:
    """Dimensions of the features of some supervoxels."""
    found = s.embedder.embed(model, clip, supervoxels, ids=ids, gradient_of=wanted)  # type: ignore[arg-type]
    return found.values.shape[1]


def _variants(model: VideoModel, clip: Clip, supervoxels: Supervoxels, fill: str) -> None:
    """One batch of the clip with other regions hidden."""
    frames = clip.frames[: model.grid[0]]
    rng, base = np.random.default_rng(0), base_clip(frames, fill, model.mean_colour)
    size = supervoxels.labels.shape[-3:]
    masks = [volume_matched(rng, supervoxels, int(np.prod(size)) // 8)[: len(frames)] for _ in range(CROPS)]
    shown = np.stack([hide(frames, mask, base) for mask in masks])
    for start in range(0, CROPS, model.pass_size):
        model.logits(shown[start : start + model.pass_size])


def readable_clip(job: Job, model: VideoModel, videos: VideoSet) -> tuple[Clip, float]:
    """The first clip, in a seeded order, of the videos that can be read, and the seconds of reading it.

    Raises DataError where there is none.
    """
    reader = replace(model.reader(), damaged=job.damaged)
    order = np.random.default_rng(job.settings.seed).permutation(len(videos))
    for i in order:
        start = time.perf_counter()
        try:
            clip = read_clips(videos.select([i]), reader).clips[0]
        except DataError:
            if job.damaged == "fail" or i == order[-1]:
                raise
            continue
        return clip, (time.perf_counter() - start) / READERS
    raise DataError("expected a video to read, got none; name a class with videos")


def forwards_of(
    s: ConceptSettings, measured: Calibration, clips: int, unrelated: int, concepts: int | None = None
) -> dict[str, tuple[float, float]]:
    """(passes, seconds) of each step of explaining a class of ``clips`` clips; a backward pass counts as one."""
    embedded, scored, half = clips + unrelated, min(clips, s.score_videos), unrelated // 2
    if s.embedder.one_pass:  # gradients and logits come with the features, but not with those of raw examples
        features, others = unrelated + clips * class_passes(s.embedder), half if s.unrelated_examples == "raw" else 0
    else:
        drawn = min(s.unrelated_crops, measured.supervoxels)
        examples = half * (drawn if s.unrelated_examples == "matched" else 1)
        embedded = features = clips * measured.supervoxels + (unrelated - half) * drawn + examples
        others = 2 * scored + unrelated
    count = expected_concepts(s.clusterer) if concepts is None else concepts
    hidden = s.effect.forwards(min(clips, s.effect_videos), count)
    return {
        "reading": (0, (clips + unrelated) * measured.read),
        "supervoxels": (0, (clips + unrelated) * measured.segment),
        "features": (features, embedded * measured.embed),
        "gradients and logits": (others, others * measured.forward),
        "direct effects": (hidden, hidden * measured.forward),
        "pages": (0, page_seconds(measured, count, evaluated=False)),
    }


def explanation_estimate(
    job: Job, model: VideoModel, videos: VideoSet, workers: int | None
) -> list[tuple[str, int, int, Calibration, Estimate]]:
    """The estimate of each class with its numbers of clips and of unrelated ones, and its measurements, at one layer.

    Of more than 4 classes, the measurements of the fourth stand for those of the others.

    Parameters
    ----------
    job : Job
    model : VideoModel
    videos : VideoSet
        Of all classes.
    workers : int or None
        Of the run; None: one a core.

    Returns
    -------
    list of (str, int, int, Calibration, Estimate)
    """
    others = folder_or_list(job.random, job.data, job.held.files, images=job.held.images)
    unrelated = min(job.settings.unrelated_videos, len(others))
    found = []
    measured: Calibration | None = None
    for place, name in enumerate(job.classes):
        own = videos.of_class(name)
        if measured is None or place < CALIBRATED:
            clip, read = readable_clip(job, model, own)
            measured = calibrate(job.settings, model, clip, workers=workers or cores(), read=read)
        clips = min(job.settings.videos, len(own))
        # The unrelated videos are the same for every class: only the first computes them.
        more = unrelated if place == 0 else 0
        steps = forwards_of(job.settings, measured, clips, more)
        work = tuple(Work(step, passes, seconds) for step, (passes, seconds) in steps.items())
        found.append((name, clips, more, measured, Estimate(work)))
    return found


def explained_work(job: Job, model: VideoModel, videos: VideoSet, workers: int | None) -> Estimate:
    """The estimate of all classes at all layers; parameters as `explanation_estimate`."""
    every = tuple(work for *_, own in explanation_estimate(job, model, videos, workers) for work in own.steps)
    return Estimate(every * max(len(job.network.layer), 1))


def print_estimate(job: Job, model: VideoModel, videos: VideoSet, workers: int | None) -> None:
    """Print the passes of the network that a run needs, and estimates of their time here, of memory and of disk."""
    console, workers = Console(highlight=False), workers or cores()
    disk, memory = 0.0, list[Forecast]()
    found = explanation_estimate(job, model, videos, workers)
    unrelated = found[0][2]  # which the first class computes and every class reads
    for name, clips, more, measured, own in found:
        disk += measured.clip_bytes * (clips + more)
        memory.append(forecast(job, measured, clips, unrelated))
        console.print(
            f"“{name}”: {clips} videos, about {clips * measured.supervoxels} supervoxels, {own.sentence()}, on "
            f"{model.device} with {workers} workers",
            markup=False,
        )
    if memory[0].worker:
        console.print(max(memory, key=lambda one: one.total(workers)).sentence(workers), markup=False)
    layers, every = max(len(job.network.layer), 1), Estimate(tuple(work for *_, own in found for work in own.steps))
    console.print(
        f"all classes{f' at {layers} layers' if layers > 1 else ''}: about {duration(layers * every.seconds)} and "
        f"{disk / 1e6:.0f} MB of disk; with N machines like this and --shard about a N-th of the time"
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
    clip, _ = readable_clip(job, model, own)
    for size in (given, *(n for n in (2, 1) if n < given)):
        found = forecast(job, calibrate(job.settings, replace(model, batch_size=size), clip), *counts)
        workers = found.workers(limit, execution.workers or cores())
        if workers or not found.worker:
            network = replace(job.network, batch_size=size)
            return replace(execution, workers=max(1, workers), max_memory=None), replace(job, network=network)
    raise DataError(
        f"expected --max-memory of {readable_bytes(found.total(1))} or more for this network and these videos, got "
        f"{execution.max_memory}; give more, or take fewer videos (--videos)"
    )


def page_seconds(measured: Calibration, concepts: int, *, evaluated: bool) -> float:
    """Seconds of writing a class: three moving pictures a concept, two more of test clips, and half as much again."""
    return 1.5 * measured.drawn * concepts * (5 if evaluated else 3)


def class_passes(embedder: Embedder) -> int:
    """Forward and backward passes in which one clip of the class is embedded, contributions included."""
    return 2 + 2 * embedder.class_gradients


def expected_concepts(clusterer: Clusterer) -> int:
    """Clusters asked for; half of the most where the method chooses, which found 6.3 of 12 in Weizmann's classes."""
    most = getattr(clusterer, "max_clusters", None)
    return int(getattr(clusterer, "clusters", KMeans().clusters)) if most is None else -(-int(most) // 2)
