"""What `voxplain concepts --dry-run` says: how many forwards a run needs, and about how long they take."""

import time

import numpy as np
from rich.console import Console

from voxplain.cli.job import Job
from voxplain.datasets import VideoSet, scan_folder
from voxplain.model import VideoModel

__all__ = ["estimate"]


def estimate(job: Job, model: VideoModel, videos: VideoSet) -> None:
    """Say how many forwards a run needs and about how long they take, timed on one clip of this network."""
    s, console = job.settings, Console()
    probe = np.zeros((min(8, model.batch_size), *model.grid, 3), np.uint8)
    model.logits(probe[:1])
    start = time.perf_counter()
    model.logits(probe)
    each = (time.perf_counter() - start) / len(probe)
    segments = sum(getattr(s.segmenter, "segments", (15, 50, 80)))
    clusters = getattr(s.clusterer, "clusters", 25)
    unrelated = min(s.random_videos, len(scan_folder(job.random))) * min(s.random_crops, segments)
    for name in job.classes:
        clips = min(s.videos, len(videos.of_class(name)))
        forwards = clips * segments + min(clips, s.score_videos) * (2 + clusters * (2 + s.effect.controls))
        console.print(
            f"“{name}”: {clips} videos, about {clips * segments} supervoxels, {forwards} forwards, "
            f"about {forwards * each / 60:.1f} min on {model.device}",
            markup=False, highlight=False,
        )  # fmt: skip
    console.print(f"random sets, once: {unrelated} forwards, about {unrelated * each / 60:.1f} min", highlight=False)
    console.print("nothing was written: this was a dry run", highlight=False)
