"""Clips with known truth for `truth.py`, the same for planted sets and for the independent generator.

Letters: M clips, O objects; ``drop`` [M,O], what the class loses when the scene is rendered again without an object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from other_scenes import UNRELATED, other_clips, other_reliance, paint, scene_of
from voxplain.datasets import read_clips, scan_folder
from voxplain.datasets.planted import PlantedSet
from voxplain.datasets.planted.reliance import reliance
from voxplain.model import VideoModel
from voxplain.video import Clip

__all__ = ["Known", "known_other", "known_planted", "unrelated_other", "unrelated_planted"]

RELIED = 0.5  # share of the largest mean drop from which on an object counts as relied on, too


@dataclass(frozen=True, eq=False)
class Known:
    """Clips of a class, the masks of their objects, and how much the network relies on each object."""

    label: str
    clips: Sequence[Clip]
    names: tuple[str, ...]
    masks: Sequence[dict[str, np.ndarray]]  # of each clip: bool [T,H,W] by object
    drop: np.ndarray  # [M,O], of the log-odds; NaN where the clip lacks the object
    drop_logit: np.ndarray

    @property
    def mean_drop(self) -> np.ndarray:
        """Mean over all clips, [O]; an object that is absent drops nothing."""
        return np.nan_to_num(self.drop).mean(0)

    @property
    def relied(self) -> list[str]:
        """The object with the largest mean drop, and those with at least half of it."""
        drop = self.mean_drop
        return [name for name, d in zip(self.names, drop, strict=True) if d >= RELIED * drop.max() and d > 0]


def known_planted(model: VideoModel, planted: PlantedSet, label: str, count: int) -> Known:
    """Held-out clips of a planted class; needs as many renderings as there are objects and one more for each clip."""
    clips = read_clips(scan_folder(planted.root, part="test").of_class(label), model.reader(), limit=count).clips
    y = model.class_index(label)
    drops = [reliance(model, planted, clips, y, objective=o) for o in ("log_odds", "logit")]
    masks = [planted.masks(c.source) for c in clips]
    return Known(label, clips, drops[0].names, masks, drops[0].drop, drops[1].drop)


def known_other(model: VideoModel, label: str, count: int) -> Known:
    """Held-out clips of the independent generator."""
    clips, y = other_clips(label, count), model.class_index(label)
    (names, drop), (_, drop_logit) = (other_reliance(model, clips, y, objective=o) for o in ("log_odds", "logit"))
    return Known(label, clips, names, [paint(scene_of(c))[1] for c in clips], drop, drop_logit)


def unrelated_planted(model: VideoModel, root: Path, count: int) -> Sequence[Clip]:
    """Unrelated clips of a planted set."""
    return read_clips(scan_folder(root / "unrelated"), model.reader(), limit=count).clips


def unrelated_other(count: int) -> list[Clip]:
    """Unrelated clips of the independent generator."""
    return other_clips(UNRELATED, count)
