"""What `voxplain concepts --dry-run` says: forwards, minutes and disk of a run, from a few seconds of calibration."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from voxplain.cli.job import Job
from voxplain.concepts.features import MaskedCrops
from voxplain.datasets import VideoSet, read_clips, scan_folder
from voxplain.inference import one_thread
from voxplain.model import VideoModel
from voxplain.progress import span
from voxplain.runtime import cores

__all__ = ["Calibration", "calibrate", "estimate", "forwards_of"]

PROBED = 8  # crops of one clip that are timed


@dataclass(frozen=True)
class Calibration:
    """One clip of this data on one core of this machine: seconds, supervoxels, and bytes it leaves on disk."""

    segment: float
    forward: float  # at the network's own size
    embed: float  # a supervoxel, as the settings embed it
    supervoxels: int
    features: int  # D
    clip_bytes: int  # labels and features


def calibrate(job: Job, model: VideoModel, videos: VideoSet) -> Calibration:
    """Segment one clip and embed some of its supervoxels, on one core and with the fast copy of the network."""
    s = job.settings
    clip = read_clips(videos, model.reader(), limit=1, seed=s.seed).clips[0]
    with one_thread():
        s.segmenter(clip)  # compiles on its first call
        parts, segment = _timed(lambda: s.deduplicate(s.segmenter(clip)))
        ids = np.arange(parts.count)[:PROBED]
        fast = s.inference(model, MaskedCrops().shown(model, clip, parts, ids)).model
        crops = np.repeat(clip.frames[None, : model.grid[0]], min(PROBED, model.batch_size), 0)
        fast.logits(crops[:1])
        _, forward = _timed(lambda: fast.logits(crops))
        rows, embed = _timed(lambda: s.embedder(fast, clip, parts, ids=ids))
    labels = int(parts.labels.nbytes / 24)  # packed: 44 KiB of three levels of 16×112×112
    per_row = embed / (1 if _pooled(job) else max(len(ids), 1))
    return Calibration(
        segment, forward / len(crops), per_row, parts.count, rows.shape[1], labels + parts.count * rows.shape[1] * 4
    )


def forwards_of(job: Job, seen: Calibration, clips: int, unrelated: int) -> dict[str, tuple[float, float]]:
    """(forwards, seconds of one core) of each part of explaining a class of so many clips."""
    s = job.settings
    clusters = getattr(s.clusterer, "clusters", 25)
    drawn = min(s.unrelated_crops, seen.supervoxels)
    rows, others = (clips, unrelated) if _pooled(job) else (clips * seen.supervoxels, unrelated * drawn)
    kept = 0
    if s.cav_embedder is not None:  # members of concepts and of null concepts, and negatives, once more in full
        kept = 2 * min(clusters * s.keep, clips * seen.supervoxels) + unrelated * drawn // 2
        others = others // 2
    scored = min(clips, s.score_videos)
    derived = 0 if _pooled(job) else scored  # their gradients come with the features
    hidden = min(clips, s.effect_videos) * (2 + clusters * (2 + s.effect.controls))
    return {
        "supervoxels": (0, (clips + unrelated) * seen.segment),
        "features": (rows + others, (rows + others) * seen.embed),
        "features for CAVs": (kept, kept * seen.forward),
        "gradients and logits": (derived + unrelated, (derived + unrelated) * seen.forward),
        "direct effects": (hidden, hidden * seen.forward),
    }


def estimate(job: Job, model: VideoModel, videos: VideoSet, workers: int | None) -> None:
    """Say how many forwards a run needs, about how long they take here, and the disk that it fills."""
    console, workers = Console(highlight=False), workers or cores()
    unrelated = min(job.settings.unrelated_videos, len(scan_folder(job.random)))
    total, disk = 0.0, 0
    for place, name in enumerate(job.classes):
        own = videos.of_class(name)
        seen = calibrate(job, model, own)
        clips = min(job.settings.videos, len(own))
        # The unrelated videos are the same for every class: only the first pays for them.
        parts = forwards_of(job, seen, clips, unrelated if place == 0 else 0)
        seconds = sum(took for _, took in parts.values()) / workers
        count = sum(forwards for forwards, _ in parts.values())
        total, disk = total + seconds, disk + seen.clip_bytes * (clips + (unrelated if place == 0 else 0))
        console.print(
            f"“{name}”: {clips} videos, about {clips * seen.supervoxels} supervoxels, {count:.0f} forwards, "
            f"about {span(seconds)} on {model.device} with {workers} workers",
            markup=False,
        )
        shares = ", ".join(f"{part} {span(took / workers)}" for part, (_, took) in parts.items() if took)
        console.print(f"  {shares}", markup=False)
    console.print(
        f"all classes: about {span(total)} and {disk / 1e6:.0f} MB of disk; "
        f"with N machines like this and --shard about a N-th of the time"
    )
    console.print("nothing was written: this was a dry run")


def _pooled(job: Job) -> bool:
    return not isinstance(job.settings.embedder, MaskedCrops)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    done = work()
    return done, time.perf_counter() - start
