"""Depth videos of UTD-MHAD as clips of the study: the silhouette of the person takes the place of the object.

What a network relies on is not known on real videos: it may be an arm only. Localisation in the silhouette is what can
be measured, beside faithfulness and sanity. Odd subjects train, even ones are explained: the data set's own protocol.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from voxplain.benchmark.study_clips import KnownClip, StudySize
from voxplain.datasets import VideoSet, load_named
from voxplain.datasets.utd_mhad import silhouettes
from voxplain.errors import DataError
from voxplain.hashing import content_hash
from voxplain.model import OBJECTIVES, VideoModel, logits_of
from voxplain.train import load_videos
from voxplain.video import Clip, Geometry

__all__ = ["DEPTH", "DepthClips"]

DEPTH = "utd_depth"
# In this order, as many as the study has classes; none is the mirror image of another.
ACTIONS = (
    *("walk", "squat", "wave", "boxing", "bowling", "jog", "draw_circle_cw", "lunge", "tennis_serve", "sit_to_stand"),
    *("clap", "pickup_throw", "arm_cross", "basketball_shoot"),
)


@dataclass(frozen=True)
class DepthClips:
    """Clips of the first actions of `ACTIONS`, read from the folder of the data set.

    Parameters
    ----------
    folder : Path
        Of UTD-MHAD, depth as grey video, see `voxplain.datasets.utd_mhad`.
    """

    folder: Path

    name = DEPTH

    def classes(self, size: StudySize) -> tuple[str, ...]:
        """Actions in the order of the labels."""
        return ACTIONS[: size.classes]

    def part(self, size: StudySize, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 [N,T,H,W,3] and labels int64 [N]: each training video several times, at random moments."""
        videos, labels = _videos(self.folder, size.classes, size.side, part == "train")
        frames, found = [], []
        for label in range(size.classes):
            own = [v for v, k in zip(videos, labels, strict=True) if k == label]
            count = {"train": size.train, "test": size.test, "explain": size.clips}[part]
            for i in range(count if part == "train" else min(count, len(own))):
                rng = np.random.default_rng([label, i]) if part == "train" else None
                frames.append(own[i % len(own)][_moments(len(own[i % len(own)]), size.frames, rng)])
                found.append(label)
        return np.stack(frames), np.array(found, np.int64)

    def known(self, model: VideoModel, size: StudySize) -> list[KnownClip]:
        """The clips to explain that the network classifies right, with the person as their one object."""
        found = []
        for i, (frames, label) in enumerate(zip(*self.part(size, "explain"), strict=True)):
            mask = silhouettes(frames)
            without = np.where(mask[..., None], 0, frames).astype(np.uint8)
            z = torch.from_numpy(logits_of(model, iter([frames, without]))).double()
            if int(z[0].argmax()) == label and mask.any():
                value = OBJECTIVES["log_odds"](z, int(label)).numpy()
                clip = Clip.from_array(frames, source=f"{self.name}/{self.classes(size)[label]}/{i}")
                lost = {"person": float(value[0] - value[1])}
                found.append(KnownClip(clip, int(label), {"person": mask}, lost, {}, True))
        return found

    def digest(self, size: StudySize) -> str:
        """Hash of the frames that are explained."""
        return content_hash(self.part(size, "explain")[0])


def _moments(length: int, count: int, rng: np.random.Generator | None) -> np.ndarray:
    """One frame of each of ``count`` equal parts of a video: the middle one, or one at random."""
    edges = np.linspace(0, length, count + 1)
    at = 0.5 if rng is None else rng.random(count)
    return np.minimum((edges[:-1] + at * np.diff(edges)).astype(int), length - 1)


@lru_cache(maxsize=4)
def _videos(folder: Path, classes: int, side: int, train: bool) -> tuple[list[np.ndarray], list[int]]:
    """Whole videos as squares of ``side`` pixels, and their labels."""
    if classes > len(ACTIONS):
        raise DataError(f"expected at most {len(ACTIONS)} actions, got {classes}; choose fewer")
    if not folder.is_dir():
        raise DataError(f"expected the folder of UTD-MHAD, got {folder}, which is none; see docs/data.md")
    parts = load_named("utd_mhad", folder)
    chosen: VideoSet | None = parts[0] if train else parts[1]
    if chosen is None:
        raise DataError(f"expected videos of even subjects in {folder}, got none; check the folder")
    wanted = {a: k for k, a in enumerate(ACTIONS[:classes])}
    pairs = [
        (p, wanted[chosen.classes[k]])
        for p, k in zip(chosen.paths, chosen.labels, strict=True)
        if chosen.classes[k] in wanted
    ]
    found = load_videos([p for p, _ in pairs], [k for _, k in pairs], Geometry((side, side), (side, side)), workers=1)
    return list(found.frames), found.labels.tolist()
