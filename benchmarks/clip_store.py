"""How long the input of one training epoch takes: decoding the videos each time, or from the clip store.

    python benchmarks/clip_store.py FOLDER [--net r3d] [--work DIR]

FOLDER holds one folder of videos a class. Without it, planted videos are drawn. Prints one line a way of reading; the
last line is one JSON object. Times are of one process and include random frames, crop and stacking, not the network.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from voxplain.datasets import VideoSet, scan_folder
from voxplain.datasets.planted import PlantedDesign, write_planted
from voxplain.nets import NETS
from voxplain.train import Recipe, TrainingVideos, load_videos
from voxplain.train.training_clips import draw, train_clips
from voxplain.video import Geometry, read_video


class Decoded(Sequence[np.ndarray]):
    """Videos decoded and resized each time they are asked for."""

    def __init__(self, paths: Sequence[Path], geometry: Geometry) -> None:
        self.paths, self.geometry = paths, geometry

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        return self.geometry.resize_frames(read_video(self.paths[index], geometry=self.geometry).frames)


def epoch(videos: TrainingVideos, lengths: Sequence[int], geometry: Geometry, frames: int, batch: int = 16) -> int:
    """All clips of an epoch, cut and stacked; returns how many."""
    rng = np.random.default_rng(0)
    cuts = [draw(i, n, frames, geometry, Recipe(), rng) for i, n in enumerate(lengths)]
    parts = [cuts[i : i + batch] for i in range(0, len(cuts), batch)]
    return sum(len(clips) for clips, _ in train_clips(videos, parts, geometry))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(videos: VideoSet, net: str, work: Path, repeats: int) -> dict[str, object]:
    spec = NETS[net]
    geometry = Geometry(spec.resize, spec.crop)
    fill = timed(lambda: load_videos(videos.paths, videos.labels, geometry, cache=work, workers=1))
    again = timed(lambda: load_videos(videos.paths, videos.labels, geometry, cache=work, workers=1))
    stored = load_videos(videos.paths, videos.labels, geometry, cache=work)
    lengths = [len(f) for f in stored.frames]
    decoded = TrainingVideos(Decoded(videos.paths, geometry), videos.labels)
    assert not stored.skipped, "every video must be readable, or the two ways would read different sets"
    slow = [timed(lambda: epoch(decoded, lengths, geometry, spec.frames)) for _ in range(repeats)]
    fast = [timed(lambda: epoch(stored, lengths, geometry, spec.frames)) for _ in range(repeats)]
    return {
        "net": net,
        "videos": len(videos),
        "frames": sum(lengths),
        "store_mb": round(sum(f.stat().st_size for f in work.iterdir()) / 1e6, 1),
        "fill_s": round(fill, 2),
        "open_again_s": round(again, 2),
        "decode_epoch_s": round(float(np.median(slow)), 3),
        "store_epoch_s": round(float(np.median(fast)), 3),
        "ratio": round(float(np.median(slow) / np.median(fast)), 1),
        "store_ms_a_clip": round(1000 * float(np.median(fast)) / len(videos), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--net", default="r3d", choices=sorted(NETS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.folder
        if folder is None:
            folder = Path(work) / "planted"
            write_planted(folder, design=PlantedDesign(), train=4, test=1, unrelated=0, seed=0)
        found = measure(scan_folder(folder, part="train"), options.net, Path(work) / "clips", options.repeats)
    print(f"decoding every epoch: {found['decode_epoch_s']} s an epoch of {found['videos']} videos")
    print(f"clip store: {found['store_epoch_s']} s an epoch, once {found['fill_s']} s to fill, {found['store_mb']} MB")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
